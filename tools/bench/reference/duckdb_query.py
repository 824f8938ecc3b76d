"""The questions of the scenario `query`, answered by DuckDB on the same Parquet files: seconds, CPU and figures of each.

    tests/python tools/bench/reference/duckdb_query.py --curated LAKE/curated/kind=vehicle --signals a,b --vehicle veh-00042 \
        --from 2026-11-20T12:00:00Z --until 2026-11-20T13:00:00Z
"""

import argparse
import json
import pathlib
import time

import duckdb


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curated", type=pathlib.Path, required=True, help="folder of the parts of a kind")
    parser.add_argument("--signals", required=True, help="names with commas between them; the first is asked for alone")
    parser.add_argument("--vehicle", required=True)
    parser.add_argument("--from", dest="start", required=True, help="RFC 3339")
    parser.add_argument("--until", required=True, help="RFC 3339")
    parser.add_argument("--times", type=int, default=10, help="how often each question is asked")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    signals = options.signals.split(",")
    one = signals[0]

    sql = duckdb.connect()
    sql.execute(f"SET threads = {options.threads}")
    sql.execute("SET TimeZone = 'UTC'")
    sql.execute("SET parquet_metadata_cache = true")
    year, month, day, hour = options.start[:4], options.start[5:7], options.start[8:10], options.start[11:13]
    event = f"read_parquet('{options.curated}/*/*/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    four = ", ".join(f"avg({name}), min({name}), max({name}), count({name})" for name in signals)
    questions = [
        f"SELECT {four} FROM {event}",
        f"SELECT avg({one}) FROM {event} GROUP BY time_bucket(INTERVAL '5 minutes', event_time) "
        "ORDER BY time_bucket(INTERVAL '5 minutes', event_time)",
        f"SELECT avg({one}) FROM {event} GROUP BY entity_id ORDER BY avg({one}) DESC, entity_id LIMIT 10",
        f"SELECT {one} FROM {event} WHERE year = '{year}' AND month = '{month}' AND day = '{day}' AND hour = '{hour}' "
        f"AND entity_id = '{options.vehicle}' AND event_time >= '{options.start}' AND event_time < '{options.until}' "
        "ORDER BY event_time",
    ]
    answers = []
    for question in questions:
        rows = sql.execute(question).fetchall()
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(options.times):
            sql.execute(question).fetchall()
        answers.append({
            "seconds": (time.perf_counter() - started) / options.times,
            "cpu": (time.process_time() - cpu) / options.times,
            "figures": [value for row in rows for value in row],
        })
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
