"""What each service calls, and what its role allows: the same.

Runs every path of the services and of `batch-consumer dlq` that calls AWS, each under an access key of its own, and
with queues and bucket made by others, as on AWS. local-aws writes down who called what on which resource, and
that is held against terraform/policies.tf in both directions (policies.py), and against the services' own counters.

    tests/python least_privilege.py
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import uuid

import boto3

import policies
from checkout import Repo
from processes import ROOT, Queue, Services, build, metrics, require, say, wait_until

KEY = "least-privilege-test-key"
LOCAL_AWS, INGEST, CONSUMER, AGGREGATOR, INGEST_ADMIN, QUERY, QUERY_ADMIN, ALERTS, ALERTS_ADMIN = range(24001, 24010)
NAMES = {"QUEUE_NAME": "privilege", "DLQ_NAME": "privilege-dlq", "LAKE_BUCKET": "privilege"}
# Whose calls are none of the services': who makes queues and bucket, and this check itself.
OUTSIDE = "test"
# Bytes (SQS developer guide, "Message quotas").
LARGEST = 1_048_576
UNREADABLE = "no pack and no JSON"

# Of the log of alerts: records between two snapshots, and those that are kept whatever their age (journal/writer.rs).
SNAPSHOT_EVERY, ALWAYS_KEPT = 500, 1000


class Run:
    """The callers, each with its access key, and what this check looks at them with."""

    def __init__(self, binaries, folder, env):
        self.env = env
        self.local_aws = Services(binaries, folder, env | {"RUST_LOG": "local_aws=debug"})
        # Each has the name of its document in policies.tf as its access key.
        self.ingest, self.consumer, self.aggregator, self.query, self.alerts, self.operator = services = tuple(
            Services(binaries, folder, env | {"AWS_ACCESS_KEY_ID": name})
            for name in ("ingest", "batch_consumer", "aggregator", "query", "alerts", "operator")
        )
        self.callers = (*services, self.local_aws)
        self.counted = {}
        # Keys that were there and that a service has deleted.
        self.deleted = []

    def prepare(self):
        """Makes queues and bucket, as Terraform would."""
        endpoint = self.env["AWS_ENDPOINT_URL"]
        self.local_aws.start("local-aws", "--listen", f"127.0.0.1:{LOCAL_AWS}", ready=f"{endpoint}/_local/health")
        create = ROOT / "localstack/init/ready.d/create.py"
        subprocess.run([sys.executable, create], env=self.env, check=True)
        account = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        account |= {"aws_access_key_id": OUTSIDE, "aws_secret_access_key": "test"}
        self.sqs = boto3.client("sqs", **account)
        self.s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))
        self.queue, self.dlq = (Queue(self.sqs, NAMES[name]) for name in ("QUEUE_NAME", "DLQ_NAME"))

    def keys(self, prefix):
        listed = self.s3.list_objects_v2(Bucket=NAMES["LAKE_BUCKET"], Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def start_consumer(self, visibility_timeout, batch_max_wait="3s"):
        address = f"127.0.0.1:{CONSUMER}"
        arguments = ["--metrics-listen", address, "--poll-wait", "1s", "--batch-max-wait", batch_max_wait]
        arguments += ["--visibility-timeout", visibility_timeout]
        self.consumer.start("batch-consumer", *arguments, ready=f"http://{address}/readyz")

    def count(self, caller, port):
        """Keeps which operations a service has counted itself."""
        page = "\n".join(metrics(f"http://127.0.0.1:{port}/metrics"))
        self.counted[caller] = set(re.findall(r'^headwater_aws_requests_total\{operation="([^"]+)"\}', page, re.M))


def text(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def post(now, **readings):
    """Posts events of one time by their ids, each with its reading; one signal is declared nowhere."""
    events = [
        {
            "timestamp": text(now),
            "event_id": event_id,
            "vehicle_id": "veh-00001",
            "can_id": "0x1F0",
            "payload": {"engine_rpm": reading, "declared_nowhere": 1.5},
        }
        for event_id, reading in readings.items()
    ]
    send("/v1/events", events)


def send(path, events):
    headers = {"content-type": "application/json", "x-api-key": KEY}
    url = f"http://127.0.0.1:{INGEST}{path}"
    request = urllib.request.Request(url, data=json.dumps(events).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        accepted = json.loads(answer.read())["accepted"]
    require(accepted == len(events), f"{accepted} of {len(events)} events accepted")


def begun(run):
    """Ingest, and how it says that it is: these ask for the queue's depth."""
    address, admin = f"127.0.0.1:{INGEST}", f"127.0.0.1:{INGEST_ADMIN}"
    run.ingest.start("ingest", "--listen", address, "--metrics-listen", admin, ready=f"http://{admin}/readyz")
    with urllib.request.urlopen(f"http://{address}/health", timeout=10) as answer:
        require(json.loads(answer.read())["queue_size"] == 0, "ingest knows how deep the queue is")


