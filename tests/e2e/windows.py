"""The windows that rules see, held against SQL over `curated/`: DuckDB computes each window anew.

The pipeline runs on our local-aws, each service a process of its own: recorded or made-up events go through ingest,
the consumer and the aggregator. The example `windows_of_lake` then follows `raw/` as the service `alerts` does, and
prints each window of a minute, as of each ten seconds, of each signal of each entity; what late events change it
prints again. DuckDB computes the same windows from the rows of `curated/`. Both must have the same windows with the
same count, min and max, and means within 1e-9.

    tests/python windows.py                                 events made up here, out of order and twice
    tests/python windows.py --binaries target/debug         with programs that are built already
    tests/python windows.py --recorded FOLDER               recorded data: FOLDER/vehicle-*/, FOLDER/cells-*/
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time
import urllib.request

import boto3
import duckdb
import oracle
from processes import ROOT, Queue, Services, build, require, say

KEY = "windows-test-key"
INGEST = "127.0.0.1:25000"
INGEST_ADMIN = "127.0.0.1:25001"
CONSUMER = "127.0.0.1:25101"
LOCAL_AWS = "127.0.0.1:25567"

# Seconds of made-up events, and how far one may be behind the newest of those before it: less than the lateness.
SPAN, BEHIND = 7_200, 280

# Columns of curated/ with numbers that are no signals.
FIELDS = ("year", "month", "day", "hour", "schema_version")
HIVE = "hive_partitioning = true, union_by_name = true"
NUMBERS = ("BIGINT", "BOOLEAN", "DOUBLE", "FLOAT", "INTEGER")

# Every window of a minute with a row in it, by the definition: `start <= time < end`, ends at multiples of ten seconds.
# Beside the relative bound of means one that is relative to the values: a mean near 0 carries their rounding.
COMPARE = """
    CREATE TABLE told AS SELECT kind, entity, signal, "end", count, mean, min, max
        FROM read_json($told, format = 'newline_delimited', columns = {'kind': 'VARCHAR', 'entity': 'VARCHAR',
            'signal': 'VARCHAR', 'end': 'BIGINT', 'revision': 'INTEGER', 'count': 'BIGINT', 'mean': 'DOUBLE',
            'min': 'DOUBLE', 'max': 'DOUBLE'})
        QUALIFY row_number() OVER (PARTITION BY kind, entity, signal, "end" ORDER BY revision DESC) = 1;
    CREATE TABLE wanted AS SELECT kind, entity, signal, "end", count(*) AS count, favg(value) AS mean,
            min(value) AS min, max(value) AS max
        FROM (SELECT *, unnest(generate_series(time // 10000 + 1, time // 10000 + 6)) * 10000 AS "end" FROM reading)
        WHERE "end" - 60000 <= time AND time < "end" GROUP BY ALL;
    CREATE TABLE difference AS SELECT concat_ws(' ', kind, entity, signal, "end", 'told', t.count, t.mean, t.min, t.max,
            'and by SQL', w.count, w.mean, w.min, w.max) AS what
        FROM told AS t FULL JOIN wanted AS w USING (kind, entity, signal, "end")
        WHERE (t.count = w.count AND t.min = w.min AND t.max = w.max
            AND abs(t.mean - w.mean) <= 1e-9 * abs(w.mean) + 1e-13 * greatest(abs(w.min), abs(w.max))) IS NOT TRUE;
"""


def declarations(folder, recorded):
    """The built-in kinds, for recordings without a bound to the age of events; gives the folder."""
    folder.mkdir()
    for file in (ROOT / "crates/contract/kinds").glob("*.toml") if recorded else ():
        declared = file.read_text().replace("[time]\n", "[time]\nmax_age_days = 10000\n")
        (folder / file.name).write_text(declared)
    return folder


def bring_in(services, recorded):
    """Imports recordings by the order of their times, one post after the other."""
    vehicles = sorted(recorded.glob("vehicle-*/**/*.csv.gz"))
    cells = sorted(recorded.glob("cells-*/**/*.csv.gz"), key=lambda file: file.name)
    require(vehicles and cells, f"{recorded} has recordings vehicle-*/ and cells-*/")
    for files, kind, query in ((vehicles, "vehicle", "obd2-kit.sql"), (cells, "cell", "ucc-5g.sql")):
        say(f"{len(files)} recordings of kind {kind}")
        sql = ROOT / "docs/examples" / query
        told = services.run("import", *files, "--kind", kind, "--sql", sql, "--connections", "1")
        print(told.splitlines()[-2])


def made_up(chance):
    """Events of vehicles and cells, some on the very ends of windows, as (time in ms, path, event)."""
    begin = int(time.time()) - SPAN - 600
    begin -= begin % 10
    for number in range(40_000):
        at = (begin + chance.randrange(SPAN)) * 1000 + chance.choice((0, 0, 1, 500, 999))
        told = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).isoformat(timespec="milliseconds")
        told = told.replace("+00:00", "Z")
        if number % 2:
            signals = {"engine_rpm": chance.randrange(6000), "brake_status": chance.random() < 0.5}
            signals |= {"drift": 1e6 + chance.random()}
            event = {"vehicle_id": f"veh-{chance.randrange(20)}", "can_id": "0x1F0", "timestamp": told}
            yield at, "vehicle", event | {"event_id": f"v{number}", "payload": signals}
        else:
            signals = {"rsrp_dbm": -chance.random() * 120, "rrc_users": chance.randrange(400)}
            signals |= {"near_zero": chance.random() - 0.5}
            event = {"entity_id": f"CELL-{chance.randrange(15)}", "entity_type": "cell", "event_time": told}
            event |= {"schema_version": 1, "source": "test", "event_id": f"c{number}", "metrics": signals}
            yield at, "cell", event


def post_made_up():
    """Posts them out of order, one in twenty twice; gives their number."""
    chance = random.Random(7)
    events = sorted(made_up(chance), key=lambda event: event[0] + chance.randrange(BEHIND * 1000))
    sent = 0
    for at in range(0, len(events), 200):
        for kind in ("vehicle", "cell"):
            lines = [json.dumps(event) for _, of, event in events[at : at + 200] if of == kind]
            lines += [line for line in lines if chance.random() < 0.05]
            request = urllib.request.Request(
                f"http://{INGEST}/v1/events/{kind}", "\n".join(lines).encode(),
                {"content-type": "application/x-ndjson", "x-api-key": KEY},
            )  # fmt: skip
            with urllib.request.urlopen(request, timeout=60) as answer:
                accepted = json.loads(answer.read())
            require(accepted["accepted"] == len(lines), f"{len(lines)} events are accepted: {accepted}")
            sent += len(lines)
    say(f"{sent} events, up to {BEHIND} s out of order, {sent - len(events)} of them twice")


def readings(sql, folder):
    """Makes a table of the numbers in curated/, a row for each signal of each event; gives the number of rows."""
    sql.execute("CREATE TABLE reading (kind VARCHAR, entity VARCHAR, signal VARCHAR, time BIGINT, value DOUBLE)")
    for kind in sorted(path.name.removeprefix("kind=") for path in (folder / "curated").iterdir()):
        files = f"read_parquet('{folder}/curated/kind={kind}/**/*.parquet', {HIVE})"
        found = sql.execute(f"DESCRIBE FROM {files}").fetchall()
        signals = [name for name, type, *_ in found if type in NUMBERS and name not in FIELDS]
        columns = ", ".join(f'"{name}"::DOUBLE AS "{name}"' for name in signals)
        sql.execute(f"""
            INSERT INTO reading SELECT '{kind}', entity, signal, time, value FROM (
                UNPIVOT (SELECT entity_id AS entity, epoch_ms(event_time) AS time, {columns} FROM {files})
                ON COLUMNS(* EXCLUDE (entity, time)) INTO NAME signal VALUE value)""")
        say(f"{kind}: signals {', '.join(signals)}")
    return sql.execute("SELECT count(*) FROM reading").fetchone()[0]


def compare(folder, told):
    """The number of windows that DuckDB finds, and what differs, in words."""
    with duckdb.connect(str(folder / "windows.duckdb")) as sql:
        rows = readings(sql, folder / "lake")
        for statement in COMPARE.split(";\n"):
            if statement.strip():
                sql.execute(statement, {"told": str(told)} if "$told" in statement else None)
        (windows,) = sql.execute("SELECT count(*) FROM wanted").fetchone()
        say(f"{rows} readings in curated/")
        return windows, [what for (what,) in sql.execute("SELECT what FROM difference ORDER BY what").fetchall()]


def run(arguments, services, env):
    services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
    env["METRICS_LISTEN"] = CONSUMER
    # One after the other: the order of arrival is the order of the posts. Made-up events make many parts, so that
    # events are late in windows that are given already.
    full = [] if arguments.recorded else ["--batch-max-messages", "1"]
    services.start("batch-consumer", "--receivers", "1", *full, ready=f"http://{CONSUMER}/readyz")
    env |= {"LISTEN": INGEST, "METRICS_LISTEN": INGEST_ADMIN}
    services.start("ingest", ready=f"http://{INGEST_ADMIN}/readyz")
    if arguments.recorded:
        bring_in(services, arguments.recorded)
    else:
        post_made_up()
    account = {
        "endpoint_url": f"http://{LOCAL_AWS}", "region_name": "us-east-1", "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }  # fmt: skip
    Queue(boto3.client("sqs", **account), env["QUEUE_NAME"]).drained()
    services.stop("ingest")
    services.stop("batch-consumer")
    print(services.run("aggregator", "once").splitlines()[0])
    s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))
    folder, told = services.folder, services.folder / "windows.jsonl"
    oracle.download(s3, env["LAKE_BUCKET"], folder / "lake")
    with told.open("wb") as out:
        # Of recordings what overtakes on the way from ingest to the lake is late by some posts.
        program = [services.binaries / "examples/windows_of_lake", "--lateness", "1h" if arguments.recorded else "5m"]
        done = subprocess.run(program, env=env, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr.strip())
    require(done.returncode == 0, "windows_of_lake ends well")
    windows, differences = compare(folder, told)
    require(windows > 50_000, f"only {windows} windows were there to compare")
    require(not differences, f"{len(differences)} of {windows} windows differ, such as {differences[:10]}")
    say(f"{windows} windows of a minute are what DuckDB computes from curated/")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of programs that are built already, with examples/")
    parser.add_argument("--recorded", type=pathlib.Path, help="folder with recorded data, in place of made-up events")
    arguments = parser.parse_args()
    binaries = arguments.binaries.resolve() if arguments.binaries else build(False, "--examples")
    name = f"windows-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="headwater-windows-") as temporary:
        folder = pathlib.Path(temporary)
        env = {variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": f"http://{LOCAL_AWS}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "LAKE_BUCKET": name, "QUEUE_NAME": name, "DLQ_NAME": f"{name}-dlq",
            "API_KEYS": KEY, "HEADWATER_API_KEY": KEY, "READ_KEYS": KEY, "POLL_WAIT": "1s", "HEADWATER_INGEST_URL": f"http://{INGEST}",
            "CONTRACTS": str(declarations(folder / "contracts", arguments.recorded is not None)),
        }  # fmt: skip
        services = Services(binaries, folder, env)
        try:
            run(arguments, services, env)
        finally:
            services.stop_all()


if __name__ == "__main__":
    main()
