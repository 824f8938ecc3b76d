"""The same alerts and routes in `alerts` and in an Alertmanager: what both tell, field by field.

Ours hands its alerts on to the Alertmanager, which so takes in what we send.
"""

import json
import threading
import urllib.request

from processes import wait_until

# Alerts of three entities, by their load.
RULES = """\
groups:
  - name: load
    rules:
      - alert: Hot
        expr: max_over_time(load{kind="metric"}[10s]) > 90
        labels: { severity: page, team: core }
        annotations:
          summary: '{{ $labels.entity_id }} at {{ $value }}'
          description: "heiß & <b>\\"quoted\\"</b>\\nsecond line"
      - alert: Warm
        expr: max_over_time(load{kind="metric"}[10s]) > 50
        labels: { severity: info }
"""

# Read by both. Of Hot three routes, of Warm the first one: `{}`.
ROUTES = """\
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - matchers: ['team="core"', 'severity=~"page|ticket"']
      receiver: each
      group_by: ['...']
      continue: true
    - match: { team: core }
      match_re: { alertname: 'H.*|"' }
      receiver: pair
      group_by: [severity, kind, nothing]
      routes:
        - matchers: ['kind != "other"', 'alertname !~ "Cold|Warm"']
inhibit_rules:
  - source_matchers: ['alertname = "Hot"']
    target_matchers: ['alertname = "Warm"']
    equal: [entity_id]
receivers:
  - name: ops
    webhook_configs: [{ url: '{hook}/ops' }]{further}
  - name: each
    webhook_configs: [{ url: '{hook}/each' }]{further}
  - name: pair
    webhook_configs: [{ url: '{hook}/pair' }, { url: '{hook}/one', max_alerts: 1 }]{further}
"""

# What came to webhooks after Alertmanager 0.25, and whether ours says it.
NEWER = {"routeLabels": lambda labels: labels == {}, "notification_reason": bool}


def theirs(hook):
    return ROUTES.replace("{hook}", f"{hook}/theirs").replace("{further}", "")


def ours(hook, alertmanager):
    further = f"\n    alertmanager_configs: [{{ url: '{alertmanager}' }}]"
    return ROUTES.replace("{hook}", f"{hook}/ours").replace("{further}", further)


class Feeder:
    """Posts the load of each entity once a second; `loads` may be changed meanwhile."""

    def __init__(self, url, key):
        self.url, self.key, self.loads, self.stopped = url, key, {}, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(1):
            samples = [{"name": "load", "entity": entity, "value": load} for entity, load in self.loads.items()]
            if samples:
                post(self.url, self.key, samples)

    def stop(self):
        self.stopped.set()
        self.thread.join()


