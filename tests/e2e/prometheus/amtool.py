"""amtool at the API of `alerts`, and at the Alertmanager that takes in what ours hands on."""

import json

from processes import wait_until

from .programs import said


class Amtool:
    """amtool at one address. `config` is a file with what HTTP needs, such as a key."""

    def __init__(self, url, folder, config=None):
        self.command = ["amtool", f"--alertmanager.url={url}"]
        self.command += [f"--http.config.file={config}"] if config else []
        # It reads settings from there.
        self.env = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}

    def ask(self, *arguments):
        """Whether it was content, and what it printed, or what it complained about if it was not."""
        content, printed, complaints = said([*self.command, *arguments], self.env)
        return content, printed if content else complaints

    def __call__(self, *arguments):
        content, text = self.ask(*arguments)
        if not content:
            raise SystemExit(f"alertmanager failed: amtool {' '.join(arguments)} said {text}")
        return text.strip()

    def names(self, *arguments):
        """Alert and entity of each alert that a query gives."""
        alerts = json.loads(self("alert", "query", "-o", "json", *arguments))
        return {(alert["labels"]["alertname"], alert["labels"]["entity_id"]) for alert in alerts}


def with_key(url, folder, key):
    config = folder / "http.yml"
    config.write_text(f"authorization: {{ credentials: {key} }}\n")
    return Amtool(url, folder, config)


class Wrong(list):
    """What is not as it should be, in words."""

    def equal(self, what, found, wanted):
        if found != wanted:
            self.append(f"amtool: {what}: {found!r}, and not {wanted!r}")

    def has(self, what, text, *words):
        self.extend(f"amtool: {what}: no `{word}` in `{text}`" for word in words if word not in text)


HOT_1, HOT_2, WARM_1, WARM_2 = ("Hot", "c-1"), ("Hot", "c-2"), ("Warm", "c-1"), ("Warm", "c-2")


def alerts(amtool):
    """Queries while two entities are hot, which keeps quiet that they are warm."""
    wrong = Wrong()
    wrong.equal("alerts", amtool.names(), {HOT_1, HOT_2})
    wrong.equal("inhibited alerts", amtool.names("--inhibited"), {WARM_1, WARM_2})
    wrong.equal("alerts of an expression", amtool.names("alertname=~H.*", "entity_id!=c-1"), {HOT_2})
    wrong.equal("alerts of a name", amtool.names("Hot"), {HOT_1, HOT_2})
    wrong.equal("alerts of no name", amtool.names("Cold"), set())
    wrong.equal("alerts of a receiver", amtool.names("--receiver=pair"), {HOT_1, HOT_2})
    wrong.equal("alerts of another receiver", amtool.names("--receiver=ops"), set())
    wrong.equal("inhibited alerts of it", amtool.names("--receiver=ops", "--inhibited"), {WARM_1, WARM_2})
    wrong.has("alerts in short", amtool("alert", "query"), "Alertname", "Hot", "c-1 at 95.5", "active")
    wrong.has("alerts at length", amtool("alert", "query", "-o", "extended"), 'entity_id="c-2"', "http://here/", "heiß")
    return wrong


