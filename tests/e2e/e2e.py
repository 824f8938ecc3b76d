"""The pipeline end to end, each service a process of its own, against LocalStack or our local-aws.

Sends vehicles, cells, metrics and a kind declared in a file; posts one by one and in bulk; breaks some; brings in
recordings; stops everything by SIGTERM; then holds what was accepted against the lake with the judge, and the aggregates and
the answers of query against DuckDB. At last it makes dead letters of every reason, mends and replays them (dead_letters.py).

    tests/python e2e.py --endpoint http://127.0.0.1:4566       a LocalStack that runs already
    tests/python e2e.py --local-aws                             starts local-aws, and tries boto3 and the AWS CLI on it
    tests/python e2e.py --local-aws --dead-letters              the dead letters alone
    tests/python e2e.py --local-aws --recorded FOLDER       also imports recorded data: FOLDER/vehicle-*/, cells-*/
"""

import argparse
import collections
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3

import answers
import dead_letters
import oracle
from processes import ROOT, Queue, Services, build, metrics, require, say

KEY = "e2e-test-key"
INGEST = "http://127.0.0.1:13000"
INGEST_ADMIN = "127.0.0.1:13001"
CONSUMER = "127.0.0.1:19101"
QUERY = "http://127.0.0.1:13002"
QUERY_ADMIN = "127.0.0.1:13003"
# Most SQS calls for a million events in bulk.
FLOOD_CALLS = 400


