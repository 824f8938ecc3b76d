"""What alertmanager.py would find: messages, places and test files spoilt in one place each, without the programs.

tests/python -m unittest discover -s tests/e2e
"""

import copy
import unittest

from prometheus import made_up, notifications, rule_files, test_files

ALERT = {
    "status": "firing", "labels": {"alertname": "Hot", "entity_id": "c-1"}, "annotations": {"summary": "c-1 at 95"},
    "startsAt": "2026-11-27T09:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://here", "fingerprint": "a1",
}  # fmt: skip
THEIRS = {
    "receiver": "ops", "status": "firing", "alerts": [ALERT, ALERT | {"fingerprint": "a2"}], "groupLabels": {},
    "commonLabels": {"alertname": "Hot"}, "commonAnnotations": {}, "externalURL": "http://here", "version": "4",
    "groupKey": "{}:{}", "truncatedAlerts": 0,
}  # fmt: skip
OURS = THEIRS | {"notification_reason": "first notification", "routeLabels": {}}


class Messages(unittest.TestCase):
    def differences(self, ours):
        return list(notifications.differences("ops", {"{}:{}": ours}, {"{}:{}": THEIRS}))

    def test_messages_of_the_same_alerts_in_any_order_do_not_differ(self):
        self.assertEqual(self.differences(OURS), [])
        self.assertEqual(self.differences(OURS | {"alerts": OURS["alerts"][::-1]}), [])

    def test_each_field_that_differs_or_is_missing_is_told(self):
        for field in OURS:
            for ours in ({key: value for key, value in OURS.items() if key != field}, OURS | {field: None}):
                with self.subTest(field, ours=ours):
                    if field == "alerts":
                        continue
                    (told,) = self.differences(ours)
                    self.assertIn(field, told)
        for field in ALERT:
            ours = copy.deepcopy(OURS)
            ours["alerts"][0][field] = "other"
            with self.subTest(field):
                self.assertEqual(len(self.differences(ours)), 1)
        self.assertEqual(len(self.differences(OURS | {"truncatedAlerts": "0"})), 1)
        self.assertEqual(len(list(notifications.differences("ops", {}, {"{}:{}": THEIRS}))), 1)


class Files(unittest.TestCase):
    def test_a_mark_stands_for_line_and_column(self):
        self.assertEqual(rule_files.place("¦a"), "1:1")
        self.assertEqual(rule_files.place("a\n  b: ¦c\n"), "2:6")
        for text, _, ours, _ in rule_files.cases():
            self.assertEqual(text.count("¦"), 0 if ours else 1, text)

    def test_each_expectation_is_spoilt_by_turns_in_each_way(self):
        alerts = [{"exp_labels": {"kind": "cell"}, "exp_annotations": {"now": "5"}}]
        tests = [{"eval_time": f"{at}m", "alertname": "A", "exp_alerts": alerts} for at in range(5)]
        tests.append({"eval_time": "9m", "alertname": "A"})
        read = {"tests": [{"name": "one", "alert_rule_test": tests}]}
        before = copy.deepcopy(read)
        spoilt = [changed["tests"][0]["alert_rule_test"] for _, changed in test_files.spoilt(read)]
        self.assertEqual(read, before)
        self.assertEqual(len(spoilt), 6)
        changed = [tests[at]["exp_alerts"] for at, tests in enumerate(spoilt)]
        for at, alerts in enumerate(changed):
            self.assertNotIn(alerts, [tests[0]["exp_alerts"], *changed[:at]])


class MadeUp(unittest.TestCase):
    def test_a_seed_gives_the_same_test(self):
        self.assertEqual(made_up.made(7), made_up.made(7))
        self.assertNotEqual(made_up.made(7), made_up.made(8))

    def test_what_fires_is_read_from_what_is_said(self):
        said = (
            "made_test.yml: FAILED: test 1: the alerts of `Rule0` at 120s differ\n"
            '  firing, but not expected:\n    labels {alertname="Rule0", kind="cell"}\n    annotations {now="c-1 at 5"}\n'
            '  firing, but not expected:\n    labels {alertname="Rule0", kind="car"}\n    annotations {}\n'
        )
        self.assertEqual(
            made_up.firing(said),
            {
                ("Rule0", "120s"): [
                    {"exp_labels": {"alertname": "Rule0", "kind": "cell"}, "exp_annotations": {"now": "c-1 at 5"}},
                    {"exp_labels": {"alertname": "Rule0", "kind": "car"}, "exp_annotations": {}},
                ]
            },
        )


if __name__ == "__main__":
    unittest.main()