def post(url, key, samples):
    lines = "".join(json.dumps(sample) + "\n" for sample in samples)
    headers = {"content-type": "application/x-ndjson", "x-api-key": key}
    request = urllib.request.Request(f"{url}/v1/events/metric", lines.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        accepted = json.loads(answer.read())["accepted"]
    if accepted != len(samples):
        raise SystemExit(f"alertmanager failed: {accepted} of {len(samples)} events were accepted")


def told(bodies):
    """Which alerts the last messages of all groups tell of."""
    return {
        (alert["labels"]["alertname"], alert["labels"]["entity_id"], alert["status"])
        for body in bodies.values()
        for alert in body["alerts"]
    }


def compared(body):
    """A body whose alerts are in the order of their fingerprints: theirs go by labels, ours by their beginning."""
    return body | {"alerts": sorted(body["alerts"], key=lambda alert: alert["fingerprint"])}


def differences(name, our, their):
    """How the messages to a webhook differ, in words."""
    if our.keys() != their.keys():
        yield f"{name}: groups {sorted(our)}, and theirs are {sorted(their)}"
        return
    for key, body in our.items():
        body, other = compared(body), compared(their[key])
        for field in sorted(body.keys() | other.keys() | set(NEWER)):
            found = body.get(field)
            if field in NEWER:
                if not NEWER[field](found):
                    yield f"{name}, {key}: {field} is {found!r}"
            elif field not in body or field not in other or (type(found), found) != (type(other[field]), other[field]):
                yield f"{name}, {key}: {field} is {found!r}, and theirs {other.get(field)!r}"


def phase(hook, expected, names=("ops", "each", "pair")):
    """Waits until both have told what is expected of each receiver; gives what differs, in words."""
    for who in ("ours", "theirs"):
        for name in names:
            is_told = lambda of=f"{who}/{name}", wanted=expected.get(name, set()): told(hook.latest(of)) == wanted  # noqa: E731
            try:
                wait_until("told", is_told)
            except SystemExit:
                found, wanted = told(hook.latest(f"{who}/{name}")), expected.get(name, set())
                return [f"{who}: {name} told of {sorted(found)} within a minute, and not of {sorted(wanted)}"]
    return [
        what
        for name in names
        for what in differences(name, hook.latest(f"ours/{name}"), hook.latest(f"theirs/{name}"))
    ]


def truncated(hook):
    """What is told of a group with more alerts than fit: ours begins with those that fire, and its status is theirs."""
    one = lambda who: next(iter(hook.latest(f"{who}/one").values()))  # noqa: E731
    wait_until("one of two alerts told", lambda: all(one(who)["truncatedAlerts"] == 1 for who in ("ours", "theirs")))
    for who in ("ours", "theirs"):
        if len(one(who)["alerts"]) != 1 or (who == "ours" and one(who)["status"] != "firing"):
            yield f"one: {who} is {one(who)}"


def run(hook, feeder, meanwhile):
    """Raises and lowers loads; gives what differs, in words. `meanwhile` is called while two alerts fire."""
    wrong = []
    feeder.loads = {"c-1": 95.5, "c-2": 20}
    first = {("Hot", "c-1", "firing")}
    wrong += phase(hook, {"each": first, "pair": first})
    feeder.loads = {"c-1": 95.5, "c-2": 99}
    both = first | {("Hot", "c-2", "firing")}
    wrong += phase(hook, {"each": both, "pair": both})
    wrong += truncated(hook)
    wrong += meanwhile()
    # One of two is over, and what it kept quiet is told.
    feeder.loads = {"c-1": 60, "c-2": 99}
    mixed = {("Hot", "c-1", "resolved"), ("Hot", "c-2", "firing")}
    wrong += phase(hook, {"each": mixed, "pair": mixed, "ops": {("Warm", "c-1", "firing")}})
    wrong += truncated(hook)
    feeder.loads = {"c-1": 60, "c-2": 60}
    over = {("Hot", "c-1", "resolved"), ("Hot", "c-2", "resolved")}
    warm = {("Warm", "c-1", "firing"), ("Warm", "c-2", "firing")}
    last = {("Hot", "c-2", "resolved")}
    wrong += phase(hook, {"each": over, "pair": last, "one": last, "ops": warm}, ["ops", "each", "pair", "one"])
    feeder.loads = {"c-1": 10, "c-2": 10}
    wrong += phase(hook, {"ops": {("Warm", "c-1", "resolved"), ("Warm", "c-2", "resolved")}}, ["ops"])
    # What is kept quiet until its end is not told: both alerts of the third one end at once.
    feeder.loads = {"c-3": 99}
    wrong += phase(hook, {"pair": {("Hot", "c-3", "firing")}}, ["pair"])
    feeder.loads = {"c-3": 10}
    wrong += phase(hook, {"pair": {("Hot", "c-3", "resolved")}}, ["pair"])
    if any(entity == "c-3" for who in ("ours", "theirs") for _, entity, _ in told(hook.latest(f"{who}/ops"))):
        wrong.append("ops was told of an alert that was inhibited until its end")
    for headers in hook.headers("ours/each"):
        kind = {name.lower(): value for name, value in headers.items()}.get("content-type")
        if kind != "application/json":
            wrong.append(f"a webhook of content type {kind}")
    return wrong
