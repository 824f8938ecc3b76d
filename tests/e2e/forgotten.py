"""An entity with events in a thousand hours is forgotten, by a command that is killed ten times meanwhile.

Raw objects are put into a bucket of their own, and committed; a part of them waits. An aggregator watches all the time,
and events of others go on arriving. `aggregator forget` is killed with SIGKILL at ten moments, the eleventh run ends.
Then nothing of the entity may stand in any object, nor in any version of one: not in its bytes, nor in the columns and
statistics of Parquet; and the rows, aggregates and lines of all others must be there as they were.

    tests/python forgotten.py                                       starts local-aws, which keeps no versions
    tests/python forgotten.py --binaries target/debug               with programs that are built already
    tests/python forgotten.py --endpoint http://127.0.0.1:4566      a LocalStack, a hundred hours; the bucket keeps versions
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import tempfile
import time
import uuid

import boto3
import duckdb

from processes import Services, build, require, say

LOCAL_AWS, ADMIN = "127.0.0.1:26567", "127.0.0.1:26102"
GONE = "veh-forgotten"
OTHERS = [f"veh-{number:03}" for number in range(4)]
HOURS, KILLS = 1_000, 10
# LocalStack 4.12 gives nothing after the first thousand keys of a listing.
HOURS_WITH_VERSIONS = 100
# Events of an object, about.
PER_OBJECT = 500


def text(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Lake:
    """The bucket, and what was put into it."""

    def __init__(self, s3, bucket, now):
        self.s3, self.bucket, self.now = s3, bucket, now
        self.others, self.made = set(), 0

    def line(self, entity, at):
        self.made += 1
        event = f"{entity}-{self.made}"
        if entity != GONE:
            self.others.add(event)
        told = {"kind": "vehicle", "event_id": event, "ingest_received_at": text(self.now), "timestamp": text(at)}
        told |= {"vehicle_id": entity, "can_id": "0x1F0", "payload": {"engine_rpm": self.made % 8000, "note": entity}}
        return json.dumps(told) + "\n"

    def land(self, lines):
        """Puts an object as the consumer names it: 48 bits of the arrival, and version and variant of its UUID."""
        name = int(self.now.timestamp() * 1000) << 80 | 8 << 76 | 2 << 62 | random.getrandbits(60)
        key = f"raw/{self.now:year=%Y/month=%m/day=%d/hour=%H}/part-{uuid.UUID(int=name)}.jsonl"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body="".join(lines).encode())

    def land_all(self, lines):
        for start in range(0, len(lines), PER_OBJECT):
            self.land(lines[start : start + PER_OBJECT])

    def objects(self):
        """Every version of every object: a name that no other has, and the bytes."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            yield entry["Key"], self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
        try:
            pages = list(self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket))
        except self.s3.exceptions.ClientError:
            say("the endpoint knows of no versions")
            return
        old = [entry for page in pages for entry in page.get("Versions", []) if not entry["IsLatest"]]
        say(f"{len(old)} old versions")
        for entry in old:
            place = {"Bucket": self.bucket, "Key": entry["Key"], "VersionId": entry["VersionId"]}
            folder, _, name = entry["Key"].rpartition("/")
            yield f"old/{folder}/{entry['VersionId']}-{name}", self.s3.get_object(**place)["Body"].read()

    def fetch(self, folder):
        """Stores all that there is in a folder, and gives the files in which the entity's name occurs."""
        named = []
        for key, body in self.objects():
            file = folder / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            if GONE.encode() in body:
                named.append(key)
        return named


def in_columns(folder):
    """The Parquet files that have the entity's name in a value of any column, or in a statistic."""
    found = set()
    database = duckdb.connect()
    for place in ("curated", "aggregates", "old"):
        files = sorted(str(file) for file in folder.glob(f"{place}/**/*.parquet"))
        for start in range(0, len(files), 200):
            some = {"files": files[start : start + 200]}
            rows = f"""SELECT DISTINCT filename FROM read_parquet($files, union_by_name = true, filename = true) AS part
                WHERE contains(part::VARCHAR, '{GONE}')"""
            notes = f"""SELECT DISTINCT file_name FROM parquet_metadata($files)
                WHERE contains(concat(stats_min_value, stats_max_value, stats_min, stats_max), '{GONE}')"""
            found |= {name for (name,) in database.execute(rows, some).fetchall()}
            found |= {name for (name,) in database.execute(notes, some).fetchall()}
    return sorted(found)


def others(folder):
    """Rows and aggregates of the others, and the ids of their lines."""
    database = duckdb.connect()
    rows = f"""SELECT event_id, entity_id, event_time, engine_rpm, note, year, month, day, hour
        FROM read_parquet('{folder}/curated/**/*.parquet', union_by_name = true, hive_partitioning = true)
        WHERE entity_id <> '{GONE}' ORDER BY ALL"""
    counts = f"""SELECT entity_id, event_hour, signal, messages, count, min, max, mean
        FROM read_parquet('{folder}/aggregates/**/*.parquet', union_by_name = true)
        WHERE entity_id <> '{GONE}' ORDER BY ALL"""
    lines = set()
    for file in folder.glob("raw/**/*.jsonl"):
        for line in filter(str.strip, file.read_text().splitlines()):
            lines.add(json.loads(line)["event_id"])
    jsonl = sorted(
        line
        for file in folder.glob("aggregates/**/*.jsonl")
        for line in file.read_text().splitlines()
        if json.loads(line)["entity_id"] != GONE
    )
    return database.execute(rows).fetchall(), database.execute(counts).fetchall(), jsonl, lines


