"""What oracle.py passes and what it must find: a small lake is made, spoilt in one place, and compared.

The figures of the lake's aggregates are computed here with Python's own statistics.

    tests/python -m unittest discover -s tests/e2e
"""

import json
import math
import random
import statistics
import tempfile
import unittest
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import oracle

START = datetime(2025, 10, 4, 12, 40, tzinfo=UTC)
NOON = "2025-10-04 12:00:00"


def text_of(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_events():
    """Forty minutes of a vehicle, a host and a cell, over the turn of an hour."""
    rng = random.Random(4)
    for minute in range(40):
        time = text_of(START + timedelta(minutes=minute, milliseconds=rng.randrange(1000)))
        payload = {"engine_rpm": 2000 + rng.random() * 900, "brake_status": rng.random() < 0.3, "drive_mode": "eco"}
        if minute % 3:
            payload["steering_deg"] = round(rng.uniform(-30, 30), 2)
        yield {"kind": "vehicle", "event_id": f"v-{minute}", "vehicle_id": "veh-1", "timestamp": time, "payload": payload}
        metrics = {"dl_prb_util_pct": rng.uniform(0, 100), "rrc_conn_avg": rng.randrange(40)}
        sample = {"name": "cpu_usage", "value": rng.uniform(0, 100), "tags": {"zone": "b"}}
        yield {"kind": "metric", "event_id": f"m-{minute}", "entity": "host-1", "timestamp": time} | sample
        yield {"kind": "cell", "event_id": f"c-{minute}", "entity_id": "CELL-1", "event_time": time, "metrics": metrics}


def parts_of(event):
    """Kind, entity, time and signals of an event."""
    entity, time, signals = oracle.BUILT_IN[event["kind"]]
    if isinstance(signals, str):
        signals = event[signals]
    else:
        name, value = signals
        signals = {event[name]: event[value]}
    return event["kind"], event[entity], datetime.fromisoformat(event[time]), signals


def percentile(values, share):
    values, at = sorted(values), (len(values) - 1) * share
    low, high = values[math.floor(at)], values[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def aggregate_rows(events):
    values, messages = defaultdict(list), defaultdict(int)
    for kind, entity, time, signals in map(parts_of, events):
        hour = text_of(time.replace(minute=0, second=0, microsecond=0))
        messages[kind, entity, hour] += 1
        for signal, value in signals.items():
            values[kind, entity, hour, signal].append(value)
    for (kind, entity, hour, signal), found in values.items():
        row = {"kind": kind, "entity_id": entity, "event_hour": hour, "signal": signal}
        row |= {"messages": messages[kind, entity, hour], "count": len(found)}
        row |= dict.fromkeys(("min", "max", "mean", "stddev", *oracle.PERCENTILES))
        if not isinstance(found[0], str):
            found = [float(value) for value in found]
            row |= {"min": min(found), "max": max(found), "mean": statistics.fmean(found)}
            row |= {"stddev": statistics.stdev(found) if len(found) > 1 else None}
            row |= {name: percentile(found, share) for name, share in oracle.PERCENTILES.items()}
        yield row


def write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(file, rows, columns):
    """Writes rows with DuckDB; `columns` gives each its type."""
    write_lines(file.with_suffix(".lines"), rows)
    shape = ", ".join(f"'{name}': '{type}'" for name, type in columns.items())
    lines = f"read_json('{file.with_suffix('.lines')}', format = 'newline_delimited', columns = {{{shape}}})"
    with duckdb.connect() as sql:
        sql.execute(f"SET TimeZone = 'UTC'; COPY (FROM {lines}) TO '{file}' (FORMAT parquet)")


class Oracle(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.events = list(made_events())
        self.rows = list(aggregate_rows(self.events))
        # All of raw/ is there twice: it promises `at least once`.
        self.write_raw(self.events + self.events[::-1])
        self.write_curated(self.events)
        self.write_aggregates(self.rows)

    def write_raw(self, events):
        write_lines(self.folder / "raw/year=2025/part-1.jsonl", events)

    def write_curated(self, events):
        files = defaultdict(list)
        for event in events:
            kind, entity, time, signals = parts_of(event)
            if kind == "metric":
                signals = {name: event[name] for name in oracle.BUILT_IN[kind][2]}
            row = {"event_id": event["event_id"], "entity_id": entity, "event_time": text_of(time)} | signals
            files[time.strftime(f"curated/kind={kind}/year=%Y/month=%m/day=%d/hour=%H/part-1.parquet")].append(row)
        types = {str: "VARCHAR", bool: "BOOLEAN", int: "DOUBLE", float: "DOUBLE"}
        for name, rows in files.items():
            columns = {name: types[type(value)] for row in rows for name, value in row.items()}
            write_parquet(self.folder / name, rows, columns | {"event_time": "TIMESTAMPTZ"})

    def write_aggregates(self, rows, formats=("parquet", "jsonl")):
        if "jsonl" in formats:
            write_lines(self.folder / "aggregates/all.jsonl", rows)
        if "parquet" in formats:
            write_parquet(self.folder / "aggregates/all.parquet", rows, oracle.ROW)

    def row(self, signal):
        """The row of a signal in the first hour."""
        return next(row for row in self.rows if row["signal"] == signal)

    def found(self, *words):
        _, differences = oracle.differences(self.folder, oracle.BUILT_IN)
        for word in words:
            self.assertTrue(any(word in one for one in differences), (word, differences[:5]))
        return differences

    def test_a_whole_lake_passes_and_its_rows_are_counted(self):
        # A vehicle with four signals, a cell with two and a host with a metric, in two hours.
        self.assertEqual(oracle.differences(self.folder, oracle.BUILT_IN), (14, []))

    def test_a_sample_without_entity_or_time_has_those_of_its_kind_and_arrival(self):
        received = {"ingest_received_at": text_of(START)}
        sent = {"kind": "metric", "event_id": "bare", "name": "up", "value": 1.0}
        stands = sent | {"entity": "default", "timestamp": text_of(START)}
        self.write_raw([*self.events, sent | received])
        self.write_curated([*self.events, stands])
        self.write_aggregates(list(aggregate_rows([*self.events, stands])))
        self.assertEqual(oracle.differences(self.folder, oracle.BUILT_IN), (15, []))

    def test_a_changed_value_of_a_sample_is_found(self):
        self.events[1]["value"] += 0.5
        self.write_curated(self.events)
        self.found("m-0 cpu_usage is ")

    def test_an_event_missing_from_raw_is_found(self):
        self.write_raw(self.events[1:])
        self.found(f"{NOON} v-0 veh-1", "is in curated/ and not in raw/", "messages 20 for 19")

    def test_a_changed_value_in_raw_is_found(self):
        self.events[0]["payload"]["engine_rpm"] += 0.5
        self.write_raw(self.events)
        self.found("v-0 engine_rpm is ", "engine_rpm mean ")

    def test_an_event_twice_in_curated_is_found(self):
        self.write_curated([*self.events, self.events[0]])
        self.found("v-0 stands 2 times in curated/")

    def test_an_event_missing_from_curated_is_found(self):
        self.write_curated(self.events[1:])
        self.found(f"vehicle {NOON} v-0 is in raw/ and not in curated/")

    def test_a_changed_flag_in_curated_is_found(self):
        payload = self.events[0]["payload"]
        payload["brake_status"] = not payload["brake_status"]
        self.write_curated(self.events)
        self.found("v-0 brake_status is ")

    def test_a_row_that_is_doubled_missing_or_invented_is_found_in_either_format(self):
        row = self.row("engine_rpm")
        without = [other for other in self.rows if other is not row]
        for format in ("parquet", "jsonl"):
            for rows, said in (
                ([*self.rows, row], "engine_rpm stands 2 times"),
                (without, "engine_rpm has no row"),
                ([*self.rows, row | {"entity_id": "veh-2"}], "veh-2 engine_rpm has a row and no event in raw/"),
            ):
                with self.subTest(said, format=format):
                    self.write_aggregates(self.rows)
                    self.write_aggregates(rows, [format])
                    self.found(f"{format}: vehicle {NOON}", said)

    def test_a_figure_that_is_off_is_found_by_name(self):
        row = self.row("engine_rpm")
        off = {"messages": 1, "count": 1, "min": 1e-9, "max": 1e-9, "mean": 1e-5, "stddev": 1e-5, "p50": 25, "p95": 30, "p99": 30}
        for name, by in off.items():
            with self.subTest(name):
                rows = [other | {name: row[name] + by} if other is row else other for other in self.rows]
                self.write_aggregates(rows)
                self.assertEqual(len(self.found(f"engine_rpm {name} ")), 2)

    def test_a_percentile_within_one_percent_passes(self):
        self.row("engine_rpm")["p50"] *= 1.009
        self.write_aggregates(self.rows)
        self.assertEqual(self.found(), [])

    def test_statistics_of_text_are_found(self):
        self.row("drive_mode")["min"] = 0.0
        self.write_aggregates(self.rows)
        self.found("drive_mode min 0.0 for null")

    def test_an_id_that_came_with_two_contents_needs_only_be_there(self):
        other = json.loads(json.dumps(self.events[0]))
        other["payload"]["engine_rpm"] += 700
        self.write_raw([other, *self.events])
        self.assertEqual(oracle.differences(self.folder, oracle.BUILT_IN), (10, []))
        self.write_curated(self.events[1:])
        self.found("v-0 is in raw/ and not in curated/")


if __name__ == "__main__":
    unittest.main()
