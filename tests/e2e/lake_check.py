"""An outside reader's check of the lake: DuckDB computes the hourly aggregates from raw/ and holds ours against them.

It knows the lake's layout and its files' columns, and shares no code with the services. It reads

* `raw/`: the distinct events, an event being distinct by kind, event hour and `event_id`;
* `curated/`, as the Hive-partitioned data set that it is: each of those events, once, with the values of its signals;
* `aggregates/`: per kind, hour, entity and signal the same count, min and max, mean and standard deviation within
  1e-9, percentiles within 1 %; Parquet and JSONL alike.

Run it when the queue is drained and the aggregator has run. It prints what it compared and exits 1 on any difference.

    tests/python lake_check.py --folder data/lake
    tests/python lake_check.py --endpoint http://127.0.0.1:4566 --bucket headwater-lake
"""

import argparse
import re
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

HOUR = r"year=\d{4}/month=\d\d/day=\d\d/hour=\d\d"
KIND = r"[a-z][a-z0-9_]*"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
LAYOUT = {
    "raw/": re.compile(rf"raw/{HOUR}/part-{UUID}\.jsonl"),
    "curated/": re.compile(rf"curated/kind={KIND}/{HOUR}/part-\d+\.parquet"),
    "aggregates/": re.compile(rf"aggregates/{HOUR}/{KIND}\.(parquet|jsonl)"),
}

# An aggregate row, but for the `sketch` that Parquet has besides. `event_hour` is compared as a UTC timestamp.
AGGREGATE_COLUMNS = {
    "kind": "VARCHAR",
    "entity_id": "VARCHAR",
    "event_hour": "TIMESTAMP",
    "signal": "VARCHAR",
    "unit": "VARCHAR",
    "messages": "BIGINT",
    "count": "BIGINT",
    "min": "DOUBLE",
    "max": "DOUBLE",
    "mean": "DOUBLE",
    "stddev": "DOUBLE",
    "p50": "DOUBLE",
    "p95": "DOUBLE",
    "p99": "DOUBLE",
}
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SHOWN = 20


class Unreadable(Exception):
    """The lake, or a file of it, cannot be read as what it should be."""


@dataclass(frozen=True)
class Contract:
    """Where an event of a kind holds its entity, time and signals."""

    entity: str
    time: str
    signals: str


BUILT_IN = {
    "vehicle": Contract("vehicle_id", "timestamp", "payload"),
    "cell": Contract("entity_id", "event_time", "metrics"),
}


def contracts(folder):
    """The built-in kinds and those that the folder's TOML files declare."""
    found = dict(BUILT_IN)
    for file in sorted(folder.glob("*.toml")) if folder else []:
        declared = tomllib.loads(file.read_text())
        found[declared["kind"]] = Contract(*(declared[part]["field"] for part in ("entity", "time", "signals")))
    return found


def local_keys(folder):
    """The keys of a lake kept as files: paths relative to its folder."""
    if not folder.is_dir():
        raise Unreadable(f"there is no folder {folder}")
    for prefix in LAYOUT:
        for file in sorted((folder / prefix).rglob("*")):
            if file.is_file():
                yield file.relative_to(folder).as_posix()


