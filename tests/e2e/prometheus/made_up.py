"""Made-up rules over made-up series: what ours says fires is what promtool expects, for each seed.

Left out is what differs on purpose (differs.py): `rate`, several values in ten seconds, and an alert that fires on
while its window is empty. Missing data end alerts at once, as they do in Prometheus.
"""

import random
import re

import yaml

from .programs import in_words

# Ten seconds apart, just before the end of each window: see test_files.py.
INTERVAL = "9s999ms"
VALUES = 48

SERIES = [(signal, entity) for signal in ("load", "heat") for entity in ("c-1", "c-2", "c-3")]
VENDORS = {"c-1": "a", "c-2": "a", "c-3": "b"}

# Values of the first kind are whole numbers and compared as such; the others are never a whole number and 0.3 more.
WHOLE = ["min_over_time", "max_over_time", "last_over_time", "sum_over_time", "count_over_time", "changes"]
BROKEN = ["avg_over_time", "stddev_over_time", "quantile_over_time"]


def values(dice):
    """Whole numbers with gaps; some series begin late."""
    words, level = ["_"] * dice.choice([1, 1, 1, 10]), dice.randrange(100)
    while len(words) < VALUES:
        if dice.random() < 0.08:
            words += ["_"] * min(dice.randint(1, 3), VALUES - 1 - len(words))
        level = level if dice.random() < 0.4 else dice.randrange(100)
        words.append(str(level))
    return " ".join(words)


def comparison(dice, least, group):
    """One value compared with a number, over ten seconds `least` times at least; `group` is what series have in common
    that are put together."""
    function = dice.choice(WHOLE + BROKEN)
    windows = dice.randint(least, 12)
    selector = dice.choice(["load", "heat"]) + dice.choice(
        ['{kind="cell"}', "", '{vendor="a"}', '{vendor!="b"}', '{entity_id=~"c-[12]"}', '{entity_id!~"c-2|x"}']
    )
    first = f"{dice.choice(['0', '0.25', '0.5', '0.9', '1'])}, " if function == "quantile_over_time" else ""
    value = f"{function}({first}{selector}[{windows}0s])"
    together = dice.choice(["sum", "avg", "min", "max", "count"])
    if group is not None:
        value = dice.choice([f"{together} by ({group}) ({value})", f"{together}({value}) by ({group})"])
    counts = function in ("count_over_time", "changes") or (group is not None and together == "count")
    threshold = dice.randint(1, 3) if counts else dice.randrange(10, 90)
    if function == "sum_over_time":
        threshold *= windows
    if function in BROKEN or together == "avg":
        return f"{value} {dice.choice(['>', '<', '>=', '<='])} {threshold}.3"
    return dice.choice([f"{value} {dice.choice(['>', '<', '>=', '<=', '==', '!='])} {threshold}", f"{threshold} < {value}"])


def condition(dice, least):
    group = dice.choice([None, None, None, "vendor", "kind, vendor", ""])
    if dice.random() < 0.1 and group is None:
        return f'absent_over_time({dice.choice(["load", "heat"])}{{kind="cell", entity_id="c-1"}}[{dice.randint(1, 2)}0s])'
    text = comparison(dice, least, group)
    for _ in range(dice.choice([0, 0, 1, 1, 2])):
        text = f"{text} {dice.choice(['and', 'or', 'unless'])} {comparison(dice, least, group)}"
    return text


def rule(dice, at):
    # No window of six and more is empty while a series lasts, nor is one side of a condition missing.
    keeps = dice.random() < 0.4
    made = {"alert": f"Rule{at}", "expr": condition(dice, 6 if keeps else 1)}
    if dice.random() < 0.5:
        made["for"] = f"{dice.randint(1, 9) * 5}s"
    if keeps:
        made["keep_firing_for"] = f"{dice.randint(1, 9) * 5}s"
    made["labels"] = {"level": dice.choice(["page", "{{ $labels.vendor }}"])}
    made["annotations"] = {
        "now": '{{ $labels.entity_id }} at {{ $value | printf "%.5g" }}',
        "headwater_no_data": "ok",
        "headwater_no_data_after": "10s",
    }
    return made


def made(seed):
    """A rule file and a test file without expectations."""
    dice = random.Random(seed)
    rules = [rule(dice, at) for at in range(10)]
    series = [
        {
            "series": f'{signal}{{kind="cell", entity_id="{entity}", vendor="{VENDORS[entity]}"}}',
            "values": values(dice),
        }
        for signal, entity in SERIES
    ]
    times = sorted(dice.sample(range(12, VALUES - 1), 12))
    tests = [{"eval_time": f"{time}0s", "alertname": rule["alert"]} for time in times for rule in rules]
    return {"groups": [{"name": "made", "rules": rules}]}, {
        "rule_files": ["made.yml"],
        "evaluation_interval": "10s",
        "tests": [{"interval": INTERVAL, "input_series": series, "alert_rule_test": tests}],
    }


def firing(said):
    """The alerts that ours found firing where none was expected, by alert and time."""
    found = {}
    for part in said.split("FAILED: ")[1:]:
        head = re.match(r"test 1: the alerts of `(\w+)` at (\w+) differ", part)
        each = re.findall(r"firing, but not expected:\n    labels \{(.*)\}\n    annotations \{(.*)\}", part)
        pairs = [[dict(re.findall(r'(\w+)="([^"]*)"', text)) for text in alert] for alert in each]
        found[head[1], head[2]] = [{"exp_labels": labels, "exp_annotations": texts} for labels, texts in pairs]
    return found


def check(both, seeds):
    """How many tests were held against both, and what differs, in words."""
    wrong, alerts, several = [], 0, 0
    for seed in seeds:
        rules, tests = made(seed)
        both.write("made.yml", yaml.safe_dump(rules))
        (taken, said), (_, ours) = both.test(both.write("made_test.yml", yaml.safe_dump(tests)))
        found = firing(ours)
        for test in tests["tests"][0]["alert_rule_test"]:
            expected = found.get((test["alertname"], test["eval_time"]), [])
            alerts, several = alerts + len(expected), several + (len(expected) > 1)
            for alert in expected:
                alert["exp_labels"].pop("alertname")
                alert["exp_annotations"] |= {"headwater_no_data": "ok", "headwater_no_data_after": "10s"}
            test["exp_alerts"] = expected
        (they_pass, theirs), (we_pass, ours) = both.test(both.write("made_test.yml", yaml.safe_dump(tests)))
        if not (they_pass and we_pass):
            expressions = "\n".join(f"    {rule}" for rule in rules["groups"][0]["rules"])
            wrong.append(f"seed {seed}: promtool {they_pass}, ours {we_pass}\n{expressions}{in_words(theirs, ours)}")
    if not wrong and seeds and not several:
        wrong.append(f"made-up tests: too little fires: {alerts} alerts")
    return len(seeds), wrong