def silences(amtool):
    """A silence from its beginning to its end."""
    wrong = Wrong()
    name = amtool("silence", "add", "Hot", "entity_id=~c-2", "--duration=2h", "--comment=work", "--author=me")
    wrong.equal("alerts beside a silence", amtool.names(), {HOT_1})
    wrong.equal("silenced alerts", amtool.names("--silenced"), {HOT_2})
    (silence,) = json.loads(amtool("silence", "query", "-o", "json"))
    matchers = [
        {"isEqual": True, "isRegex": False, "name": "alertname", "value": "Hot"},
        {"isEqual": True, "isRegex": True, "name": "entity_id", "value": "c-2"},
    ]
    wrong.equal("id", silence["id"], name)
    wrong.equal("matchers", sorted(silence["matchers"], key=lambda matcher: matcher["name"]), matchers)
    wrong.equal("author", (silence["createdBy"], silence["comment"]), ("me", "work"))
    wrong.equal("state", silence["status"], {"state": "active"})
    wrong.has("silences in short", amtool("silence", "query"), name, "alertname=", "work")
    wrong.has("silences at length", amtool("silence", "query", "-o", "extended"), name, "entity_id", "me")
    wrong.equal("silences by a matcher", amtool("silence", "query", "-q", "alertname=Hot"), name)
    wrong.equal("silences by another matcher", amtool("silence", "query", "-q", "alertname=Cold"), "")
    wrong.equal("silences of an author", amtool("silence", "query", "-q", "--created-by=me"), name)
    wrong.equal("silences that end soon", amtool("silence", "query", "-q", "--within=1h"), "")
    wrong.has("a change", amtool("silence", "update", "--duration=30m", "--comment=less work", name), name)
    wrong.equal("silences that end soon now", amtool("silence", "query", "-q", "--within=1h"), name)
    (changed,) = json.loads(amtool("silence", "query", "-o", "json"))
    wrong.equal("the change", (changed["id"], changed["comment"]), (name, "less work"))
    amtool("silence", "expire", name)
    wrong.equal("silences after the end", amtool("silence", "query", "-q"), "")
    wrong.equal("silences that are over", amtool("silence", "query", "-q", "--expired"), name)
    wrong.equal("alerts after a silence", amtool.names(), {HOT_1, HOT_2})
    return wrong


def imported(amtool, folder):
    """Silences that were written by one are read by the other."""
    wrong = Wrong()
    amtool("silence", "add", "alertname=Other", "--duration=2h", "--comment=kept", "--author=me")
    file = folder / "silences.json"
    file.write_text(amtool("silence", "query", "-o", "json"))
    names = amtool("silence", "query", "-q")
    amtool("silence", "expire", names)
    amtool("silence", "import", "--force", str(file))
    (silence,) = json.loads(amtool("silence", "query", "-o", "json"))
    wrong.equal("an imported silence", (silence["comment"], silence["matchers"][0]["value"]), ("kept", "Other"))
    amtool("silence", "expire", silence["id"])
    return wrong


def refused(amtool):
    """What cannot be done is told in words."""
    wrong = Wrong()
    for arguments, words in [
        (("silence", "add", "alertname=~.*", "--comment=x"), "at least one matcher must not match an absent label"),
        (("silence", "expire", "5b0a4c1e-7f6d-4d52-9a0c-2f1f6c8f6a11"), "404"),
        (("alert", "add", "alertname=Other"), "405"),
    ]:
        content, text = amtool.ask(*arguments)
        if content or words not in text:
            wrong.append(f"amtool {' '.join(arguments)}: no `{words}` in `{text.strip()}`")
    return wrong


def configuration(amtool, folder, routes):
    """Our file of routes is read by amtool; the API tells nothing of it, for secrets may stand in it."""
    wrong = Wrong()
    path = folder / "routes.yml"
    path.write_text(routes)
    wrong.has("check-config", amtool("check-config", str(path)), "SUCCESS", "3 receivers", "1 inhibit rules")
    for labels, receivers in [
        (("alertname=Hot", "team=core", "severity=page", "kind=metric"), "each,pair"),
        (("alertname=Warm", "severity=info"), "ops"),
    ]:
        found = amtool("config", "routes", "test", f"--config.file={path}", *labels)
        wrong.equal(f"routes of {labels[0]}", found, receivers)
    wrong.equal("config show", amtool("config", "show"), "")
    wrong.has("cluster show", amtool("cluster", "show"), "disabled")
    return wrong


def taken_in(amtool, expected):
    """Whether the Alertmanager comes to hold exactly these alerts of ours; gives what is wrong with them, in words."""
    wanted = "none" if not expected else str(sorted(expected))
    wait_until(f"amtool found {wanted} at the Alertmanager", lambda: amtool.names() == expected)
    wrong = Wrong()
    for alert in json.loads(amtool("alert", "query", "-o", "json")):
        wrong.equal("link", alert["generatorURL"], f"http://here/alerts?rule={alert['labels']['alertname']}")
        wrong.equal("kind", alert["labels"]["kind"], "metric")
    return wrong
