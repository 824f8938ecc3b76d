"""Makes events of recorded CSV files, for `simulator replay`: a query in SQL says what a row means.

    tests/python docs/examples/recorded.py docs/examples/obd2-kit.sql FOLDER OUT
    API_KEY=... cargo run -p simulator -- replay --batch 500 OUT/*.ndjson

Takes each .csv, .csv.gz and .csv.zst below FOLDER and writes OUT/<its path, joined by _>.ndjson, an event a line.
DuckDB runs the query once for each file; `$file` is its path. For each row of the file, in their order, the query gives
two columns: `event`, the event as JSON, and `skipped`, the reason why there is none, else NULL. It must read the file
with `store_rejects`: rows with too few or too many cells are counted from that.

Prints rows, events and skipped rows of each file. Exit code 1 if a file cannot be read.
"""

import argparse
import collections
import pathlib
import sys

import duckdb

# For the queries: what a cell says as a finite number, and an object without its members that are NULL.
MACROS = """
    CREATE MACRO number(cell) AS CASE WHEN isfinite(try_cast(cell AS DOUBLE)) THEN try_cast(cell AS DOUBLE) END;
    CREATE MACRO without_nulls(object) AS json_merge_patch('{}', object);
"""


def convert(connection, query, file, out):
    """Writes the events of one file to `out`; gives the number of events, and of skipped rows by reason."""
    events, skipped = 0, collections.Counter()
    result = connection.execute(query, {"file": str(file)})
    while rows := result.fetchmany(10_000):
        for event, reason in rows:
            if reason is None:
                events += 1
                out.write(event + "\n")
            else:
                skipped[reason] += 1
    # Rows with too few or too many cells; each has one of these for each cell.
    [lost] = connection.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchone()
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    return events, skipped + collections.Counter({"too few or too many cells": lost})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("query", type=pathlib.Path, help="the .sql file for this sort of recording")
    parser.add_argument("folder", type=pathlib.Path, help="where the recorded files are, at any depth")
    parser.add_argument("out", type=pathlib.Path, help="folder for the events")
    arguments = parser.parse_args()
    endings = (".csv", ".csv.gz", ".csv.zst")
    files = sorted(path for path in arguments.folder.rglob("*.csv*") if path.name.endswith(endings))
    if not files:
        sys.exit(f"no .csv, .csv.gz or .csv.zst in {arguments.folder}")
    connection = duckdb.connect()
    connection.execute(MACROS)
    query = arguments.query.read_text()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for file in files:
        name = "_".join(file.relative_to(arguments.folder).parts)
        try:
            with open(arguments.out / f"{name.rpartition('.csv')[0]}.ndjson", "w", encoding="utf-8") as out:
                events, skipped = convert(connection, query, file, out)
        except duckdb.Error as error:
            sys.exit(f"{file}: {error}")
        reasons = "".join(f", {reason} {count}" for reason, count in sorted(skipped.items()))
        print(f"{name}: {events + skipped.total()} rows, {events} events{reasons}")


if __name__ == "__main__":
    main()
