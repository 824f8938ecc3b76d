"""What the lake is fed with, stage by stage: kinds as they are declared at first, and what grows.

* A signal that nobody declared appears: `tyre_kpa` of a vehicle.
* An undeclared signal turns from whole numbers to fractions: `load` of a meter. Another, `level`, comes as text too.
* A declaration gains a field and a signal: `firmware` and `voltage_v` of a meter.
* A kind is added: `charger`, which has a `phase` as meters have, of another type.
* A declared signal turns from integer to number: `power_w` of a meter.
"""

import datetime
import json
import tomllib

from processes import ROOT

METER = """
kind = "meter"
version = 1
[entity]
field = "meter_id"
[time]
field = "at"
[fields.site]
type = "string"
required = true
[signals]
field = "values"
[signals.known]
power_w = { type = "integer", unit = "W" }
closed = { type = "boolean" }
phase = { type = "string" }
"""

GROWN_METER = (
    METER.replace("version = 1", "version = 2").replace(
        "[signals]\n", '[fields.firmware]\ntype = "string"\n[signals]\n'
    )
    + 'voltage_v = { type = "number", unit = "V" }\n'
)

RETYPED_METER = GROWN_METER.replace('power_w = { type = "integer"', 'power_w = { type = "number"')

CHARGER = """
kind = "charger"
version = 1
[entity]
field = "charger_id"
[time]
field = "since"
[signals]
field = "readings"
[signals.known]
current_a = { type = "number", unit = "A" }
phase = { type = "integer" }
"""

DECLARED = {
    "before": {"meter.toml": METER},
    "grown": {"meter.toml": GROWN_METER, "charger.toml": CHARGER},
    "retyped": {"meter.toml": RETYPED_METER, "charger.toml": CHARGER},
}

# Events of these kinds that stand in the lake after each stage.
SENT = {"before": {"meter": 180}, "grown": {"meter": 300, "charger": 90}, "retyped": {"meter": 420, "charger": 90}}

# All events are of the four hours from here on: days and years late is fine, and each run is like the last. Partitions
# of two years come of it, with leading zeros in month, day and hour.
FIRST = datetime.datetime(2025, 12, 31, 22, tzinfo=datetime.UTC)
END = FIRST + datetime.timedelta(hours=4)


def at(minute):
    return (FIRST + datetime.timedelta(minutes=minute, seconds=minute % 60)).isoformat().replace("+00:00", "Z")


def meters(first, count, values):
    return [
        {"meter_id": f"meter-{n % 3}", "at": at(first + n), "site": "north", "values": values(n)} for n in range(count)
    ]


def before():
    yield "vehicle", [all_signals("vehicle", at(7))]
    yield "cell", [all_signals("cell", at(8))]
    for kind in ("chat", "viewer", "transaction", "stream_meta", "metric_info"):
        yield kind, [all_signals(kind, at(8))]
    yield (
        "metric",
        [
            {"name": f"metric_{n}", "value": n / 2, "entity": "host-1", "timestamp": at(9), "tags": {"zone": "b"}}
            for n in range(3)
        ],
    )
    yield (
        "meter",
        meters(
            0, 180, lambda n: {"power_w": n, "closed": n % 2 == 0, "phase": "abc"[n % 3], "load": n % 4, "level": n}
        ),
    )


def grown():
    yield (
        "vehicle",
        [
            {
                "timestamp": at(n),
                "vehicle_id": f"veh-{n % 2:05}",
                "can_id": "0x1F0",
                "payload": {"engine_rpm": 900 + n, "tyre_kpa": 220 + n % 30},
            }
            for n in range(120)
        ],
    )

    # An odd device sends a text now and then; in the last hour all do.
    def values(n):
        level = "high" if n % 7 == 3 or n >= 60 else n
        return {"power_w": n, "voltage_v": 229.5 + n, "load": n % 4 + 0.25, "level": level}

    yield "meter", [meter | {"firmware": "2.1"} for meter in meters(120, 120, values)]
    yield (
        "charger",
        [
            {"charger_id": f"charger-{n % 2}", "since": at(60 + n), "readings": {"current_a": n / 2, "phase": n % 3}}
            for n in range(90)
        ],
    )


def retyped():
    yield "meter", meters(90, 120, lambda n: {"power_w": n + 0.5, "closed": n % 2 == 0})


# The stages, in order: what ingest takes in each, by kind.
EVENTS = {"before": before, "grown": grown, "retyped": retyped}


def all_signals(kind, time):
    """An event that carries every signal its built-in declaration knows, so that each has its column."""
    declared = tomllib.loads((ROOT / f"crates/contract/kinds/{kind}.toml").read_text())
    signals = {}
    for name, rule in declared["signals"]["known"].items():
        by_type = {"number": max(rule.get("min", 0), -1), "integer": 1, "boolean": True, "string": "text"}
        signals[name] = by_type[rule["type"]]
    fields = {
        "vehicle": {"can_id": "0x1F0"},
        "cell": {"schema_version": 1, "source": "test", "entity_type": "cell"},
        "chat": {"message_id": "m-1", "user": "ann"},
        "viewer": {},
        "transaction": {"transaction_id": "t-1", "type": "gift", "currency": "EUR", "user": "ann"},
        "stream_meta": {"title": "a", "category": "b", "language": "en", "channel": "c"},
        "metric_info": {},
    }
    parts = {declared["entity"]["field"]: f"{kind}_1", declared["time"]["field"]: time}
    return parts | {declared["signals"]["field"]: signals} | fields[kind]


def declare(folder, stage):
    """Writes the stage's declarations and gives their folder."""
    folder = folder / stage
    folder.mkdir()
    for name, text in DECLARED[stage].items():
        (folder / name).write_text(text)
    return folder


def fields(folders):
    """Each declared kind's own fields, which are columns and no signals."""
    return {
        declared["kind"]: set(declared.get("fields", {}))
        for folder in folders
        for declared in (tomllib.loads(file.read_text()) for file in sorted(folder.glob("*.toml")))
    }


def lines(events):
    return "\n".join(json.dumps(event) for event in events)
