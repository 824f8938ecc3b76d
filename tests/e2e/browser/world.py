"""`headwater serve` in a process of its own, and what it is fed with."""

import contextlib
import json
import pathlib
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from processes import Services

KEY = "console-test-key"

# Ids and texts that a page must show and never obey: markup, quotes, a mark that turns text around.
WILD = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(2)</script>',
    "it's & <b>bold</b> \\ %27 #?",
    "ab\u202edcba\u202c",
    "{{constructor.constructor('alert(3)')()}}",
]
NOTE = "<svg onload=alert(4)> & 'quoted' \"text\""

# A kind whose ids may have any character: those that come with the services are stricter.
KIND = """
kind = "wild"
version = 1

[entity]
field = "thing"
pattern = "^.+$"

[time]
field = "timestamp"

[signals]
field = "values"

[signals.known]
level = { type = "number", unit = "m" }
note = { type = "string" }
"""

VEHICLE = "veh-e2e"


def rfc3339(seconds):
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(seconds)))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


class World:
    """The services, their addresses, and requests to them as a program makes them."""

    def __init__(self, binaries, folder, port, rate, env):
        self.folder = pathlib.Path(folder)
        self.listen, self.aws, self.metrics, self.pg = (f"127.0.0.1:{port + n}" for n in range(4))
        self.port, self.url = port, f"http://{self.listen}"
        contracts = self.folder / "contracts"
        contracts.mkdir()
        (contracts / "wild.toml").write_text(KIND)
        self.arguments = [
            "serve", "--data", self.folder / "data", "--listen", self.listen, "--aws-listen", self.aws,
            "--metrics-listen", self.metrics, "--pg-listen", self.pg, "--contracts", contracts, "--interval", "5s",
            "--api-key", KEY, "--rate", rate,
        ]  # fmt: skip
        self.services = Services(binaries, self.folder, env)
        self.is_feeding = True

    def start(self):
        self.services.start("headwater", *map(str, self.arguments), ready=f"{self.url}/health")

    def kill(self):
        process = self.services.running.pop("headwater")
        process.kill()
        process.wait()

    def process(self):
        return self.services.running["headwater"]

    def link(self):
        """The link that the service has printed last."""
        deadline = time.monotonic() + 20
        while True:
            found = re.findall(r"http://\S+/console/open\?token=\S+", self.services.log("headwater"))
            if found or time.monotonic() > deadline:
                return found[-1] if found else None
            time.sleep(0.1)

    def request(self, path, data=None, headers=None, method=None):
        request = urllib.request.Request(self.url + path, data, {"x-api-key": KEY, **(headers or {})}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        return json.loads(self.request(f"{path}?{query}" if query else path))

    def sql(self, statement):
        """Rows of a statement."""
        body = json.dumps({"sql": statement}).encode()
        return json.loads(self.request("/v1/sql", body, {"content-type": "application/json"}))["rows"]

    def post(self, kind, events):
        """Posts events; all must be accepted."""
        lines = "\n".join(json.dumps(event) for event in events).encode()
        answer = json.loads(self.request(f"/v1/events/{kind}", lines, {"content-type": "application/x-ndjson"}))
        if answer["accepted"] != len(events):
            raise SystemExit(f"console failed: {kind} was not accepted: {answer}")

    def kinds(self):
        return [kind["name"] for kind in self.get("/v1/kinds")["kinds"]]

    def has_console(self):
        with contextlib.suppress(urllib.error.HTTPError):
            return b"<!doctype html>" in self.request("/console/").lower()
        return False

    def feed(self):
        """Events of the last minutes with values that the checks know, and what makes an alert and a moment."""
        now = time.time()
        self.post("vehicle", [
            {"timestamp": rfc3339(now - 600 + 10 * n), "vehicle_id": VEHICLE, "can_id": "0x1F0",
             "payload": {"engine_rpm": 1000 + 17 * n, "vehicle_speed_kmh": 40.5 + n / 2}}
            for n in range(55)
        ])  # fmt: skip
        self.post("wild", [
            {"timestamp": rfc3339(now - 300 + n), "thing": thing, "values": {"level": 10.25 * (place + 1) + n, "note": NOTE}}
            for place, thing in enumerate(WILD) for n in range(20)
        ])  # fmt: skip
        if "chat" in self.kinds():
            self.feed_streams(now)
        self.plant_moments(now)
        threading.Thread(target=self.overload, daemon=True).start()

    def feed_streams(self, now):
        stream = "stream-e2e"
        texts = ["I love this!", "This is terrible.", "gg", "Kappa Kappa", NOTE]
        self.post(
            "stream_meta",
            [
                {
                    "timestamp": rfc3339(now - 900),
                    "stream_id": stream,
                    "title": NOTE,
                    "language": "en",
                    "status": {"live": True},
                }
            ],
        )
        self.post("chat", [
            {"timestamp": rfc3339(now - 600 + 7 * n), "stream_id": stream, "message_id": f"m-{n}", "user": f"secret-chatter-{n % 5}",
             "message": {"text": texts[n % 5], "emotes": "Kappa"}}
            for n in range(60)
        ])  # fmt: skip
        self.post(
            "viewer",
            [
                {"timestamp": rfc3339(now - 600 + 20 * n), "stream_id": stream, "audience": {"viewers": 100 + n}}
                for n in range(20)
            ],
        )
        self.post("transaction", [
            {"timestamp": rfc3339(now - 500 + 30 * n), "stream_id": stream, "transaction_id": f"t-{n}", "user": "secret-payer",
             "type": "donation", "currency": "EUR", "payment": {"amount": 2.5 * (n + 1)}}
            for n in range(8)
        ])  # fmt: skip

    def plant_moments(self, now):
        """Puts moments into the lake as the service alerts does: it needs minutes of history until it tells of one."""
        start = int(now - 120) * 1000
        lines = [
            {"moment_id": uuid.uuid4().hex, "kind": "wild", "entity_id": thing, "signal": "level", "started_at": start + 1000 * place,
             "peaked_at": start + 1000 * place, "ended_at": start + 31_000, "value": 99.5 + place, "expected": 12.25, "stddev": 1.5,
             "score": 58.0 + place, "threshold": 3.0, "method": "recent", "revision": 1}
            for place, thing in enumerate(WILD)
        ]  # fmt: skip
        folder = time.strftime("year=%Y/month=%m/day=%d/hour=%H", time.gmtime(now - 120))
        key = f"moments/{folder}/part-{uuid.uuid4()}.jsonl"
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        request = urllib.request.Request(f"http://{self.aws}/headwater-lake/{key}", body, method="PUT")
        urllib.request.urlopen(request, timeout=20).close()

    def overload(self):
        """A metric above its rule's bound, each second."""
        while self.is_feeding:
            with contextlib.suppress(OSError):
                self.request("/metrics", b'{"name":"cpu_usage","value":95}', {"content-type": "application/json"})
            time.sleep(1)
