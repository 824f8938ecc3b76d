"""An outside reader's comparison of the lake: DuckDB computes curated/ and aggregates/ from raw/, and compares.

It knows the layout and the columns, and shares no code with the services:

* `curated/` holds each distinct event of `raw/` once, with the same entity, time and values of its signals;
* `aggregates/`, Parquet and JSONL alike, has the same count, min and max for each kind, hour, entity and signal, mean
  and standard deviation within 1e-9, and percentiles within 1 %.

An event is distinct by kind, event hour and `event_id`. If one id came with several contents, raw/ does not tell which
was first, so the figures of its entity and hour are left out. The queue must be drained, and the aggregator have run.
"""

import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

import duckdb

# The fields of an event's entity, time and signals, by kind. The signals are an object, or two fields: the name and the
# value of one signal.
BUILT_IN = {
    "vehicle": ("vehicle_id", "timestamp", "payload"),
    "cell": ("entity_id", "event_time", "metrics"),
    "metric": ("entity", "timestamp", ("name", "value")),
}
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
NUMBERS = ("messages", "count", "min", "max", "mean", "stddev", *PERCENTILES)
ROW = {"kind": "VARCHAR", "event_hour": "TIMESTAMPTZ", "entity_id": "VARCHAR", "signal": "VARCHAR"}
ROW |= {name: "BIGINT" if name in ("messages", "count") else "DOUBLE" for name in NUMBERS}
HIVE = "hive_partitioning = true, union_by_name = true"
HOUR = "make_timestamp(year::BIGINT, month::BIGINT, day::BIGINT, hour::BIGINT, 0, 0)"

# `event`: each distinct event, with the number of contents under its id. `reading`: each signal of each event.
EVENTS = """
    CREATE TABLE variant AS SELECT DISTINCT kind, date_trunc('hour', time) AS hour, id, entity,
        date_trunc('millisecond', time) AS time,
        list_sort(map_entries(from_json(signals, '"MAP(VARCHAR, JSON)"'))) AS signals FROM line;
    CREATE TABLE event AS SELECT kind, hour, id, any_value(entity) AS entity, any_value(time) AS time,
        any_value(signals) AS signals, count(*) AS contents FROM variant GROUP BY ALL;
    CREATE TABLE unclear AS
        SELECT DISTINCT kind, hour, entity FROM variant SEMI JOIN (FROM event WHERE contents > 1) USING (kind, hour, id);
    CREATE TABLE reading AS SELECT kind, hour, id, entity, entry.key AS signal,
        CASE WHEN json_type(entry.value) = 'VARCHAR' THEN entry.value ->> '$' END AS text,
        CASE json_type(entry.value) WHEN 'VARCHAR' THEN NULL
            WHEN 'BOOLEAN' THEN try_cast(entry.value AS BOOLEAN)::INT::DOUBLE
            ELSE try_cast(entry.value AS DOUBLE) END AS value
        FROM (SELECT *, unnest(signals) AS entry FROM event WHERE contents = 1);
"""

CURATED = f"""
    CREATE TABLE curated AS SELECT kind, {HOUR} AS hour, event_id::VARCHAR AS id,
        entity_id AS entity, date_trunc('millisecond', event_time::TIMESTAMP) AS time
        FROM read_parquet(getvariable('curated'), {HIVE});
    INSERT INTO difference SELECT concat_ws(' ', kind, hour, id, 'stands', count(*), 'times in curated/')
        FROM curated GROUP BY kind, hour, id HAVING count(*) > 1;
    INSERT INTO difference SELECT concat_ws(' ', kind, hour, id, 'is in raw/ and not in curated/')
        FROM event ANTI JOIN curated USING (kind, hour, id);
    INSERT INTO difference SELECT concat_ws(' ', kind, hour, id, entity, time, 'is in curated/ and not in raw/')
        FROM curated ANTI JOIN variant USING (kind, hour, id, entity, time);
"""

# A line of a kind whose signals are an object, and one of a kind with a signal an event, which may have no entity (then
# it is `default`) and no time (then it is that of its arrival).
WIDE = """
    INSERT INTO line SELECT kind, json ->> '$.event_id', json ->> $entity,
        (json ->> $time)::TIMESTAMPTZ::TIMESTAMP, json -> $signals FROM json_line WHERE kind = $kind"""
LONG = """
    INSERT INTO line SELECT kind, json ->> '$.event_id', coalesce(json ->> $entity, 'default'),
        CASE WHEN json_type(json -> $time) = 'VARCHAR' THEN (json ->> $time)::TIMESTAMPTZ::TIMESTAMP
            ELSE coalesce(epoch_ms(try_cast(json ->> $time AS BIGINT)),
                (json ->> '$.ingest_received_at')::TIMESTAMPTZ::TIMESTAMP) END,
        json_object(json ->> $name, json -> $value) FROM json_line WHERE kind = $kind"""

