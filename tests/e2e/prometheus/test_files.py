"""Test files through `promtool test rules` and `alerts test`: the same verdicts, where all holds and where it does not.

Values lie just before the end of a window (`interval: 9s999ms`, and none at 0): a value on the left edge of a window
belongs to it in Prometheus 2, and does not in Prometheus 3 and here.
"""

import copy
from pathlib import Path

import yaml

from .programs import in_words

DATA = Path(__file__).resolve().parent / "test_data"


def ways(test):
    """In which ways the expectation of a test may be spoilt: each changes the alerts that it expects."""
    yield lambda alerts: alerts.append({"exp_labels": {"kind": "cell", "entity_id": "another"}})
    if alerts := test.get("exp_alerts"):
        yield lambda alerts: alerts.pop()
        yield lambda alerts: alerts[0].setdefault("exp_labels", {}).update(vendor="another")
        if texts := alerts[0].get("exp_annotations"):
            yield lambda alerts: alerts[0]["exp_annotations"].popitem()
            yield lambda alerts: alerts[0]["exp_annotations"].update({min(texts): "another text"})


def spoilt(read):
    """The test file with one expectation changed, and which one; for each expectation in one way, all ways by turns."""
    at = 0
    for group_at, group in enumerate(read["tests"]):
        for test_at, test in enumerate(group["alert_rule_test"]):
            all_ways = list(ways(test))
            changed = copy.deepcopy(read)
            all_ways[at % len(all_ways)](
                changed["tests"][group_at]["alert_rule_test"][test_at].setdefault("exp_alerts", [])
            )
            at += 1
            yield f"{group.get('name')}: {test['alertname']} at {test['eval_time']}", changed


def check(both):
    """How many files were held against both, and what differs, in words."""
    wrong, count = [], 0
    for rules in sorted(DATA.glob("*.yml")):
        both.write(rules.name, rules.read_text())
    for path in sorted(DATA.glob("*_test.yml")):
        count += 1
        (they_pass, theirs), (we_pass, ours) = both.test(both.folder / path.name)
        if not (they_pass and we_pass):
            wrong.append(f"{path.name}: promtool {they_pass}, ours {we_pass}{in_words(theirs, ours)}")
            continue
        for what, changed in spoilt(yaml.safe_load(path.read_text())):
            count += 1
            spoilt_path = both.write("spoilt_test.yml", yaml.safe_dump(changed, allow_unicode=True))
            (they_pass, theirs), (we_pass, ours) = both.test(spoilt_path)
            if they_pass or we_pass:
                wrong.append(f"spoilt {path.name}, {what}: promtool {they_pass}, ours {we_pass}{in_words(theirs, ours)}")
    return count, wrong
