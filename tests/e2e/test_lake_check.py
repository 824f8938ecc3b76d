"""What lake_check.py passes and what it must not: a small lake is made, spoilt in one place, and checked.

The figures that the lake's aggregates hold are computed here with Python's own statistics.

    tests/python -m unittest discover -s tests/e2e
"""

import contextlib
import io
import json
import math
import random
import statistics
import tempfile
import unittest
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import lake_check

START = datetime(2025, 10, 4, 12, 40, tzinfo=UTC)
RECEIVED = datetime(2025, 10, 5, 9, 0, 0, tzinfo=UTC)
RAW = f"raw/year=2025/month=10/day=05/hour=09/part-{uuid.UUID(int=7)}.jsonl"
NOON = "year=2025/month=10/day=04/hour=12"


def text_of(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_events():
    """Forty minutes of two vehicles and a cell, over the turn of an hour; the lines of raw/, without repeats."""
    rng = random.Random(4)
    for minute in range(40):
        time = text_of(START + timedelta(minutes=minute, milliseconds=rng.randrange(1000)))
        common = {"ingest_received_at": text_of(RECEIVED + timedelta(seconds=minute))}
        for vehicle in ("veh-00001", "veh-00002"):
            payload = {"engine_rpm": 2000 + rng.random() * 900, "brake_status": rng.random() < 0.3, "drive_mode": "eco"}
            if minute % 3:
                payload["steering_deg"] = round(rng.uniform(-30, 30), 2)
            yield {
                "timestamp": time,
                "vehicle_id": vehicle,
                "can_id": "0x1F0",
                "payload": payload,
                "kind": "vehicle",
                "event_id": str(uuid.UUID(int=rng.getrandbits(128))),
                **common,
            }
        yield {
            "event_id": f"cell-{minute}",
            "schema_version": 1,
            "source": "pmgen",
            "event_time": time,
            "entity_type": "cell",
            "entity_id": "CELL-000123",
            "kind": "cell",
            "metrics": {"dl_prb_util_pct": rng.uniform(0, 100), "rrc_conn_avg": rng.randrange(40)},
            **common,
        }


def parts_of(event):
    """Kind, entity, time and signals of an event."""
    contract = {**lake_check.BUILT_IN, "weather": lake_check.Contract("station", "observed", "readings")}[event["kind"]]
    time = datetime.fromisoformat(event[contract.time])
    return event["kind"], event[contract.entity], time, event[contract.signals]


def percentile(values, share):
    values = sorted(values)
    at = (len(values) - 1) * share
    low, high = values[math.floor(at)], values[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def aggregate_rows(events):
    values, messages = defaultdict(list), defaultdict(int)
    for event in events:
        kind, entity, time, signals = parts_of(event)
        hour = time.replace(minute=0, second=0, microsecond=0)
        messages[kind, entity, hour] += 1
        for signal, value in signals.items():
            values[kind, entity, hour, signal].append(value)
    for (kind, entity, hour, signal), found in values.items():
        row = {
            "kind": kind,
            "entity_id": entity,
            "event_hour": text_of(hour),
            "signal": signal,
            "unit": None,
            "messages": messages[kind, entity, hour],
            "count": len(found),
        }
        row |= dict.fromkeys(("min", "max", "mean", "stddev", "p50", "p95", "p99"))
        if not isinstance(found[0], str):
            found = [float(value) for value in found]
            row |= {
                "min": min(found),
                "max": max(found),
                "mean": statistics.fmean(found),
                "stddev": statistics.stdev(found) if len(found) > 1 else None,
                "p50": percentile(found, 0.5),
                "p95": percentile(found, 0.95),
                "p99": percentile(found, 0.99),
            }
        yield row


def write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def read_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def write_parquet(file, rows, columns):
    """Writes `rows` with DuckDB; `columns` gives each its type."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
        lines.flush()
        shape = ", ".join(f"'{name}': '{type}'" for name, type in columns.items())
        with duckdb.connect() as sql:
            sql.execute("SET TimeZone = 'UTC'")
            sql.execute(
                f"COPY (SELECT * FROM read_json('{lines.name}', format = 'newline_delimited', columns = {{{shape}}}))"
                f" TO '{file}' (FORMAT parquet, COMPRESSION zstd)"
            )


def write_aggregates(folder, rows, formats=("parquet", "jsonl")):
    files = defaultdict(list)
    for row in rows:
        hour = datetime.fromisoformat(row["event_hour"])
        files[hour.strftime(f"aggregates/year=%Y/month=%m/day=%d/hour=%H/{row['kind']}")].append(row)
    for name, found in files.items():
        if "jsonl" in formats:
            write_lines(folder / f"{name}.jsonl", found)
        if "parquet" in formats:
            columns = lake_check.AGGREGATE_COLUMNS | {"event_hour": "TIMESTAMPTZ", "sketch": "BLOB"}
            write_parquet(folder / f"{name}.parquet", found, columns)


def write_curated(folder, events):
    files = defaultdict(list)
    for event in events:
        kind, entity, time, signals = parts_of(event)
        row = {
            "event_id": event["event_id"],
            "entity_id": entity,
            "event_time": text_of(time),
            "ingest_received_at": event["ingest_received_at"],
        }
        files[time.strftime(f"curated/kind={kind}/year=%Y/month=%m/day=%d/hour=%H/part-0000000001.parquet")].append(
            row | signals
        )
    types = {str: "VARCHAR", bool: "BOOLEAN", int: "DOUBLE", float: "DOUBLE"}
    for name, rows in files.items():
        columns = {name: types[type(value)] for row in rows for name, value in row.items()}
        write_parquet(folder / name, rows, columns | {"event_time": "TIMESTAMPTZ", "ingest_received_at": "TIMESTAMPTZ"})


class LakeCheck(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.events = list(made_events())
        self.rows = list(aggregate_rows(self.events))
        # The whole of raw/ twice over: at least once is what it promises.
        write_lines(self.folder / RAW, self.events + self.events[::-1])
        write_curated(self.folder, self.events)
        write_aggregates(self.folder, self.rows)

    def check(self, *options):
        """Runs the check; its exit code and all that it printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = lake_check.main(["--folder", str(self.folder), *options])
        return code, out.getvalue()

    def assert_fails(self, *words):
        code, out = self.check()
        self.assertEqual(code, 1, out)
        for word in words:
            self.assertIn(word, out)

    def assert_passes(self, *options):
        code, out = self.check(*options)
        self.assertEqual(code, 0, out)
        self.assertIn(", 0 differences\n", out)
        return out

    def row(self, entity, signal):
        """The row of the noon hour."""
        [row] = [
            row
            for row in self.rows
            if row["event_hour"].startswith("2025-10-04T12") and (row["entity_id"], row["signal"]) == (entity, signal)
        ]
        return row

    def test_a_whole_lake_passes_and_its_rows_are_counted(self):
        out = self.assert_passes()
        # Two vehicles with four signals and a cell with two, in two hours.
        self.assertIn("lake check: 20 rows compared, 0 differences", out)

    def test_an_event_missing_from_raw_is_found(self):
        write_lines(self.folder / RAW, self.events[1:])
        self.assert_fails(f"event {self.events[0]['event_id']}", "is in curated/ and not in raw/", "messages 20 for 19")

    def test_a_changed_value_in_raw_is_found(self):
        self.events[0]["payload"]["engine_rpm"] += 0.5
        write_lines(self.folder / RAW, self.events)
        self.assert_fails("mean ", f"event {self.events[0]['event_id']} has engine_rpm")

    def test_a_line_of_raw_in_another_arrival_hour_is_found(self):
        self.events[0]["ingest_received_at"] = "2025-10-05T10:00:00.000Z"
        write_lines(self.folder / RAW, self.events)
        self.assert_fails("received at 2025-10-05 10:00:00", "has an ingest_received_at in curated/")

    def test_an_event_twice_in_curated_is_found(self):
        write_curated(self.folder, [*self.events, self.events[0]])
        self.assert_fails(f"event {self.events[0]['event_id']} stands 2 times in curated/")

    def test_an_event_missing_from_curated_is_found(self):
        write_curated(self.folder, self.events[1:])
        self.assert_fails(f"event {self.events[0]['event_id']} of 2025-10-04 12:00:00 is in raw/ and not in curated/")

    def test_a_changed_flag_in_curated_is_found(self):
        event = self.events[3]
        event["payload"]["brake_status"] = not event["payload"]["brake_status"]
        write_curated(self.folder, self.events)
        self.assert_fails(f"event {event['event_id']} has brake_status")

    def test_a_lake_without_curated_is_found(self):
        (self.folder / "curated").rename(self.folder / "elsewhere")
        self.assert_fails("80 events of raw/ have no curated/")

    def test_a_doubled_aggregate_row_is_found_in_either_format(self):
        for format in ("parquet", "jsonl"):
            with self.subTest(format):
                write_aggregates(self.folder, self.rows)
                write_aggregates(self.folder, [*self.rows, self.row("veh-00001", "engine_rpm")], [format])
                self.assert_fails(f"{format} row 2025-10-04 12:00:00 veh-00001 engine_rpm stands 2 times")

    def test_a_missing_aggregate_row_is_found(self):
        self.rows.remove(self.row("veh-00002", "drive_mode"))
        write_aggregates(self.folder, self.rows)
        self.assert_fails("2025-10-04 12:00:00 veh-00002 drive_mode: has no row in aggregates/")

    def test_an_invented_aggregate_row_is_found(self):
        write_aggregates(
            self.folder, [*self.rows, self.row("CELL-000123", "rrc_conn_avg") | {"entity_id": "CELL-000124"}]
        )
        self.assert_fails("CELL-000124 rrc_conn_avg: has a row in aggregates/ and no event in raw/")

    def test_a_figure_that_is_off_is_found_by_name(self):
        off = {
            "messages": 1,
            "count": 1,
            "min": 1e-9,
            "max": 1e-9,
            "mean": 1e-5,
            "stddev": 1e-5,
            "p50": 25,
            "p95": 30,
            "p99": 30,
        }
        for name, by in off.items():
            with self.subTest(name):
                rows = [
                    row | {name: row[name] + by} if row is self.row("veh-00001", "engine_rpm") else row
                    for row in self.rows
                ]
                write_aggregates(self.folder, rows)
                self.assert_fails(f"engine_rpm: {name} ", "1 differences")

    def test_a_percentile_within_one_percent_passes(self):
        row = self.row("veh-00001", "engine_rpm")
        row |= {name: row[name] * 1.009 for name in ("p50", "p95", "p99")}
        write_aggregates(self.folder, self.rows)
        self.assert_passes()

    def test_a_percentile_between_values_of_both_signs_is_held_to_one_percent_of_them(self):
        # Their middle is 0.05: no percentile of values that are off by 1 % could be within 1 % of that.
        event = json.loads(json.dumps(self.events[0])) | {"vehicle_id": "veh-00009"}
        for number, degrees in enumerate((-10.0, 10.1)):
            self.events.append(event | {"event_id": f"e-{number}", "payload": {"steering_deg": degrees}})
        self.rows = list(aggregate_rows(self.events))
        write_lines(self.folder / RAW, self.events)
        write_curated(self.folder, self.events)
        self.row("veh-00009", "steering_deg")["p50"] += 0.09
        write_aggregates(self.folder, self.rows)
        self.assert_passes()
        self.row("veh-00009", "steering_deg")["p50"] += 0.03
        write_aggregates(self.folder, self.rows)
        self.assert_fails("veh-00009 steering_deg: p50")

    def test_statistics_of_text_are_found(self):
        self.row("veh-00001", "drive_mode")["min"] = 0.0
        write_aggregates(self.folder, self.rows)
        self.assert_fails("drive_mode: min 0.0 for null")

    def test_a_single_value_has_no_standard_deviation(self):
        event = dict(self.events[0], vehicle_id="veh-00009", event_id="alone")
        self.events.append(event)
        self.rows = list(aggregate_rows(self.events))
        write_lines(self.folder / RAW, self.events)
        write_curated(self.folder, self.events)
        write_aggregates(self.folder, self.rows)
        self.assert_passes()
        self.row("veh-00009", "engine_rpm")["stddev"] = 0.0
        write_aggregates(self.folder, self.rows)
        self.assert_fails("veh-00009 engine_rpm: stddev 0.0 for null")

    def test_jsonl_that_differs_from_parquet_is_found(self):
        self.row("veh-00001", "engine_rpm")["unit"] = "rpm"
        write_aggregates(self.folder, self.rows, ["jsonl"])
        self.assert_fails("veh-00001 engine_rpm: differs between Parquet and JSONL")

    def test_aggregates_in_another_hours_folder_are_found(self):
        there = self.folder / "aggregates" / NOON
        there.rename(there.with_name("hour=11"))
        self.assert_fails("a row of hour 2025-10-04 12:00:00 lies in")

    def test_keys_that_do_not_fit_the_layout_are_found(self):
        (self.folder / "raw" / "part-1.jsonl").write_text("")
        self.assert_fails("key raw/part-1.jsonl does not fit")

    def test_an_id_that_came_with_two_contents_needs_only_be_there(self):
        # Which of the two came first, raw/ does not tell: the vehicle's hour is left aside, all else is compared.
        other = json.loads(json.dumps(self.events[0]))
        other["payload"]["engine_rpm"] += 700
        write_lines(self.folder / RAW, [other, *self.events])
        self.assertIn("lake check: 16 rows compared", self.assert_passes())
        write_curated(self.folder, self.events[1:])
        self.assert_fails(f"event {self.events[0]['event_id']} of 2025-10-04 12:00:00 is in raw/ and not in curated/")

    def test_a_kind_of_the_users_own_is_checked_by_its_declaration(self):
        event = {
            "kind": "weather",
            "event_id": "w-1",
            "station": "st-1",
            "observed": "2025-10-04T14:30:00+02:00",
            "readings": {"temperature_c": -3.5},
            "ingest_received_at": self.events[0]["ingest_received_at"],
        }
        self.events.append(event | {"observed": "2025-10-04T12:30:00Z"})
        write_lines(self.folder / RAW, [*self.events[:-1], event])
        write_curated(self.folder, self.events)
        write_aggregates(self.folder, aggregate_rows(self.events))
        self.assert_fails("raw/ holds kinds without a contract: weather")

        declared = '[entity]\nfield = "station"\n[time]\nfield = "observed"\n[signals]\nfield = "readings"\n'
        contracts = self.folder / "contracts"
        contracts.mkdir()
        (contracts / "weather.toml").write_text('kind = "weather"\nversion = 1\n' + declared)
        self.assertIn("weather ", self.assert_passes("--contracts", str(contracts)))

    def test_an_empty_lake_does_not_pass(self):
        (self.folder / "raw").rename(self.folder / "elsewhere")
        self.assert_fails("there is nothing to check")

    def test_a_line_cut_short_does_not_pass(self):
        file = self.folder / RAW
        file.write_text(file.read_text()[:-20])
        self.assert_fails("lake check: DuckDB cannot read the lake")


if __name__ == "__main__":
    unittest.main()
