"""Where ours differs from Prometheus on purpose, as docs/alerts.md says: both are held to what they do."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

from processes import wait_until

from . import notifications
from .programs import in_words, output

SERIES = 'x{kind="cell", entity_id="c"}'


def rule(expr, text="", **keys):
    keys = "".join(f", {key}: {value}" for key, value in keys.items())
    note = f", annotations: {{ now: '{text}' }}" if text else ""
    return f"groups: [{{ name: a, rules: [{{ alert: A, expr: '{expr}'{keys}{note} }}] }}]\n"


def test(time, expected, values, interval="9s999ms", evaluated="10s", series=(SERIES,)):
    """A test file with one expectation; `expected` is the text of the alert's annotation, none if nothing fires."""
    alerts = [] if expected is None else [{"exp_labels": {"kind": "cell", "entity_id": "c"}}]
    if expected:
        alerts[0]["exp_annotations"] = {"now": expected}
    read = {
        "rule_files": ["differs.yml"],
        "evaluation_interval": evaluated,
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": one, "values": values} for one in series],
                "alert_rule_test": [{"eval_time": time, "alertname": "A", "exp_alerts": alerts}],
            }
        ],
    }
    # JSON is YAML.
    return json.dumps(read)


RATE = rule("rate(x[1m]) > 0", '{{ $value | printf "%.3f" }}')
CHANGES = rule("changes(x[20s]) > 0", "{{ $value }}")
LAST = "last_over_time(x[10s]) > 80"
EDGE = rule("count_over_time(x[10s]) > 0", "{{ $value }}")
NEAR = rule("quantile_over_time(0.5, x[10s]) > 1095 and quantile_over_time(0.5, x[10s]) < 1105")

# What is so, the rules, the test, and the verdicts of promtool 2, of promtool 3 and of ours.
CASES = [
    ("a value on the left edge belongs to the window before", EDGE, test("20s", "1", "1x5", "10s"), False, True, True),
    ("rate is not extrapolated", RATE, test("2m", "0.833", "_ 0+10x20"), False, False, True),
    ("rate is extrapolated by Prometheus", RATE, test("2m", "1.000", "_ 0+10x20"), True, True, False),
    ("changes are counted by the ten seconds", CHANGES, test("30s", "3", "1 " + "2 1 " * 20, "999ms"), False, False, True),
    ("quantiles of many values are near", NEAR, test("60s", "", "_ 1+1x1300", "50ms"), True, True, True),
    ("an alert without data fires on", rule(LAST), test("1m", "", "_ 90 90"), False, False, True),
    ("an alert without data ends in Prometheus", rule(LAST), test("1m", None, "_ 90 90"), True, True, False),
    (
        "one without data ends at once if it is asked to",
        rule(LAST).replace(" }] }]", ", annotations: { headwater_no_data: ok, headwater_no_data_after: 10s } }] }]"),
        test("30s", None, "_ 90 90"), True, True, True,
    ),
    (
        "rules are looked at each ten seconds",
        rule(LAST, **{"for": "1m"}), test("2m20s", "", "_ 10x5 90x20", evaluated="1m"), False, False, True,
    ),
    (
        "text fields tell no alerts apart",
        rule(LAST, "{{ $value }}"),
        test("20s", "90", "_ 90x3", series=('x{kind="cell", entity_id="c", can_id="1"}', SERIES)), False, False, False,
    ),
    (
        "a name that no rule has is a mistake",
        rule(LAST).replace("alert: A", "alert: B"), test("20s", None, "_ 10"), True, True, False,
    ),
]  # fmt: skip


def check(both):
    """How many cases were held against both, and what differs, in words."""
    version = subprocess.run(["promtool", "--version"], check=True, capture_output=True, text=True)
    is_3 = re.search(r"version (\d+)", version.stdout + version.stderr)[1] != "2"
    wrong = []
    for what, rules, tests, promtool_2, promtool_3, ours in CASES:
        both.write("differs.yml", rules)
        (they_pass, theirs), (we_pass, said) = both.test(both.write("differs_test.yml", tests))
        if (they_pass, we_pass) != (promtool_3 if is_3 else promtool_2, ours):
            wrong.append(f"{what}: promtool {they_pass}, ours {we_pass}{in_words(theirs, said)}")
    return len(CASES), wrong


def check_edge(services, ingest, key):
    """An event on the ten seconds belongs to the window that begins there: `alerts replay` tells it ten seconds later."""
    now = datetime.now(UTC)
    edge = now.replace(second=now.second // 10 * 10, microsecond=0) - timedelta(minutes=3)
    rules = services.folder / "edge"
    rules.mkdir()
    (rules / "edge.yml").write_text(
        rule('count_over_time(edge{kind="metric"}[10s]) > 0', no_data="ok", no_data_after="10s")
    )
    show = lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
    sample = {"name": "edge", "entity": "e", "value": 1, "timestamp": show(edge)}
    notifications.post(f"http://{ingest}", key, [sample])
    second = timedelta(seconds=1)
    span = ["--from", show(edge - 60 * second), "--to", show(edge + 60 * second)]
    command = [services.binaries / "alerts", "replay", *span]
    env = services.env | {"RULES": str(rules)}
    told = lambda: [line.split()[:2] for line in output(command, env)[1].splitlines() if "a/A{" in line]  # noqa: E731
    wait_until("an event in the lake", told)
    wanted = [[show(edge + 10 * second), "firing"], [show(edge + 20 * second), "resolved"]]
    return [] if told() == wanted else [f"an event at {show(edge)}: {told()}, and not {wanted}"]