# A kind's signals in raw/ against the columns of their names.
VALUES = f"""
    INSERT INTO difference SELECT concat_ws(' ', kind, hour, id, signal, 'is', coalesce(told, 'nothing'),
            'in curated/ and', coalesce(text, value::VARCHAR), 'in raw/')
        FROM (FROM reading WHERE kind = $kind) LEFT JOIN ({{told}}) USING (hour, id, signal)
        WHERE CASE WHEN text IS NOT NULL THEN told IS DISTINCT FROM text
            ELSE coalesce(try_cast(told AS DOUBLE), try_cast(told AS BOOLEAN)::INT) IS DISTINCT FROM value END"""


# What curated/ says of each signal of each event, of a kind with columns of signals, and of one with two columns for all.
COLUMNS = f"""
    UNPIVOT (SELECT {HOUR} AS hour, event_id::VARCHAR AS id, {{columns}} FROM read_parquet($files, {HIVE}))
        ON COLUMNS(* EXCLUDE (hour, id)) INTO NAME signal VALUE told"""
ROWS = f"""
    SELECT {HOUR} AS hour, event_id::VARCHAR AS id, "{{name}}" AS signal, "{{value}}"::VARCHAR AS told
        FROM read_parquet($files, {HIVE})"""


def wanted():
    """The rows of aggregates/ from the readings. `<percentile>_scale` is what 1 % is of: the two values that a
    percentile lies between, each by its share."""
    at = {name: f"((count(value) - 1) * {q})" for name, q in PERCENTILES.items()}
    quantiles = ", ".join(f"quantile_cont(value, {q}) AS {name}" for name, q in PERCENTILES.items())
    scales = ", ".join(
        f"abs(sorted[floor({place})::INT + 1]) * (1 - {place} % 1) + abs(sorted[ceil({place})::INT + 1]) * ({place} % 1)"
        f" AS {name}_scale"
        for name, place in ((name, place.replace("count(value)", "count")) for name, place in at.items())
    )
    return f"""
        CREATE TABLE wanted AS SELECT * EXCLUDE (sorted), {scales} FROM (
            SELECT kind, hour, entity, signal, count(*) AS readings, CASE WHEN count(value) > 0 THEN count(value) ELSE count(*) END AS count,
                min(value) AS min, max(value) AS max, favg(value) AS mean, stddev_samp(value) AS stddev, {quantiles},
                list_sort(list(value) FILTER (value IS NOT NULL)) AS sorted
            FROM reading GROUP BY ALL)
        JOIN (SELECT kind, hour, entity, count(*) AS messages FROM event GROUP BY ALL) USING (kind, hour, entity)
        ANTI JOIN unclear USING (kind, hour, entity)"""


def aggregates_differ(format, reader, numbers=NUMBERS):
    """Compares these numbers of aggregates/ in one format, which `reader` gives, with those that are wanted."""
    # Beside the relative bound one that is relative to the values: a mean near 0 carries their rounding.
    size = "1e-13 * greatest(abs(w.min), abs(w.max))"
    bounds = {name: f"1e-9 * abs(w.{name}) + {size}" for name in ("mean", "stddev")}
    bounds |= {name: f"0.01 * w.{name}_scale + 1e-9" for name in PERCENTILES}
    wrong = ", ".join(
        f"""CASE WHEN NOT coalesce(abs(t.{name} - w.{name}) <= {bounds.get(name, 0)}, t.{name} IS NULL AND w.{name} IS NULL)
            THEN concat('{name} ', coalesce(t.{name}::VARCHAR, 'null'), ' for ', coalesce(w.{name}::VARCHAR, 'null')) END"""
        for name in numbers
    )
    return f"""
        CREATE OR REPLACE TEMP TABLE there AS SELECT kind, event_hour::TIMESTAMPTZ::TIMESTAMP AS hour,
            entity_id AS entity, signal, {", ".join(numbers)} FROM {reader};
        DELETE FROM there USING unclear AS u WHERE there.kind = u.kind AND there.hour = u.hour AND there.entity = u.entity;
        INSERT INTO difference SELECT concat_ws(' ', '{format}:', kind, hour, entity, signal, 'stands', count(*), 'times')
            FROM there GROUP BY kind, hour, entity, signal HAVING count(*) > 1;
        INSERT INTO difference SELECT concat_ws(' ', '{format}:', kind, hour, entity, signal, CASE
            WHEN t.signal_there IS NULL THEN 'has no row' WHEN w.readings IS NULL THEN 'has a row and no event in raw/'
            ELSE concat_ws(', ', {wrong}) END)
            FROM (SELECT *, true AS signal_there FROM there) AS t
            FULL JOIN wanted AS w USING (kind, hour, entity, signal)
            WHERE t.signal_there IS NULL OR w.readings IS NULL OR concat_ws(', ', {wrong}) <> ''"""