def download(endpoint, bucket, folder):
    """Copies the lake's objects into `folder` and yields all keys, those that fit no pattern left where they are."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = boto3.client(
        "s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}, max_pool_connections=8)
    )

    def fetch(key):
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(file))

    try:
        pages = s3.get_paginator("list_objects_v2")
        for prefix, pattern in LAYOUT.items():
            keys = [
                item["Key"]
                for page in pages.paginate(Bucket=bucket, Prefix=prefix)
                for item in page.get("Contents", [])
            ]
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(fetch, filter(pattern.fullmatch, keys)))
            yield from keys
    except (BotoCoreError, ClientError) as error:
        raise Unreadable(f"cannot read bucket {bucket} at {endpoint}: {error}") from error


class Check:
    """The check of one lake: tables in a DuckDB of its own, and in `difference` what does not hold."""

    def __init__(self, folder, keys, kinds, scratch):
        self.folder = folder
        self.kinds = kinds
        self.keys = {prefix: [key for key in keys if key.startswith(prefix)] for prefix in LAYOUT}
        # In a file, so that a lake larger than memory can be checked.
        self.sql = duckdb.connect(scratch / "check.duckdb")
        # Times without a zone are UTC below, and stay UTC whatever the machine's zone is.
        self.sql.execute("SET TimeZone = 'UTC'")
        self.sql.execute("SET preserve_insertion_order = false")
        self.sql.execute("CREATE TABLE difference (kind VARCHAR, what VARCHAR)")

    def run(self):
        """Fills `difference`; the order is that in which a reader would want to hear of it."""
        self.check_layout()
        self.load_raw()
        self.check_raw()
        self.check_curated()
        self.load_aggregates()
        self.check_aggregates()

    def report(self, query, parameters=None):
        """Adds the rows of `query`, kind and words, to the differences."""
        self.sql.execute(f"INSERT INTO difference {query}", parameters)

    def files(self, prefix, ending=""):
        fitting = (key for key in self.keys[prefix] if LAYOUT[prefix].fullmatch(key))
        return [str(self.folder / key) for key in fitting if key.endswith(ending)]

    def one(self, query):
        return self.sql.execute(query).fetchone()[0]

    def check_layout(self):
        for prefix, keys in self.keys.items():
            for key in keys:
                if not LAYOUT[prefix].fullmatch(key):
                    self.report("VALUES ('-', ?)", [f"key {key} does not fit {LAYOUT[prefix].pattern}"])

    # raw/

    def load_raw(self):
        """`line`: each line of raw/. `event`: each distinct event, with `variants`, the number of different contents
        that its id came with. `reading`: each signal of each event."""
        files = self.files("raw/")
        if not files:
            raise Unreadable("raw/ holds no events: there is nothing to check")
        lines = "read_ndjson_objects($files, filename = true)"
        self.sql.execute("CREATE TABLE json_line (kind VARCHAR, json JSON, filename VARCHAR)")
        self.sql.execute(
            f"INSERT INTO json_line SELECT json ->> '$.kind', json, filename FROM {lines}", {"files": files}
        )

        found = [
            kind
            for (kind,) in self.sql.execute("SELECT DISTINCT kind FROM json_line WHERE kind IS NOT NULL").fetchall()
        ]
        unknown = sorted(set(found) - set(self.kinds))
        if unknown:
            raise Unreadable(
                f"raw/ holds kinds without a contract: {', '.join(unknown)}; give their folder as --contracts"
            )

        self.sql.execute("""CREATE TABLE line (kind VARCHAR, event_id VARCHAR, entity_id VARCHAR, time TIMESTAMP,
            received TIMESTAMP, signals JSON, filename VARCHAR)""")
        for kind in found:
            contract = self.kinds[kind]
            self.sql.execute(
                """INSERT INTO line SELECT kind, json ->> '$.event_id', json ->> $entity,
                   -- By way of a time with zone: straight to TIMESTAMP, DuckDB drops the text's offset.
                   try_cast(json ->> $time AS TIMESTAMPTZ)::TIMESTAMP,
                   try_cast(json ->> '$.ingest_received_at' AS TIMESTAMPTZ)::TIMESTAMP,
                   json -> $signals, filename FROM json_line WHERE kind = $kind""",
                {
                    "kind": kind,
                    "entity": f'$."{contract.entity}"',
                    "time": f'$."{contract.time}"',
                    "signals": f'$."{contract.signals}"',
                },
            )
        self.sql.execute("""
            CREATE TABLE variant AS
            SELECT DISTINCT kind, date_trunc('hour', time) AS hour, event_id, entity_id, time,
                   list_sort(map_entries(from_json(signals, '"MAP(VARCHAR, JSON)"'))) AS signals
            FROM line WHERE event_id IS NOT NULL AND time IS NOT NULL;

            CREATE TABLE event AS
            SELECT kind, hour, event_id, any_value(entity_id) AS entity_id, any_value(signals) AS signals,
                   count(*) AS variants
            FROM variant GROUP BY ALL;

            -- Which content of a conflicting id came first is not to be seen in raw/: what it touches is left aside.
            CREATE TABLE conflicting AS
            SELECT DISTINCT kind, hour, entity_id
            FROM variant SEMI JOIN (FROM event WHERE variants > 1) USING (kind, hour, event_id);

            CREATE TABLE reading AS
            SELECT kind, hour, event_id, entity_id, entry.key AS signal, json_type(entry.value) AS type,
                   -- try_cast, since DuckDB may cast a value before it looks which branch is its own.
                   CASE type WHEN 'VARCHAR' THEN NULL
                             WHEN 'BOOLEAN' THEN try_cast(entry.value AS BOOLEAN)::INT::DOUBLE
                             ELSE try_cast(entry.value AS DOUBLE) END AS value,
                   CASE WHEN type = 'VARCHAR' THEN entry.value ->> '$' END AS text
            FROM (SELECT *, unnest(signals) AS entry FROM event WHERE variants = 1);
        """)

    def check_raw(self):
        self.report("""
            SELECT coalesce(kind, '-'), 'a line of ' || filename || ' has no kind' FROM json_line WHERE kind IS NULL""")
        self.report("""
            SELECT kind, 'event ' || coalesce(event_id, '?') || ' in ' || filename || ' lacks its id, entity, time, '
                         || 'signals or ingest_received_at, or one of them cannot be read'
            FROM line
            WHERE event_id IS NULL OR entity_id IS NULL OR time IS NULL OR received IS NULL OR signals IS NULL""")
        self.report("""
            SELECT kind, 'event ' || event_id || ', received at ' || received || ', lies in ' || filename
            FROM line WHERE NOT contains(filename, strftime(received, 'year=%Y/month=%m/day=%d/hour=%H/'))""")

    # curated/

    def check_curated(self):
        self.sql.execute("""CREATE TABLE curated (kind VARCHAR, hour TIMESTAMP, event_id VARCHAR, entity_id VARCHAR,
            time TIMESTAMP, received TIMESTAMP)""")
        if not self.files("curated/"):
            self.report("SELECT kind, count(*) || ' events of raw/ have no curated/' FROM event GROUP BY kind")
            return
        # As anyone would read it: the partitions' columns come from the path.
        self.sql.execute(
            """INSERT INTO curated
               SELECT kind, make_timestamp(year::BIGINT, month::BIGINT, day::BIGINT, hour::BIGINT, 0, 0) AS hour,
                      event_id::VARCHAR AS event_id, entity_id, event_time::TIMESTAMP AS time,
                      ingest_received_at::TIMESTAMP AS received
               FROM read_parquet($files, hive_partitioning = true, union_by_name = true)""",
            {"files": str(self.folder / "curated/**/*.parquet")},
        )
        self.report("""
            SELECT kind, 'event ' || event_id || ' stands ' || count(*) || ' times in curated/ hour ' || hour
            FROM curated GROUP BY kind, hour, event_id HAVING count(*) > 1""")
        self.report("""
            SELECT kind, 'event ' || event_id || ' of ' || hour || ' is in raw/ and not in curated/'
            FROM event ANTI JOIN curated USING (kind, hour, event_id)""")
        self.report("""
            SELECT kind, 'event ' || event_id || ' of ' || hour || ' is in curated/ and not in raw/'
            FROM curated ANTI JOIN event USING (kind, hour, event_id)""")
        self.report("""
            SELECT kind, 'event ' || event_id || ' has another entity or time in curated/ than in raw/'
            FROM curated SEMI JOIN event USING (kind, hour, event_id)
            WHERE NOT EXISTS (FROM variant WHERE variant.kind = curated.kind AND variant.hour = curated.hour
                AND variant.event_id = curated.event_id AND variant.entity_id = curated.entity_id
                AND date_trunc('millisecond', variant.time) = date_trunc('millisecond', curated.time))""")
        self.report("""
            SELECT kind, 'event ' || event_id || ' has an ingest_received_at in curated/ that none in raw/ has'
            FROM curated SEMI JOIN event USING (kind, hour, event_id)
            WHERE NOT EXISTS (FROM line WHERE line.kind = curated.kind AND line.event_id = curated.event_id
                AND line.received = curated.received)""")

        for kind in self.kinds:
            self.check_values(kind)

    def check_values(self, kind):
        """Each signal of raw/ has its value in the column of its name, and the column holds nothing else."""
        folder = self.folder / f"curated/kind={kind}"
        signals = self.sql.execute("SELECT DISTINCT signal FROM reading WHERE kind = ? ORDER BY ALL", [kind]).fetchall()
        if not signals or not folder.is_dir():
            return
        self.sql.execute(
            """CREATE OR REPLACE TEMP TABLE row AS
               FROM (SELECT * REPLACE (
                         make_timestamp(year::BIGINT, month::BIGINT, day::BIGINT, hour::BIGINT, 0, 0) AS hour)
                     FROM read_parquet($files, hive_partitioning = true, union_by_name = true))
               SEMI JOIN (FROM event WHERE kind = $kind AND variants = 1) USING (hour, event_id)""",
            {"files": str(folder / "**/*.parquet"), "kind": kind},
        )
        columns = {name for name, *_ in self.sql.execute("DESCRIBE row").fetchall()}
        for (signal,) in signals:
            if signal not in columns:
                self.report("VALUES (?, ?)", [kind, f"signal {signal} has no column in curated/"])
                continue
            column = 'row."' + signal.replace('"', '""') + '"'
            self.report(
                f"""SELECT $kind, concat('event ', event_id, ' has ', $signal, ' ', coalesce({column}::VARCHAR, 'null'),
                        ' in curated/ and ', coalesce(text, value::VARCHAR, 'none'), ' in raw/')
                    FROM row LEFT JOIN (FROM reading WHERE kind = $kind AND signal = $signal) USING (hour, event_id)
                    WHERE CASE WHEN text IS NULL THEN try_cast({column} AS DOUBLE) IS DISTINCT FROM value
                               ELSE {column}::VARCHAR IS DISTINCT FROM text END""",
                {"kind": kind, "signal": signal},
            )

    # aggregates/

    def load_aggregates(self):
        """`parquet` and `jsonl`: the rows of aggregates/ in either format, one table each, same columns."""
        # `event_hour` with its zone at first, which is UTC but need not be spelt so.
        shape = ", ".join(f"'{name}': '{type}'" for name, type in (AGGREGATE_COLUMNS | {"event_hour": "TIMESTAMPTZ"}).items())
        options = "filename = true, hive_partitioning = false"
        for table, reader in (
            ("parquet", f"read_parquet($files, union_by_name = true, {options})"),
            ("jsonl", f"read_json($files, format = 'newline_delimited', columns = {{{shape}}}, {options})"),
        ):
            columns = ", ".join(f'"{name}" {type}' for name, type in AGGREGATE_COLUMNS.items())
            self.sql.execute(f"CREATE TABLE {table} ({columns}, filename VARCHAR)")
            files = self.files("aggregates/", "." + table)
            if files:
                cast = ", ".join(f'"{name}"::{type}' for name, type in AGGREGATE_COLUMNS.items())
                self.sql.execute(f"INSERT INTO {table} SELECT {cast}, filename FROM {reader}", {"files": files})
            self.sql.execute(f"ALTER TABLE {table} RENAME event_hour TO hour")
            self.report(f"""
                SELECT kind, 'a row of hour ' || hour || ' lies in ' || filename FROM {table}
                WHERE NOT ends_with(filename, strftime(hour, 'year=%Y/month=%m/day=%d/hour=%H/')
                    || kind || '.{table}')""")
            self.report(f"""
                SELECT kind, concat_ws(' ', '{table} row', hour, entity_id, signal, 'stands', count(*), 'times')
                FROM {table} GROUP BY kind, hour, entity_id, signal HAVING count(*) > 1""")

    def check_aggregates(self):
        """Every hour, entity and signal of raw/ has its row, with DuckDB's own figures, and there are no others."""
        quantiles = ", ".join(f"quantile_cont(value, {q}) AS {name}" for name, q in PERCENTILES.items())
        # 1 % of the two values that a percentile lies between, each by its share. Of the percentile itself, that is,
        # unless they differ in sign: then it may be near 0 while they are not.
        scales = ", ".join(
            f"abs(sorted[floor((count - 1) * {q})::INT + 1]) * (1 - ((count - 1) * {q}) % 1) + "
            f"abs(sorted[ceil((count - 1) * {q})::INT + 1]) * (((count - 1) * {q}) % 1) AS {name}_scale"
            for name, q in PERCENTILES.items()
        )
        self.sql.execute(f"""
            CREATE TABLE expected AS
            WITH figure AS (
                SELECT kind, hour, entity_id, signal,
                       -- Text has a count and nothing else.
                       CASE WHEN count(value) > 0 THEN count(value) ELSE count(*) END AS count,
                       min(value) AS min, max(value) AS max, favg(value) AS mean, stddev_samp(value) AS stddev,
                       {quantiles}, list_sort(list(value) FILTER (value IS NOT NULL)) AS sorted
                FROM reading GROUP BY ALL
            ), entity AS (
                SELECT kind, hour, entity_id, count(*) AS messages FROM event GROUP BY ALL
            )
            SELECT * EXCLUDE (sorted), {scales} FROM figure JOIN entity USING (kind, hour, entity_id)
            ANTI JOIN conflicting USING (kind, hour, entity_id)
        """)

        close = "abs(p.{0} - e.{0}) <= {1}"
        size = "greatest(abs(e.min), abs(e.max))"
        holds = {name: f"p.{name} = e.{name}" for name in ("messages", "count", "min", "max")}
        # Beside the relative bound one that is relative to the values: a mean near 0 carries their rounding.
        holds |= {name: close.format(name, f"1e-9 * abs(e.{name}) + 1e-13 * {size}") for name in ("mean", "stddev")}
        holds |= {name: close.format(name, f"0.01 * e.{name}_scale + 1e-9") for name in PERCENTILES}
        wrong = ", ".join(
            f"CASE WHEN NOT coalesce({test}, p.{name} IS NULL AND e.{name} IS NULL) THEN "
            f"concat('{name} ', coalesce(p.{name}::VARCHAR, 'null'), ' for ', coalesce(e.{name}::VARCHAR, 'null')) END"
            for name, test in holds.items()
        )
        self.report(f"""
            SELECT kind, concat_ws(' ', hour, entity_id, signal || ':', CASE
                WHEN p.count IS NULL THEN 'has no row in aggregates/'
                WHEN e.count IS NULL THEN 'has a row in aggregates/ and no event in raw/'
                ELSE concat_ws(', ', {wrong}) END)
            FROM (FROM parquet ANTI JOIN conflicting USING (kind, hour, entity_id)) AS p
            FULL JOIN expected AS e USING (kind, hour, entity_id, signal)
            WHERE p.count IS NULL OR e.count IS NULL OR concat_ws(', ', {wrong}) <> ''""")

        keys = ("kind", "hour", "entity_id", "signal")
        differs = [f"p.{name} IS DISTINCT FROM j.{name}" for name in AGGREGATE_COLUMNS if name not in (*keys, "event_hour")]
        self.report(f"""
            SELECT kind, concat_ws(' ', hour, entity_id, signal || ':', CASE
                WHEN j.filename IS NULL THEN 'is in Parquet and not in JSONL'
                WHEN p.filename IS NULL THEN 'is in JSONL and not in Parquet'
                ELSE 'differs between Parquet and JSONL' END)
            FROM parquet AS p FULL JOIN jsonl AS j USING (kind, hour, entity_id, signal)
            WHERE j.filename IS NULL OR p.filename IS NULL OR {" OR ".join(differs)}""")

    # What is printed

    def print_table(self):
        for prefix, keys in self.keys.items():
            print(f"{prefix:<12} {len(keys):>8} objects")
        print()
        self.sql.execute("""
            SELECT kind, events, coalesce(repeats, 0), coalesce(conflicts, 0), coalesce(curated, 0), coalesce(hours, 0),
                   coalesce(entities, 0), coalesce(rows, 0), coalesce(differences, 0)
            FROM (SELECT kind, count(*) AS events, count(*) FILTER (variants > 1) AS conflicts FROM event GROUP BY kind)
            LEFT JOIN (SELECT kind, count(*) - (SELECT count(*) FROM event WHERE event.kind = line.kind) AS repeats
                       FROM line GROUP BY kind) USING (kind)
            LEFT JOIN (SELECT kind, count(*) AS curated FROM curated GROUP BY kind) USING (kind)
            LEFT JOIN (SELECT kind, count(*) AS rows, count(DISTINCT hour) AS hours,
                              count(DISTINCT entity_id) AS entities
                       FROM expected GROUP BY kind) USING (kind)
            LEFT JOIN (SELECT kind, count(*) AS differences FROM difference GROUP BY kind) USING (kind)
            ORDER BY kind""")
        heads = ("kind", "events", "repeated", "conflicts", "curated", "hours", "entities", "rows", "differences")
        print(f"{heads[0]:<16}" + "".join(f"{head:>12}" for head in heads[1:]))
        for kind, *figures in self.sql.fetchall():
            print(f"{kind:<16}" + "".join(f"{figure:>12}" for figure in figures))

    def print_differences(self):
        self.sql.execute(f"SELECT kind, what FROM difference ORDER BY rowid LIMIT {SHOWN}")
        for kind, what in self.sql.fetchall():
            print(f"{kind}: {what}")