def killed(services, longest):
    """Kills the command at ten moments of its run."""
    kills = 0
    for attempt in range(10 * KILLS):
        if kills == KILLS:
            return
        process = services.begin("aggregator", "forget", "--kind", "vehicle", "--entity", GONE, "--yes")
        # The first ones soon, so that there is something left for the later ones.
        time.sleep(0.15 + random.random() * longest * (kills + 1) / KILLS)
        was_running = process.poll() is None
        process.kill()
        process.wait()
        kills += was_running
        longest *= 1 if was_running else 0.7
    require(kills == KILLS, f"{kills} of {KILLS} kills met the command while it ran")


def run(services, lake, work, hours):
    since = lake.now - datetime.timedelta(hours=hours)
    times = [since + datetime.timedelta(hours=hour, minutes=7) for hour in range(hours)]
    first = [lake.line(entity, at) for at in times for entity in [GONE, *OTHERS]]
    lake.land_all(first)
    services.run("aggregator", "once")
    # Repeats, late events, and events that nobody has committed.
    lake.land_all(first[::7] + [lake.line(entity, at) for at in times[::3] for entity in [GONE, OTHERS[0]]])
    services.run("aggregator", "once")
    lake.land_all([lake.line(entity, at) for at in times[::5] for entity in [GONE, OTHERS[1]]])
    begun = time.monotonic()
    said = services.run("aggregator", "forget", "--kind", "vehicle", "--entity", GONE, "--dry-run")
    took = time.monotonic() - begun
    say(f"dry run, {took:.1f} s: {said.splitlines()[0]}")
    watch = ["watch", "--interval", "1s", "--commit-max-age", "0s", "--metrics-listen", ADMIN]
    services.start("aggregator", *watch, ready=f"http://{ADMIN}/livez")
    killed(services, 2 * took)
    say(f"killed {KILLS} times")
    lake.land_all([lake.line(entity, at) for at in times[::11] for entity in OTHERS])
    begun = time.monotonic()
    said = services.run("aggregator", "forget", "--kind", "vehicle", "--entity", GONE, "--yes")
    say(f"{time.monotonic() - begun:.1f} s: {said.splitlines()[0]}")
    services.stop("aggregator")
    services.run("aggregator", "once")

    after = work / "after"
    named = lake.fetch(after)
    require(not named, f"`{GONE}` stands in {len(named)} objects: {named[:5]}")
    columns = in_columns(after)
    require(not columns, f"`{GONE}` stands in columns of {len(columns)} files: {columns[:5]}")
    rows, counts, jsonl, lines = others(after)
    ids = [row[0] for row in rows]
    require(len(ids) == len(set(ids)), "an event of others stands twice")
    require(set(ids) == lake.others, f"{len(lake.others - set(ids))} events of others are missing")
    require(lines == lake.others, f"{len(lake.others - lines)} lines of others are missing from raw/")

    # As if the entity had never been: the same lines without its own, in a bucket of their own.
    say(f"{len(ids)} events of others, in as many hours; now a lake without `{GONE}`")
    never = Lake(lake.s3, f"{lake.bucket}-never", lake.now)
    lake.s3.create_bucket(Bucket=never.bucket)
    stay = [line for file in after.glob("raw/**/*.jsonl") for line in file.read_text().splitlines() if line.strip()]
    never.land_all([f"{line}\n" for line in stay])
    services.env = services.env | {"LAKE_BUCKET": never.bucket}
    services.run("aggregator", "once")
    never.fetch(work / "never")
    never_rows, never_counts, never_jsonl, _ = others(work / "never")
    require(rows == never_rows, "the rows of others differ from those of a lake without the entity")
    require([row[:7] for row in counts] == [row[:7] for row in never_counts], "the aggregates of others differ")
    require(len(jsonl) == len(never_jsonl), "the lines of aggregates of others differ")
    again = services.run("aggregator", "forget", "--kind", "vehicle", "--entity", GONE, "--yes")
    require("nothing of this entity was found" in again, again)
    say(f"forgotten: {len(rows)} rows and {len(counts)} aggregates of others are those of a lake without it")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of programs that are built already")
    parser.add_argument("--endpoint", help="a LocalStack that runs already, rather than local-aws")
    options = parser.parse_args()
    binaries = (options.binaries or build(False)).resolve()
    endpoint = options.endpoint or f"http://{LOCAL_AWS}"
    bucket = f"forgotten-{uuid.uuid4().hex[:8]}"
    env = os.environ | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "LAKE_BUCKET": bucket}
    env |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "RUST_LOG": "warn"}
    work = pathlib.Path(tempfile.mkdtemp(prefix="forgotten-"))
    services = Services(binaries, work, env)
    try:
        if not options.endpoint:
            services.start("local-aws", "--listen", LOCAL_AWS, ready=f"{endpoint}/_local/health")
        account = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        account |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))
        s3.create_bucket(Bucket=bucket)
        if options.endpoint:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        hours = HOURS_WITH_VERSIONS if options.endpoint else HOURS
        run(services, Lake(s3, bucket, datetime.datetime.now(datetime.UTC)), work, hours)
    finally:
        services.stop_all()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