def told(run, now):
    """An alert, an anomaly, and the end of old records of the log, which an earlier process has left long.

    First of all, for an event that arrived before the samples would let the time of their windows pass; then the lake is
    as empty as it was.
    """
    address, admin = f"127.0.0.1:{ALERTS}", f"127.0.0.1:{ALERTS_ADMIN}"
    serve = ["alerts", "--listen", address, "--metrics-listen", admin]
    # Without a log yet.
    run.alerts.start(*serve, ready=f"http://{admin}/readyz")
    run.alerts.stop("alerts")
    millis = int(now.timestamp() * 1000)
    begins = (millis // 10_000 - 90) * 10_000
    through = SNAPSHOT_EVERY + ALWAYS_KEPT
    # As an earlier process left it: the records up to the 500th are of two months ago.
    state = {"through": through, "leader": None, "evaluated_to": begins, "alerts": {}, "flows": {}, "notifications": {}}
    state |= {"delivered": [], "opened": 0, "dropped": 0, "silences": {}, "acknowledgements": {}, "pruned": 0}
    state |= {"days": {str(millis // 86_400_000 - 60): SNAPSHOT_EVERY}}
    objects = {"_alerts/snapshot.json": state}
    for number in (1, SNAPSHOT_EVERY, *range(through + 1, through + SNAPSHOT_EVERY + 1)):
        record = {"number": number, "writer": str(uuid.UUID(int=1)), "written_at": begins, "entries": []}
        objects[f"_alerts/log/{number:010}.json"] = record
    for key, content in objects.items():
        run.s3.put_object(Bucket=NAMES["LAKE_BUCKET"], Key=key, Body=json.dumps(content).encode())

    # A quiet quarter of an hour and a loud minute, each with a value in ten seconds, as they arrived then.
    for at in range(86):
        arrived = begins + at * 10_000 + 1_000
        received = datetime.datetime.fromtimestamp(arrived / 1000, datetime.UTC)
        name = uuid.UUID(int=arrived << 80 | 8 << 76 | 2 << 62 | at)
        event = {"kind": "metric", "event_id": f"told-{at}", "ingest_received_at": received.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        event |= {"name": "cpu_usage", "entity": "host", "value": 95 if at >= 80 else 50 + at % 3, "timestamp": arrived - 999}
        run.s3.put_object(
            Bucket=NAMES["LAKE_BUCKET"],
            Key=f"raw/{received:year=%Y/month=%m/day=%d/hour=%H}/part-{name}.jsonl",
            Body=json.dumps(event) + "\n",
        )
    run.alerts.start(*serve, ready=f"http://{admin}/readyz")
    wait_until("the alert is told", lambda: "[ALERT] cpu_usage avg(60s) > 80.0" in run.alerts.log("alerts"))
    wait_until("anomaly and alert are written", lambda: run.keys("moments/") and run.keys("alerts/"))
    old = [f"_alerts/log/{number:010}.json" for number in (1, SNAPSHOT_EVERY)]
    wait_until("old records are deleted", lambda: not set(old) & set(run.keys("_alerts/log/0000000")))
    run.deleted += old
    run.count("alerts", ALERTS_ADMIN)
    run.alerts.stop("alerts")
    while keys := run.keys(""):
        objects = [{"Key": key} for key in keys]
        run.s3.delete_objects(Bucket=NAMES["LAKE_BUCKET"], Delete={"Objects": objects})


def unwritten(run, now):
    """What the consumer cannot write it gives back at its stop. The bucket is away meanwhile."""
    post(now, first=2000)
    run.start_consumer("60s", batch_max_wait="20s")
    run.s3.delete_bucket(Bucket=NAMES["LAKE_BUCKET"])
    wait_until("a write fails", lambda: "event=write_failed" in run.consumer.log("batch-consumer"))
    run.consumer.stop("batch-consumer")
    require(run.queue.counts() == (1, 0), "the message is given back at the stop")
    run.s3.create_bucket(Bucket=NAMES["LAKE_BUCKET"])


def written(run):
    """A batch, a message that is hidden for longer while its batch fills, and one that nobody can read."""
    run.start_consumer("5s")
    run.sqs.send_message(QueueUrl=run.queue.url, MessageBody=UNREADABLE)
    run.queue.drained()
    require(run.keys("raw/") and run.dlq.depth() == 1, "the event is written, and the other message is a dead letter")
    extended = metrics(f"http://127.0.0.1:{CONSUMER}/metrics").get("headwater_consumer_visibility_extensions_total", 0)
    require(extended > 0, "a message stays hidden for longer than it was at first")


def aggregated(run, now):
    """A commit that was cut off and is finished, a line that is set aside, hours that are made anew and put off."""
    first = run.aggregator.run("aggregator", "once")
    require(first.startswith("commits 1, "), first)
    require(run.keys("_schema/"), "the types of undeclared signals are kept")
    # As a crash leaves it right before the end of the first run's commit.
    for key in ("_commits/0000000001.done.json", "_commits/checkpoint.json"):
        require(key in run.keys("_commits/"), f"{key} is there")
        run.s3.delete_object(Bucket=NAMES["LAKE_BUCKET"], Key=key)
    again = run.aggregator.run("aggregator", "once")
    require(again.startswith("commits 1, "), again)

    # Other content under an id that is in the lake, and an event that is new to its hour.
    post(now, first=3000, second=1000)
    run.queue.drained()
    address = f"127.0.0.1:{AGGREGATOR}"
    watch = ["--metrics-listen", address, "--interval", "1s", "--commit-max-age", "0s", "watch"]
    run.aggregator.start("aggregator", *watch, ready=f"http://{address}/readyz")
    wait_until("the second commit", lambda: "_commits/0000000002.done.json" in run.keys("_commits/"))
    require(run.keys("_aside/") and len(run.keys("curated/")) == 2, "one line is set aside, the other in a new part")
    run.count("aggregator", AGGREGATOR)
    run.aggregator.stop("aggregator")

    hour = now.replace(minute=0, second=0, microsecond=0)
    span = ["--from", text(hour), "--to", text(hour + datetime.timedelta(hours=1))]
    rebuilt = run.aggregator.run("aggregator", "rebuild", *span)
    require("commits 2, " in rebuilt, rebuilt)

    # More hours than a commit may write: it puts one off, to raw/, and the next commit writes it.
    for hours in (24, 48):
        post(now - datetime.timedelta(hours=hours), first=1000)
    run.queue.drained()
    put_off = run.aggregator.run("aggregator", "--commit-max-hours", "1", "once")
    require(put_off.startswith("commits 2, ") and "hours touched 2" in put_off, put_off)


def queried(run, now):
    """What is in parts, in hourly aggregates and in raw/ alone is asked for."""
    address, admin = f"127.0.0.1:{QUERY}", f"127.0.0.1:{QUERY_ADMIN}"
    post(now, third=1500)
    run.queue.drained()
    listen = ["--listen", address, "--metrics-listen", admin, "--pg-listen", "127.0.0.1:0"]
    run.query.start("query", *listen, ready=f"http://{admin}/readyz")
    hour = now.replace(minute=0, second=0, microsecond=0)
    asked = {"name": "engine_rpm", "agg": "count", "start": text(hour), "end": text(hour + datetime.timedelta(hours=1))}
    request = urllib.request.Request(
        f"http://{address}/query?{urllib.parse.urlencode(asked)}", headers={"x-api-key": KEY}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        points = json.loads(answer.read())["points"]
    require([point["value"] for point in points] == [3], f"three events are counted: {points}")
    for table in ("moments", "alerts"):
        key = f"{table}/{now:year=%Y/month=%m/day=%d/hour=%H}/part-none.jsonl"
        run.s3.put_object(Bucket=NAMES["LAKE_BUCKET"], Key=key, Body=b"")
        statement = f"SELECT count(*) FROM {table}".encode()
        request = urllib.request.Request(f"http://{address}/v1/sql", data=statement, headers={"x-api-key": KEY})
        with urllib.request.urlopen(request, timeout=10) as answer:
            require(answer.status == 200, f"{table} can be read")
    run.count("query", QUERY_ADMIN)
    run.query.stop("query")


def operated(run):
    """A dead letter is listed, shown, replayed, dead again and purged."""
    def dlq(*command):
        return run.operator.run("batch-consumer", "dlq", *command)

    letters = [json.loads(line) for line in dlq("list", "--json").splitlines()]
    require(len(letters) == 1, f"one letter is listed: {letters}")
    shown = json.loads(dlq("show", letters[0]["message_id"], "--json"))
    require(shown["body"] == UNREADABLE, f"the letter is shown: {shown}")
    print(dlq("replay"), end="")
    run.queue.drained()
    require(run.dlq.counts() == (1, 0), "the replayed letter is back")
    print(dlq("purge", "--yes"), end="")
    require(run.dlq.depth() == 0, "the letter is purged")

    # The largest message that SQS takes fits into no letter together with the reason: the lake keeps it whole.
    run.sqs.send_message(QueueUrl=run.queue.url, MessageBody="x" * LARGEST)
    run.queue.drained()
    require(run.dlq.depth() == 1 and run.keys("_letters/"), "a letter with the beginning, and the lake has the whole")
    print(dlq("purge", "--yes"), end="")


def stopped(run):
    run.count("batch_consumer", CONSUMER)
    run.count("ingest", INGEST_ADMIN)
    run.consumer.stop("batch-consumer")
    run.ingest.stop("ingest")
    run.local_aws.stop("local-aws")


def judged(run):
    """What differs between policies, calls and counters."""
    calls = list(policies.calls(run.local_aws.log("local-aws"), *NAMES.values()))
    for caller, counted in sorted(run.counted.items()):
        seen = {call.operation for call in calls if call.caller == caller}
        if counted != seen:
            yield f"{caller} has counted {sorted(counted)}, and was seen to call {sorted(seen)}"
    allowed = policies.allowed(Repo(ROOT))
    needs = policies.needed(calls, run.deleted)
    needs.pop(OUTSIDE)
    yield from policies.differences(allowed, needs)
    for caller, permissions in sorted(allowed.items()):
        requests = sum(call.caller == caller for call in calls)
        say(f"{caller}: {requests} requests, held against {len(permissions)} permissions")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    binaries = build(False)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "RUST_LOG"}
    env = kept | NAMES | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{LOCAL_AWS}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": OUTSIDE, "AWS_SECRET_ACCESS_KEY": "test",
        # As Terraform sets it: others make queues and bucket.
        "CREATE": "false", "API_KEYS": KEY, "READ_KEYS": KEY,
    }
    now = datetime.datetime.now(datetime.UTC)
    with tempfile.TemporaryDirectory(prefix="headwater-privilege-") as temporary:
        run = Run(binaries, pathlib.Path(temporary), env)
        try:
            run.prepare()
            begun(run)
            told(run, now)
            unwritten(run, now)
            written(run)
            aggregated(run, now)
            queried(run, now)
            operated(run)
            stopped(run)
        finally:
            for services in run.callers:
                services.stop_all()
        found = list(judged(run))
    for difference in found:
        print(difference)
    require(not found, f"{len(found)} differences between what roles allow and what is called")
    say("each role allows what its service calls, and nothing else")


if __name__ == "__main__":
    main()