def differences(folder, kinds):
    """The number of rows of aggregates/ that were compared, and all differences of the lake in a folder, in words."""
    # In a file, for lakes larger than memory.
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(f"{scratch}/oracle.duckdb") as sql:
        return compare(sql, folder, kinds)


def load(sql, folder, kinds):
    """Makes the tables of raw/ and an empty table of differences; gives the kinds that are there."""
    # Times without a zone are UTC below, whatever the machine's zone is.
    sql.execute("SET TimeZone = 'UTC'; CREATE TABLE difference (what VARCHAR)")
    sql.execute("CREATE TABLE line (kind VARCHAR, id VARCHAR, entity VARCHAR, time TIMESTAMP, signals JSON)")
    lines = f"read_ndjson_objects('{folder}/raw/**/*.jsonl')"
    sql.execute(f"CREATE TABLE json_line AS SELECT json ->> '$.kind' AS kind, json FROM {lines}")
    found = [kind for (kind,) in sql.execute("SELECT DISTINCT kind FROM json_line ORDER BY kind").fetchall()]
    for kind in found:
        entity, time, signals = kinds[kind]
        fields = {"entity": entity, "time": time}
        fields |= {"signals": signals} if isinstance(signals, str) else dict(zip(("name", "value"), signals))
        places = {name: f'$."{field}"' for name, field in fields.items()}
        sql.execute(WIDE if isinstance(signals, str) else LONG, {"kind": kind} | places)
    sql.execute(EVENTS)
    return found


def compare(sql, folder, kinds):
    found = load(sql, folder, kinds)
    sql.execute(f"SET VARIABLE curated = '{folder}/curated/**/*.parquet'")
    sql.execute(CURATED)
    for kind in found:
        files = f"{folder}/curated/kind={kind}/**/*.parquet"
        if not isinstance(kinds[kind][2], str):
            name, value = kinds[kind][2]
            told = ROWS.format(name=name, value=value)
            sql.execute(VALUES.format(told=told), {"kind": kind, "files": files})
            continue
        columns = {name for name, *_ in sql.execute(f"DESCRIBE FROM read_parquet('{files}', {HIVE})").fetchall()}
        signals = sql.execute("SELECT DISTINCT signal FROM reading WHERE kind = ?", [kind]).fetchall()
        signals = {name for (name,) in signals}
        for name in signals - columns:
            sql.execute("INSERT INTO difference VALUES (?)", [f"{kind}: {name} has no column in curated/"])
        texts = ", ".join(f'"{name}"::VARCHAR AS "{name}"' for name in sorted(signals & columns))
        sql.execute(VALUES.format(told=COLUMNS.format(columns=texts)), {"kind": kind, "files": files})
    sql.execute(wanted())
    files = f"'{folder}/aggregates/**/*."
    shape = ", ".join(f"'{name}': '{type}'" for name, type in ROW.items())
    sql.execute(aggregates_differ("parquet", f"read_parquet({files}parquet', hive_partitioning = false)"))
    lines = f"read_json({files}jsonl', format = 'newline_delimited', columns = {{{shape}}}, hive_partitioning = false)"
    sql.execute(aggregates_differ("jsonl", lines))
    (rows,) = sql.execute("SELECT count(*) FROM wanted").fetchone()
    return rows, [what for (what,) in sql.execute("SELECT what FROM difference ORDER BY what").fetchall()]


def declared(folder):
    """The built-in kinds and those that the TOML files of a folder declare."""
    kinds = dict(BUILT_IN)
    for file in folder.glob("*.toml"):
        kind = tomllib.loads(file.read_text())
        signals = kind["signals"]
        signals = signals.get("field") or (signals["name_field"], signals["value_field"])
        kinds[kind["kind"]] = (kind["entity"]["field"], kind["time"]["field"], signals)
    return kinds


def download(s3, bucket, folder):
    """Copies the three parts of the lake into a folder."""

    def fetch(key):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(folder / key))

    pages = s3.get_paginator("list_objects_v2")
    with ThreadPoolExecutor(8) as pool:
        for prefix in ("raw/", "curated/", "aggregates/"):
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                list(pool.map(fetch, (entry["Key"] for entry in page.get("Contents", []))))