def post(path, body, content_type="application/json", key=KEY):
    headers = {"content-type": content_type} | ({"x-api-key": key} if key else {})
    request = urllib.request.Request(INGEST + path, data=body.encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def cloudwatch(output):
    """The sums of counters and the numbers of samples of histograms in the embedded metric lines, by reason if they have
    one."""
    sums = collections.Counter()
    for line in output.splitlines():
        if not line.startswith("{") or '"_aws"' not in line:
            continue
        line = json.loads(line)
        [told] = line["_aws"]["CloudWatchMetrics"]
        require(told["Namespace"] == "Headwater" and len(told["Dimensions"]) == 1, str(told))
        for metric in told["Metrics"]:
            value = line[metric["Name"]]
            by = tuple(line[dimension] for dimension in told["Dimensions"][0])
            sums[(metric["Name"], *by)] += sum(value["Counts"]) if isinstance(value, dict) else value
    return sums


def same_to_cloudwatch(services, counted):
    """CloudWatch is told what the services counted, each event once."""
    ingest = cloudwatch(services.log("ingest"))
    accepted = counted["headwater_ingest_events_accepted_total"]
    require(ingest["EventsAccepted",] == accepted > 0, f"{ingest} of {accepted} accepted")
    for name, value in counted.items():
        if found := re.fullmatch(r'headwater_ingest_events_rejected_total{code="(\w+)"}', name):
            require(ingest["EventsRejected", found[1]] == value > 0, f"{ingest} for {name} {value}")
    require(ingest["EventsRejected", "wrong_type"] > 0, f"no event was refused for its type: {ingest}")
    consumer = cloudwatch(services.log("batch-consumer"))
    # Once at least: what SQS delivers twice is written twice, and counted so.
    for name in ("EventsWritten", "QueueLatencySeconds", "LatencySeconds"):
        require(consumer[name,] >= accepted, f"{consumer} of {accepted} accepted")
    require(ingest["AwsDollars",] > 0 and consumer["AwsDollars",] > 0, f"{ingest} {consumer}")
    say(f"CloudWatch: {accepted:.0f} accepted, {consumer['EventsWritten',]:.0f} written")


def sqs_usage():
    """SQS requests of ingest and consumer for the events themselves: calls, and requests as billed."""
    calls = billed = 0
    for url in (f"http://{INGEST_ADMIN}/metrics", f"http://{CONSUMER}/metrics"):
        for name, value in metrics(url).items():
            if re.search(r"sqs:(SendMessageBatch|ReceiveMessage|DeleteMessageBatch)", name):
                if name.startswith("headwater_aws_requests_total"):
                    calls += value
                if name.startswith("headwater_aws_billed_requests_total"):
                    billed += value
    return calls, billed


def vehicle(now, at, **changes):
    time_text = (now - datetime.timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {
        "timestamp": time_text,
        "vehicle_id": f"veh-{at % 500:05}",
        "can_id": "0x1F0",
        "payload": {"engine_rpm": 800 + at % 3000, "brake_status": at % 7 == 0},
    }
    return event | changes


def single_posts(services, folder, count, rate):
    say(f"{count} events, one a post, {rate}/s")
    print(services.run(
        "judge", "run", "--count", count, "--batch", 1, "--rate", rate, "--seed", 11, "--raw-only",
        "--ledger", folder / "single.ledger", "--metrics-urls", f"http://{INGEST_ADMIN}/metrics,http://{CONSUMER}/metrics",
    ))


def bulk(services, folder, count):
    say(f"{count} events, 500 a post, 16 connections")
    print(services.run(
        "judge", "run", "--count", count, "--batch", 500, "--connections", 16, "--seed", 12, "--raw-only",
        "--ledger", folder / "bulk.ledger", "--metrics-urls", f"http://{INGEST_ADMIN}/metrics,http://{CONSUMER}/metrics",
    ))


def flood(queue, now, count):
    """Posts made beforehand, so that ingest is what is waited for; gives SQS calls per million events."""
    say(f"{count} events, 500 a post, 16 connections, made beforehand")
    bodies = [
        "\n".join(json.dumps(vehicle(now, 10_000_000 + post * 500 + at), separators=(",", ":")) for at in range(500))
        for post in range(count // 500)
    ]
    waiting, accepted = iter(bodies), []
    before = sqs_usage()
    started = time.monotonic()

    def work():
        connection = http.client.HTTPConnection(INGEST.removeprefix("http://"), timeout=60)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            while True:
                headers = {"content-type": "application/x-ndjson", "x-api-key": KEY}
                connection.request("POST", "/v1/events/vehicle", body.encode(), headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 429:
                    break
                time.sleep(1)
            accepted.append(json.loads(text)["accepted"] if answer.status == 202 else 0)

    lock = threading.Lock()
    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - started
    require(sum(accepted) == count, f"{sum(accepted)} of {count} accepted")
    queue.drained()
    # One receiver's long poll is always under way: those that end empty are counted with the rest.
    calls, billed = (after - first for after, first in zip(sqs_usage(), before, strict=True))
    million = 1_000_000 / count
    say(f"accepted {count} in {elapsed:.1f} s, {count / elapsed:.0f} events/s; SQS {calls:.0f} calls, {billed:.0f} billed")
    require(billed * million <= 2_000, f"{billed * million:.0f} billed SQS requests per million events; at most 2,000")
    return calls * million


def broken_among_many(now):
    say("a batch of 10,000 with 3 broken events")
    events = [vehicle(now, at, can_id="0x2A0") for at in range(10_000)]
    del events[17]["vehicle_id"]
    events[4_242]["payload"] = {"engine_rpm": "fast"}
    events[9_999]["colour"] = "red"
    status, answer = post("/v1/events", json.dumps(events))
    found = [(entry["index"], entry["code"]) for entry in answer["rejected"]]
    require(status == 202 and answer["accepted"] == 9_997, f"{status} {str(answer)[:300]}")
    require(found == [(17, "missing_field"), (4242, "wrong_type"), (9999, "unknown_field")], str(found))


def third_kind(now):
    say("a kind declared in docs/examples/station.toml")
    lines = [
        json.dumps({
            "station_id": f"wx-{at % 3}",
            "observed_at": (now - datetime.timedelta(minutes=at)).isoformat().replace("+00:00", "Z"),
            "operator": "met",
            "readings": {"temperature_c": at % 70 - 20.5, "raining": at % 2 == 0, "condition": "fog", "ozone_ppb": at},
        })
        for at in range(180)
    ]
    status, answer = post("/v1/events/station", "\n".join(lines), "application/x-ndjson")
    require(status == 202 and answer["accepted"] == 180, f"{status} {str(answer)[:300]}")


def metrics_of_hosts(now):
    say("metrics: equal posts are two samples, and 600 names are no columns")
    for _ in range(2):
        status, answer = post("/metrics", json.dumps({"name": "cpu_usage", "value": 85}))
        require(status == 202 and answer["accepted"] == 1, f"{status} {str(answer)[:300]}")
    millis = int(now.timestamp() * 1000)
    samples = [
        {"name": f"metric_{at % 600}", "value": at / 4, "entity": f"host-{at % 3}", "timestamp": millis - at * 1000}
        | ({"tags": {"zone": "b", "rack": str(at % 7)}} if at % 2 else {})
        for at in range(3_000)
    ]
    status, answer = post("/metrics", json.dumps(samples))
    require(status == 202 and answer["accepted"] == 3_000, f"{status} {str(answer)[:300]}")


def refusals(now):
    say("keys, and bodies that are no events")
    good = json.dumps(vehicle(now, 1))
    require(post("/v1/events", good, key=None)[0] == 401, "a post without a key is refused")
    require(post("/v1/events", good, key="wrong-key-altogether")[0] == 401, "a post with a wrong key is refused")
    require(post("/v1/events", "{")[0] == 400, "a truncated body is refused")
    require(post("/v1/events", good, "text/csv")[0] == 415, "another content type is refused")
    require(post("/v1/events/boat", good)[0] == 404, "an unknown kind is refused")


def post_lines(path, lines):
    """Posts NDJSON, and gives how many events were accepted."""
    status, answer = post(path, lines, "application/x-ndjson")
    require(status == 202, f"{status} {str(answer)[:300]}")
    return answer["accepted"]


def bring_in(services, recorded):
    say("recorded data, by import")
    for folder, kind, query in (("vehicle-*", "vehicle", "obd2-kit.sql"), ("cells-*", "cell", "ucc-5g.sql")):
        files = sorted(recorded.glob(f"{folder}/**/*.csv.gz"))
        require(files, f"no recordings {folder} in {recorded}")
        told = services.run("import", *files, "--kind", kind, "--sql", ROOT / "docs/examples" / query)
        print(told.splitlines()[-2])


def contracts(folder, any_age):
    """A folder of declarations: that of the example and, for recordings, the built-in ones without a bound to the age."""
    folder.mkdir()
    for file in (ROOT / "docs/examples").glob("*.toml"):
        shutil.copy(file, folder)
    for file in (ROOT / "crates/contract/kinds").glob("*.toml") if any_age else ():
        declared = file.read_text().replace("[time]\n", "[time]\nmax_age_days = 10000\n")
        (folder / file.name).write_text(declared)
    return folder


def answered(lake, kinds, when):
    say(f"DuckDB answers what query answers, {when}")
    rows, differences = answers.differences(lake, kinds, QUERY, KEY)
    require(not differences, f"{len(differences)} differences, such as {differences[:20]}")
    require(rows > 100, f"only {rows} figures were there to compare")
    say(f"DuckDB: {rows} rows of answers compared, {when}")


def keys(s3, bucket, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def pipeline(arguments, services, sqs, s3):
    """All but the dead letters: services started, fed and stopped, and the lake held against what was accepted."""
    folder, env, now = services.folder, services.env, datetime.datetime.now(datetime.UTC)
    endpoint, bucket = env["AWS_ENDPOINT_URL"], env["LAKE_BUCKET"]
    services.start("ingest", "--metrics-listen", INGEST_ADMIN, ready=f"http://{INGEST_ADMIN}/readyz")
    services.start("batch-consumer", ready=f"http://{CONSUMER}/readyz")
    queue = Queue(sqs, env["QUEUE_NAME"])

    single_posts(services, folder, arguments.singles, arguments.rate)
    bulk(services, folder, arguments.bulk)
    # How full groups and receives are hangs on who gets the processor when: one slow moment is no failure.
    calls = flood(queue, now, arguments.flood)
    if calls > FLOOD_CALLS:
        calls = min(calls, flood(queue, now + datetime.timedelta(milliseconds=1), arguments.flood))
    require(calls <= FLOOD_CALLS, f"{calls:.0f} SQS calls per million events, twice; at most {FLOOD_CALLS}")
    broken_among_many(now)
    third_kind(now)
    metrics_of_hosts(now)
    refusals(now)
    if arguments.recorded:
        bring_in(services, arguments.recorded)
    counted = metrics(f"http://{INGEST_ADMIN}/metrics")
    services.stop("ingest")
    queue.drained()
    services.stop("batch-consumer")
    same_to_cloudwatch(services, counted)

    batches = re.findall(
        r"^INFO time=\S+ event=write_batch size=(\d+) latency_p50=\d+ms latency_p95=\d+ms",
        services.log("batch-consumer"), re.MULTILINE,
    )
    require(batches, "batch-consumer logs each batch in its exact form")
    require(max(map(int, batches)) > 1000, "some raw object holds more than 1,000 events")
    say(f"{len(batches)} raw objects or more, the largest of {max(map(int, batches))} events")

    kinds = oracle.declared(ROOT / "docs/examples")
    services.start(
        "query", "--listen", QUERY.removeprefix("http://"), "--metrics-listen", QUERY_ADMIN, "--hot-limit", "2GiB",
        "--pg-listen", "127.0.0.1:0", ready=f"http://{QUERY_ADMIN}/readyz",
    )
    oracle.download(s3, bucket, folder / "raw-lake")
    answered(folder / "raw-lake", kinds, "before the aggregator ran")
    say("aggregate, twice")
    first = services.run("aggregator", "once")
    print(first.splitlines()[0])
    again = services.run("aggregator", "once")
    require(again.startswith("commits 0,"), again)
    told = cloudwatch(first + again)
    require(told["EventsCurated",] >= counted["headwater_ingest_events_accepted_total"], str(told))
    runs = (first + again).count('"AggregatorFailedRuns":0.0')
    require(runs == 2, f"{runs} runs of 2 were told of as good ones")
    for ledger in ("single.ledger", "bulk.ledger"):
        print(services.run("judge", "check", "--shared", "--ledger", folder / ledger))
    require(keys(s3, bucket, "raw/") and keys(s3, bucket, "aggregates/"), "raw/ and aggregates/ can be listed")
    if arguments.local_aws:
        say("the AWS CLI against local-aws")
        cli = [sys.executable, pathlib.Path(sys.executable).parent / "aws", "--endpoint-url", endpoint, "s3", "ls", "--recursive"]
        listed = subprocess.run([*cli, f"s3://{bucket}/aggregates/"], env=env, check=True, capture_output=True, text=True)
        require("vehicle.jsonl" in listed.stdout, listed.stdout)
    say("DuckDB computes the lake from raw/")
    oracle.download(s3, bucket, folder / "lake")
    rows, differences = oracle.differences(folder / "lake", kinds)
    require(not differences, f"{len(differences)} differences, such as {differences[:20]}")
    require(rows > 100, f"only {rows} rows of aggregates/ were there to compare")
    say(f"DuckDB: {rows} rows of aggregates/ compared")
    answered(folder / "lake", kinds, "after the aggregator ran")
    services.stop("query")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", help="of a running LocalStack")
    where.add_argument("--local-aws", action="store_true", help="start our own emulation")
    parser.add_argument("--release", action="store_true", help="build and run the release profile")
    parser.add_argument("--singles", type=int, default=10_000, help="events posted one by one")
    parser.add_argument("--rate", type=int, default=500, help="of them a second")
    parser.add_argument("--bulk", type=int, default=100_000, help="events posted 500 at a time, each one judged")
    parser.add_argument("--flood", type=int, default=1_000_000, help="events posted as fast as they are taken, requests counted")
    parser.add_argument("--dead-letters", action="store_true", help="the part on dead letters alone")
    parser.add_argument("--recorded", type=pathlib.Path, help="folder with recorded data to import")
    arguments = parser.parse_args()

    binaries = build(arguments.release)
    endpoint = arguments.endpoint or "http://127.0.0.1:14567"
    run = f"e2e-{os.getpid()}"
    names = {"QUEUE_NAME": run, "DLQ_NAME": f"{run}-dlq", "LAKE_BUCKET": run}
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | names | {
        "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "API_KEYS": f"a-key-on-its-way-out,{KEY}", "HEADWATER_API_KEY": KEY, "READ_KEYS": KEY, "HEADWATER_INGEST_URL": INGEST,
        "METRICS": "emf", "LISTEN": "127.0.0.1:13000", "METRICS_LISTEN": CONSUMER,
    }
    with tempfile.TemporaryDirectory(prefix="headwater-e2e-") as temporary:
        folder = pathlib.Path(temporary)
        env["CONTRACTS"] = str(contracts(folder / "contracts", arguments.recorded is not None))
        services = Services(binaries, folder, env)
        try:
            if arguments.local_aws:
                services.start("local-aws", "--listen", "127.0.0.1:14567", "--data", folder / "data", ready=f"{endpoint}/_local/health")
                say("boto3 against local-aws")
                subprocess.run([sys.executable, ROOT / "tools/local-aws/tests/boto3_check.py", endpoint], env=env, check=True)
            account = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
            sqs = boto3.client("sqs", **account)
            s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))
            if not arguments.dead_letters:
                pipeline(arguments, services, sqs, s3)
            dead_letters.all_the_way(binaries, folder, env, account, INGEST_ADMIN, CONSUMER, post_lines)
        finally:
            services.stop_all()
    say("end to end: all as it should be")


if __name__ == "__main__":
    main()
