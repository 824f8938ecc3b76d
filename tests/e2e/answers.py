"""What the service query answers, against figures that DuckDB computes from raw/.

For each kind, hour, entity and signal: the same count, min and max, mean and standard deviation within 1e-9, percentiles
within 1 %; by GET /query, and by SQL from the table `aggregates` and from the rows of `points`. What makes an event
distinct, and what is left out, is as oracle.py has it. All that is in raw/ must be in the answers already.
"""

import datetime
import json
import tempfile
import time
import urllib.parse
import urllib.request

import duckdb

import oracle

# SQL, and the figures of its rows. The kernels give `aggregates`; of `points` each value goes through the SQL engine.
STATEMENTS = {
    "aggregates": (
        "SELECT * FROM aggregates WHERE kind = '{kind}' AND event_hour >= '{start}' AND event_hour < '{end}'",
        oracle.NUMBERS,
    ),
    "points": (
        """SELECT kind, date_trunc('hour', event_time) AS event_hour, entity_id, signal, count(*) AS readings,
            min(value) AS min, max(value) AS max, avg(value) AS mean, stddev(value) AS stddev FROM points
            WHERE kind = '{kind}' AND event_time >= '{start}' AND event_time < '{end}' GROUP BY 1, 2, 3, 4""",
        ("readings", "min", "max", "mean", "stddev"),
    ),
}
# More rows than an answer may have.
MAX_ROWS = 100_000

# Of an answer to GET /query, by the names that the oracle has for them.
FIGURES = {"readings": "count", "min": "min", "max": "max", "mean": "avg", "stddev": "stddev"}
FIGURES |= {name: name for name in oracle.PERCENTILES}


def ask(url, key, **parameters):
    """One answer of GET /query, and until when it is fresh."""
    request = urllib.request.Request(f"{url}/query?{urllib.parse.urlencode(parameters)}", headers={"x-api-key": key})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read()), answer.headers["x-headwater-fresh-until"]


def all_points(url, key, **parameters):
    """The points of an answer, over all its pages."""
    while True:
        answer, _ = ask(url, key, **parameters)
        yield from answer["points"]
        if answer["next"] is None:
            return
        parameters["cursor"] = answer["next"]


def wait_until_fresh(url, key, kind, moment):
    """Waits until answers have all that had landed in raw/ before the moment."""
    deadline = time.monotonic() + 120
    while True:
        _, fresh = ask(url, key, name="*", kind=kind, agg="count", start=0, end=1)
        if datetime.datetime.fromisoformat(fresh) > moment:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"e2e failed: answers are fresh until {fresh}, and not until {moment}")
        time.sleep(0.5)


def rows_of(url, key, statement):
    """The rows of a statement."""
    headers = {"x-api-key": key, "accept": "application/x-ndjson"}
    request = urllib.request.Request(f"{url}/v1/sql", statement.encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        rows = [json.loads(line) for line in answer]
    if len(rows) >= MAX_ROWS:
        raise SystemExit(f"e2e failed: {statement} has {len(rows)} rows, and may have had more")
    return rows


def by_path(url, key, spans):
    """Rows of figures by GET /query."""
    for kind, start, end in spans:
        aggregates = ",".join(FIGURES.values())
        asked = {"kind": kind, "step": "1h", "by": "entity", "agg": aggregates, "start": start, "end": end}
        for point in all_points(url, key, name="*", **asked):
            hour = datetime.datetime.fromtimestamp(point["timestamp"] / 1000, datetime.UTC).isoformat()
            row = {"kind": kind, "event_hour": hour, "entity_id": point["entity_id"], "signal": point["name"]}
            yield row | {name: point["values"][agg] for name, agg in FIGURES.items()}


def by_sql(url, key, spans, statement):
    """Rows of figures by POST /v1/sql."""
    for kind, start, end in spans:
        yield from rows_of(url, key, statement.format(kind=kind, start=start, end=end))


def spans_of(sql, unit):
    """The kinds with each day or hour in which they have events. Recordings may lie years apart."""
    found = sql.execute(f"SELECT DISTINCT kind, date_trunc('{unit}', hour) FROM wanted ORDER BY ALL").fetchall()
    length = datetime.timedelta(**{f"{unit}s": 1})
    for kind, at in found:
        start = datetime.datetime(at.year, at.month, at.day, getattr(at, "hour", 0))
        yield kind, f"{start.isoformat()}Z", f"{(start + length).isoformat()}Z"


def compare(sql, scratch, name, rows, figures):
    """Puts the differences between these rows and the figures that are wanted into the table of differences."""
    lines = f"{scratch}/{name}.ndjson"
    with open(lines, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    shape = {column: "VARCHAR" for column in ("kind", "entity_id", "signal")} | {"event_hour": "TIMESTAMPTZ"}
    shape |= {column: "BIGINT" if column in ("readings", "messages", "count") else "DOUBLE" for column in figures}
    columns = ", ".join(f"'{column}': '{type}'" for column, type in shape.items())
    reader = f"read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}})"
    sql.execute(oracle.aggregates_differ(name, reader, tuple(figures)))


def differences(folder, kinds, url, key):
    """The number of rows that were compared, and all differences in words."""
    now = datetime.datetime.now(datetime.UTC)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(f"{scratch}/answers.duckdb") as sql:
        found = oracle.load(sql, folder, kinds)
        sql.execute(oracle.wanted())
        wait_until_fresh(url, key, found[0], now)
        compare(sql, scratch, "query", by_path(url, key, spans_of(sql, "day")), FIGURES)
        for name, (statement, figures) in STATEMENTS.items():
            compare(sql, scratch, name, by_sql(url, key, spans_of(sql, "hour"), statement), figures)
        (rows,) = sql.execute("SELECT count(*) FROM wanted").fetchone()
        return rows, [what for (what,) in sql.execute("SELECT what FROM difference ORDER BY what").fetchall()]