def check(folder, keys, kinds, scratch):
    """Checks the lake in `folder`, prints the findings and returns whether all of it holds; `scratch` is for its own
    files."""
    lake = Check(folder, sorted(keys), kinds, scratch)
    try:
        lake.run()
    except duckdb.Error as error:
        raise Unreadable(f"DuckDB cannot read the lake: {error}") from error
    lake.print_table()
    print()
    lake.print_differences()
    rows = lake.one("SELECT count(*) FROM expected")
    differences = lake.one("SELECT count(*) FROM difference")
    print(f"lake check: {rows} rows compared, {differences} differences")
    return differences == 0


def main(arguments=None):
    """Runs the check; 0 if all of the lake holds, otherwise 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", help="the URL of an S3; credentials and region from the AWS_* variables")
    where.add_argument("--folder", type=Path, help="the folder of a lake that is kept as files")
    parser.add_argument("--bucket", default="headwater-lake", help="the lake's bucket at the endpoint (%(default)s)")
    parser.add_argument(
        "--contracts", type=Path, help="the folder with the declarations of kinds that are not built in"
    )
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="lake-check-") as scratch:
            scratch = Path(scratch)
            folder = options.folder or scratch / "lake"
            keys = local_keys(folder) if options.folder else download(options.endpoint, options.bucket, folder)
            return 0 if check(folder, keys, contracts(options.contracts), scratch) else 1
    except Unreadable as error:
        print(f"lake check: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
