"""What the aggregates say, what a reader finds in the events and in the aggregates, and how the two differ.

Figures are by kind, hour (`2026-11-21T05`), entity and signal.
"""

import collections
import json
import math
import re
from dataclasses import dataclass

# A column of a signal's values of a second type.
OTHER_TYPE = re.compile(r"(.+)__(bool|text|number|integer)")


@dataclass(frozen=True)
class Figure:
    """A signal's values in an hour; a text has a count alone."""

    messages: int
    count: int
    mean: float | None
    min: float | None
    max: float | None

    def differs(self, other):
        """Which parts differ. Means may differ by what the order of adding makes."""
        for name in ("messages", "count", "min", "max"):
            if getattr(self, name) != getattr(other, name):
                yield f"{name} {getattr(self, name)} for {getattr(other, name)}"
        if (self.mean is None) != (other.mean is None) or (
            self.mean is not None
            and not math.isclose(
                self.mean, other.mean, rel_tol=1e-9, abs_tol=1e-12 * max(abs(other.min), abs(other.max))
            )
        ):
            yield f"mean {self.mean} for {other.mean}"


def hour_of(row):
    """A row's hour by its partitions."""
    return f"{row['year']}-{row['month']:02}-{row['day']:02}T{row['hour']:02}"


def published(s3, bucket):
    """The rows of the JSONL in aggregates/, read with nothing but a JSON parser, by key."""
    rows = {}
    for key in keys(s3, bucket, "aggregates/"):
        if not key.endswith(".jsonl"):
            continue
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines():
            row = json.loads(line)
            rows[row["kind"], row["event_hour"][:13], row["entity_id"], row["signal"]] = row
    return rows


def keys(s3, bucket, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def figures(rows, kind):
    """The published rows of a kind, as figures."""
    names = ("messages", "count", "mean", "min", "max")
    return {key: Figure(*(row[name] for name in names)) for key, row in rows.items() if key[0] == kind}


def melted(rows, kind, columns):
    """A reader's rows of hours and entities, as figures. `columns` are those of signals."""
    found = {}
    for row in rows:
        parts = {}
        for column in columns:
            if row[f"count {column}"]:
                other = OTHER_TYPE.fullmatch(column)
                parts.setdefault(other[1] if other and other[1] in columns else column, []).append(column)
        for signal, held in parts.items():
            numbers = [column for column in held if f"mean {column}" in row]
            # Where a signal is a number at all, its texts are no values of it.
            count = sum(row[f"count {column}"] for column in numbers or held)
            figure = Figure(row["messages"], count, None, None, None)
            if numbers:
                figure = Figure(
                    row["messages"],
                    count,
                    math.fsum(row[f"mean {column}"] * row[f"count {column}"] for column in numbers) / count,
                    min(row[f"min {column}"] for column in numbers),
                    max(row[f"max {column}"] for column in numbers),
                )
            found[kind, hour_of(row), row["entity_id"], signal] = figure
    return found


def by_name(rows, kind, name, value):
    """A reader's rows of hours, entities and names, of a kind that has a signal an event, as figures."""
    messages = collections.Counter()
    for row in rows:
        messages[hour_of(row), row["entity_id"]] += row["messages"]
    return {
        (kind, hour_of(row), row["entity_id"], row[name]): Figure(
            messages[hour_of(row), row["entity_id"]], *(row[f"{of} {value}"] for of in ("count", "mean", "min", "max"))
        )
        for row in rows
    }


def differences(found, wanted):
    """What a reader's figures have otherwise than the aggregates, in words."""
    for key in sorted(found.keys() | wanted.keys()):
        place = " ".join(key)
        if key not in found:
            yield f"{place}: not found"
        elif key not in wanted:
            yield f"{place}: found, and not in the aggregates"
        elif differing := ", ".join(found[key].differs(wanted[key])):
            yield f"{place}: {differing}"


def events(rows, kind):
    """Events of a kind, by the published rows: each entity and hour says how many it had."""
    return sum({key[1:3]: row["messages"] for key, row in rows.items() if key[0] == kind}.values())


def rows_differ(found, wanted):
    """What a reader's rows of aggregates/ have otherwise than the JSONL: the same figures in the same spelling."""
    by_key = {(row["kind"], hour_of(row), row["entity_id"], row["signal"]): row for row in found}
    if len(by_key) != len(found):
        yield f"{len(found) - len(by_key)} rows of aggregates/ stand twice"
    for key in sorted(by_key.keys() | wanted.keys()):
        place = " ".join(key)
        if key not in by_key:
            yield f"{place}: no row"
        elif key not in wanted:
            yield f"{place}: a row that JSONL has not"
        else:
            row, line = by_key[key], wanted[key]
            for name in ("unit", "messages", "count", "min", "max", "mean", "stddev", "p50", "p95", "p99"):
                if row[name] != line[name]:
                    yield f"{place}: {name} {row[name]} for {line[name]}"


def example_differs(rows, wanted):
    """What the page's example, count and mean of vehicle_speed_kmh, has otherwise than the aggregates."""
    found = {("vehicle", hour_of(row), row["entity_id"], "vehicle_speed_kmh"): row for row in rows}
    wanted = {key: figure for key, figure in wanted.items() if key[3] == "vehicle_speed_kmh"}
    for key in sorted(found.keys() ^ wanted.keys()):
        yield f"example: {' '.join(key)} is {'missing' if key in wanted else 'not in the aggregates'}"
    for key in sorted(found.keys() & wanted.keys()):
        row, figure = found[key], wanted[key]
        if row["count"] != figure.count or not math.isclose(row["mean"], figure.mean, rel_tol=1e-9):
            yield f"example: {' '.join(key)} has {row['count']}, {row['mean']} for {figure.count}, {figure.mean}"
