"""The aggregator's work done by DuckDB, as a reference for its cost: deduplicated Parquet by hour, and hourly statistics.

It reads the raw objects of one kind, vehicles with the simulator's signals, from a folder; it knows these signals and
no others, takes in everything at once, and cannot be stopped in between without beginning anew.

    tests/python tools/bench/reference/duckdb_lake.py --raw LAKE/raw --out FOLDER
"""

import argparse
import json
import pathlib

import duckdb

NUMBERS = ("engine_rpm", "vehicle_speed_kmh", "gear", "throttle_pct", "coolant_temp_c", "fuel_level_pct")
SIGNALS = (*NUMBERS, "brake_status")
STATISTICS = {
    "count": "count({0})",
    "min": "min({0})",
    "max": "max({0})",
    "mean": "avg({0})",
    "stddev": "stddev_samp({0})",
    "quantiles": "quantile_cont({0}, [0.5, 0.95, 0.99])",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=pathlib.Path, required=True, help="folder of raw objects (*.jsonl)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write to")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    curated, aggregates = options.out / "curated", options.out / "aggregates"
    curated.mkdir(parents=True)
    aggregates.mkdir()

    sql = duckdb.connect()
    sql.execute(f"SET threads = {options.threads}")
    sql.execute("SET TimeZone = 'UTC'")
    sql.execute("SET preserve_insertion_order = false")
    payload = ", ".join([*(f"{name} DOUBLE" for name in NUMBERS), "brake_status BOOLEAN"])
    sql.execute(f"""
        CREATE TABLE event AS
        SELECT DISTINCT ON (hour, event_id)
               date_trunc('hour', timestamp) AS hour, event_id, vehicle_id AS entity_id, timestamp AS event_time,
               ingest_received_at, can_id, unnest(payload)
        FROM read_json('{options.raw}/**/*.jsonl', format = 'newline_delimited', columns = {{
            event_id: 'VARCHAR', vehicle_id: 'VARCHAR', timestamp: 'TIMESTAMP', ingest_received_at: 'TIMESTAMP',
            can_id: 'VARCHAR', payload: 'STRUCT({payload})'}})
    """)
    hours = [hour for (hour,) in sql.execute("SELECT DISTINCT hour FROM event ORDER BY hour").fetchall()]
    for hour in hours:
        name = hour.strftime("%Y-%m-%dT%H.parquet")
        sql.execute(
            f"COPY (SELECT * EXCLUDE (hour) FROM event WHERE hour = TIMESTAMP '{hour}' ORDER BY entity_id, event_time) "
            f"TO '{curated / name}' (FORMAT parquet, COMPRESSION zstd)"
        )

    # All signals in one pass and unfolded afterwards: less work than a row for each reading.
    value = {name: f"{name}::DOUBLE" if name == "brake_status" else name for name in SIGNALS}
    columns = ", ".join(
        f"{formula.format(value[signal])} AS {statistic}_{signal}"
        for signal in SIGNALS
        for statistic, formula in STATISTICS.items()
    )
    sql.execute(f"CREATE TABLE wide AS SELECT hour, entity_id, count(*) AS messages, {columns} FROM event GROUP BY ALL")
    rows = " UNION ALL ".join(
        f"SELECT entity_id, hour, '{signal}' AS signal, messages, "
        + ", ".join(f"{name}_{signal} AS {name}" for name in STATISTICS if name != "quantiles")
        + "".join(f", quantiles_{signal}[{at}] AS {name}" for at, name in enumerate(("p50", "p95", "p99"), 1))
        + f" FROM wide WHERE count_{signal} > 0"
        for signal in SIGNALS
    )
    sql.execute(f"CREATE VIEW statistic AS {rows}")
    sql.execute(f"COPY statistic TO '{aggregates}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (hour))")
    count = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM wide)"
    events, entities = sql.execute(count).fetchone()
    print(json.dumps({"events": events, "entity_hours": entities, "hours": len(hours)}))


if __name__ == "__main__":
    main()
