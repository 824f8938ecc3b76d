"""What the service query answers, against figures that DuckDB computes from raw/.

For each kind, hour, entity and signal: the same count, min and max, mean and standard deviation within 1e-9, percentiles
within 1 %. What makes an event distinct, and what is left out, is as oracle.py has it. All that is in raw/ must be in
the answers already.
"""

import datetime
import json
import tempfile
import time
import urllib.parse
import urllib.request

import duckdb

import oracle

# Of an answer, by the names that the oracle has for them.
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


def differences(folder, kinds, url, key):
    """The number of rows that were compared, and all differences in words."""
    now = datetime.datetime.now(datetime.UTC)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(f"{scratch}/answers.duckdb") as sql:
        found = oracle.load(sql, folder, kinds)
        sql.execute(oracle.wanted())
        wait_until_fresh(url, key, found[0], now)
        lines = f"{scratch}/answers.ndjson"
        with open(lines, "w", encoding="utf-8") as out:
            # A day at a time: recordings may lie years apart.
            days = sql.execute("SELECT DISTINCT kind, hour::DATE FROM wanted ORDER BY ALL").fetchall()
            for kind, day in days:
                ends = {"start": f"{day}T00:00:00Z", "end": f"{day + datetime.timedelta(days=1)}T00:00:00Z"}
                aggregates = ",".join(FIGURES.values())
                for point in all_points(url, key, name="*", kind=kind, step="1h", by="entity", agg=aggregates, **ends):
                    hour = datetime.datetime.fromtimestamp(point["timestamp"] / 1000, datetime.UTC).isoformat()
                    row = {"kind": kind, "event_hour": hour, "entity_id": point["entity_id"], "signal": point["name"]}
                    row |= {name: point["values"][agg] for name, agg in FIGURES.items()}
                    out.write(json.dumps(row) + "\n")
        shape = {name: "VARCHAR" if name in ("kind", "entity_id", "signal") else "DOUBLE" for name in row}
        shape |= {"event_hour": "TIMESTAMPTZ", "readings": "BIGINT"}
        columns = ", ".join(f"'{name}': '{type}'" for name, type in shape.items())
        reader = f"read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}})"
        sql.execute(oracle.aggregates_differ("query", reader, tuple(FIGURES)))
        (rows,) = sql.execute("SELECT count(*) FROM wanted").fetchone()
        return rows, [what for (what,) in sql.execute("SELECT what FROM difference ORDER BY what").fetchall()]
