"""The questions of the scenario `query`, answered by another engine on the same Parquet files: seconds, CPU and figures of
each, in JSON; `null` where the engine is not installed.

    tests/python tools/bench/reference/sql_query.py --curated LAKE/curated/kind=vehicle --questions FILE --engine duckdb
"""

import argparse
import datetime
import decimal
import json
import pathlib
import re
import time


def duckdb_engine(curated, threads):
    import duckdb

    sql = duckdb.connect()
    sql.execute(f"SET threads = {threads}")
    sql.execute("SET TimeZone = 'UTC'")
    sql.execute("SET parquet_metadata_cache = true")
    files = f"'{curated}/*/*/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false"
    sql.execute(f"CREATE VIEW vehicle AS FROM read_parquet({files})")
    return lambda question: sql.execute(question).fetchall()


def chdb_engine(curated, threads):
    try:
        from chdb import session
    except ImportError:
        return None
    sql = session.Session()
    sql.query(f"SET max_threads = {threads}")
    sql.query(f"CREATE VIEW vehicle AS SELECT * FROM file('{curated}/*/*/*/*/*.parquet', Parquet)")

    def ask(question):
        # It takes no times in RFC 3339.
        question = re.sub(r"'(\d{4}-\d\d-\d\d)T([\d:.]+)Z'", r"toDateTime64('\1 \2', 6, 'UTC')", question)
        lines = sql.query(f"{question} SETTINGS max_threads = {threads}", "JSONCompactEachRow")
        return [json.loads(line) for line in str(lines).splitlines()]

    return ask


def figures(rows):
    """The numbers of an answer, in order."""
    values = (value for row in rows for value in row)
    numbers = (value for value in values if not isinstance(value, (str, bool, datetime.datetime, type(None))))
    return [float(value) if isinstance(value, decimal.Decimal) else value for value in numbers]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curated", type=pathlib.Path, required=True, help="folder of the parts of a kind")
    parser.add_argument("--questions", type=pathlib.Path, required=True, help="JSON list of SQL texts, null for none")
    parser.add_argument("--engine", choices=["duckdb", "chdb"], required=True)
    parser.add_argument("--times", type=int, default=10, help="how often each question is asked")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    ask = {"duckdb": duckdb_engine, "chdb": chdb_engine}[options.engine](options.curated, options.threads)
    if ask is None:
        print("null")
        return
    answers = []
    for question in json.loads(options.questions.read_text()):
        if question is None:
            answers.append(None)
            continue
        rows = ask(question)
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(options.times):
            ask(question)
        answers.append({
            "seconds": (time.perf_counter() - started) / options.times,
            "cpu": (time.process_time() - cpu) / options.times,
            "figures": figures(rows),
        })
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
