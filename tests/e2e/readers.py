"""Everybody's tools on the lake: DuckDB, Polars, PyArrow and PySpark read it as docs/readers.md says, and agree.

The pipeline runs, each service a process of its own, against LocalStack or our local-aws. Then each tool reads the
events of `curated/` and computes count, mean, minimum and maximum by kind, hour, entity and signal, and reads the rows
of `aggregates/`; both are held against the JSONL of `aggregates/`, which is read with a JSON parser alone. So it goes
on as the schema grows (readers/growth.py), over old files and new ones. In the end the columns of the Glue tables are
held against the files. It prints a table and exits 1 on any difference.

    tests/python readers.py --local-aws                             starts local-aws
    tests/python readers.py --endpoint http://127.0.0.1:4566        a LocalStack that runs already
    tests/python readers.py --local-aws --binaries target/debug     with services that are built already

PySpark is left out, and says so, where there is no Java.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3
from pyarrow import fs

from processes import ROOT, Queue, Services, build, say
from readers import engines, figures, glue, growth

KEY = "readers-test-key"
# With a name, which stands with the events.
KEYS = f'[[key]]\nname = "readers"\nhash = "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"\nmay = ["write"]\n'
INGEST = "127.0.0.1:23000"
INGEST_ADMIN = "127.0.0.1:23001"
CONSUMER = "127.0.0.1:23101"
LOCAL_AWS = "127.0.0.1:23567"
PAGE = ROOT / "docs/readers.md"

# Columns that every kind has, and the partitions.
COMMON = {"event_id", "entity_id", "event_time", "ingest_received_at", "sender", "kind", "year", "month", "day", "hour"}

# The columns of name and value of kinds whose events have one signal each.
LONG = {"metric": ("name", "value")}

# What is printed of each reader and stage.
HEADS = ("kinds", "hours", "events", "figures", "differences", "rows", "differences")
WIDTHS = (6, 7, 9, 9, 13, 8, 13)
SHOWN = 20


def post(kind, events):
    request = urllib.request.Request(
        f"http://{INGEST}/v1/events/{kind}",
        growth.lines(events).encode(),
        {"content-type": "application/x-ndjson", "x-api-key": KEY},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            accepted = json.loads(answer.read())["accepted"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"readers failed: ingest answered {error.code}: {error.read().decode()[:500]}") from error
    if accepted != len(events):
        raise SystemExit(f"readers failed: {accepted} of {len(events)} events of kind {kind} were accepted")


def feed(services, sqs, folder, stage):
    """The stage's events through ingest and consumer, both as of the stage's declarations, and the aggregator."""
    services.env["CONTRACTS"] = str(growth.declare(folder, stage))
    services.start("ingest", "--metrics-listen", INGEST_ADMIN, ready=f"http://{INGEST_ADMIN}/readyz")
    services.start("batch-consumer", ready=f"http://{CONSUMER}/readyz")
    if stage == "before":
        start = growth.FIRST.isoformat()
        services.run(
            "simulator", "--rate", 0, "--count", 6000, "--vehicles", 10, "--cells", 5, "--span", "3h", "--start", start,
            "--seed", 31, "--duplicates", 0.05, "--batch", 500,
        )  # fmt: skip
    for kind, events in growth.EVENTS[stage]():
        post(kind, events)
    Queue(sqs, services.env["QUEUE_NAME"]).drained()
    services.stop("ingest")
    services.stop("batch-consumer")
    say(services.run("aggregator", "once").strip())


def compare(engine, kinds, fields, published):
    """One reader over those kinds: what it saw, and how events and rows differ from what is published, in words."""
    seen = {"events": 0, "figures": 0, "columns": {}}
    wrong = []
    for kind in kinds:
        frame = engine.names["curated"](kind)
        columns = seen["columns"][kind] = engine.columns(frame)
        signals = [name for name in columns if name not in COMMON | fields[kind]]
        texts = [name for name in signals if columns[name] == "string"]
        if kind in LONG:
            name, value = LONG[kind]
            rows = engine.rows(engine.figures(frame, [value], [], [name]))
            found = figures.by_name(rows, kind, name, value)
        else:
            rows = engine.rows(engine.figures(frame, [name for name in signals if name not in texts], texts))
            found = figures.melted(rows, kind, signals)
        wanted = figures.figures(published, kind)
        seen["events"] += sum(row["messages"] for row in rows)
        seen["figures"] += len(found)
        wrong += figures.differences(found, wanted)
        if kind == "vehicle":
            wrong += figures.example_differs(engine.rows(engine.page.speed(engine.names)), wanted)
    rows = engine.rows(engine.selected(engine.names["aggregates"]()))
    seen["rows"] = len(rows)
    return seen, wrong, list(figures.rows_differ(rows, published))


def compare_all(readers, scratch, stage, kinds, fields, published):
    """All readers, a line each; gives what differs, in words."""
    wrong = [
        f"{stage}: {kind}: {figures.events(published, kind)} events in the aggregates, {sent} were sent"
        for kind, sent in growth.SENT[stage].items()
        if figures.events(published, kind) != sent
    ]
    hours, first = len({key[1] for key in published if key[0] in kinds}), None
    for reader in readers:
        started = time.monotonic()
        try:
            engine = reader(PAGE, scratch)
            seen, wrong_events, wrong_rows = compare(engine, kinds, fields, published)
        except Exception as error:
            # Whatever it raises: it cannot read the lake.
            told = " ".join(str(error).splitlines()[:3])
            print(f"{stage:<10}{reader.heading:<9}cannot read the lake", flush=True)
            wrong.append(f"{stage}: {reader.heading} cannot read the lake: {type(error).__name__}: {told[:600]}")
            continue
        first = first or seen["columns"]
        for kind in kinds:
            # Some take the kind's own partition for a column, some do not.
            columns, others = ({**there[kind], "kind": "string"} for there in (seen["columns"], first))
            if columns != others:
                wrong_events.append(f"{kind}: columns {columns}, and others have {others}")
        line = (len(kinds), hours, seen["events"], seen["figures"], len(wrong_events), seen["rows"], len(wrong_rows))
        print(
            f"{stage:<10}{reader.heading:<9}{engine.version:<8}"
            + "".join(f"{figure:>{width}}" for figure, width in zip(line, WIDTHS, strict=True))
            + f"{time.monotonic() - started:>9.1f}",
            flush=True,
        )
        wrong += [f"{stage}: {reader.heading}: {what}" for what in wrong_events + wrong_rows]
    return wrong


def run(services, endpoint, folder, scratch, stack):
    """Feeds the lake and reads it, stage by stage; gives what differs, in words."""
    account = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    sqs = boto3.client("sqs", **account)
    s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))
    bucket = services.env["LAKE_BUCKET"]
    readers, warming = list(engines.ENGINES), None
    if reason := engines.PySpark.missing():
        say(f"PySpark is left out: {reason}")
        readers.remove(engines.PySpark)
    else:
        warming = threading.Thread(target=engines.PySpark.warm, args=(scratch,))
        warming.start()
        # Spark writes to `scratch`, which must not go before it is done.
        stack.callback(warming.join)

    wrong = []
    for stage in growth.EVENTS:
        feed(services, sqs, folder, stage)
        published = figures.published(s3, bucket)
        fields = growth.fields([ROOT / "crates/contract/kinds", folder / stage])
        kinds = ["meter"] if stage == "retyped" else sorted({key[0] for key in published})
        if warming:
            warming.join()
        if stage == "before":
            print(
                f"{'':<27}"
                + "".join(f"{head:>{width}}" for head, width in zip(HEADS, WIDTHS, strict=True))
                + "  seconds"
            )
        wrong += compare_all(readers, scratch, stage, kinds, fields, published)
    s3fs = fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1")
    wrong += [f"Glue: {what}" for what in glue.check(ROOT, s3, s3fs, bucket, figures.keys)]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", help="of a running LocalStack")
    where.add_argument("--local-aws", action="store_true", help="start our own emulation")
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    arguments = parser.parse_args()

    binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
    started = time.monotonic()
    endpoint = arguments.endpoint or f"http://{LOCAL_AWS}"
    name = f"readers-{os.getpid()}"
    # For the services, and for the page's blocks, which run in this process.
    for variable in [variable for variable in os.environ if variable.startswith("AWS_")]:
        del os.environ[variable]
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "LAKE_BUCKET": name,
    }  # fmt: skip
    env = os.environ | {
        "QUEUE_NAME": name, "DLQ_NAME": f"{name}-dlq", "KEYS_TEXT": KEYS, "HEADWATER_API_KEY": KEY, "HEADWATER_INGEST_URL": f"http://{INGEST}",
        "LISTEN": INGEST, "METRICS_LISTEN": CONSUMER, "POLL_WAIT": "1s",
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-readers-")))
        scratch = folder / "scratch"
        scratch.mkdir()
        services = Services(binaries, folder, dict(env))
        stack.callback(services.stop_all)
        if arguments.local_aws:
            services.start("local-aws", "--listen", LOCAL_AWS, ready=f"{endpoint}/_local/health")
        wrong = run(services, endpoint, folder, scratch, stack)
    for what in wrong[:SHOWN]:
        print(what)
    print(f"readers: {len(wrong)} differences, {time.monotonic() - started:.0f} s")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
