"""Dead letters from end to end: each reason happens, the consumer reports it, the cause is mended, the letter is replayed,
and its event is in the lake once. One replay is killed halfway.

Uses queues and a bucket of its own, and two sets of declarations: `strict` refuses what `mended` takes. What no
declaration can mend is exported, corrected by hand and posted to ingest. In the end the dead-letter queue is empty, and
the judge finds each event once, in `curated/` and in `aggregates/`.
"""

import asyncio
import base64
import collections
import dataclasses
import datetime
import json
import re
import signal
import struct
import time

import boto3

from processes import ROOT, Proxy, Queue, Services, require, say, wait_until

# What the consumer is started with at first, and after the mending: file, text.
STRICT = {
    "probe.toml": """
kind = "probe"
version = 1
[entity]
field = "probe_id"
[time]
field = "at"
earliest = "2024-01-01T00:00:00Z"
[fields.mode]
type = "string"
required = true
one_of = ["auto"]
[fields.serial]
type = "string"
pattern = "^S[0-9]+$"
[signals]
field = "values"
max = 2
[signals.known]
level = { type = "number", unit = "1", min = 0, max = 10 }
state = { type = "boolean" }
""",
    # An event that names no kind could be either.
    "twin.toml": """
kind = "twin"
version = 1
[entity]
field = "twin_id"
[time]
field = "at"
[signals]
field = "values"
""",
    "other_twin.toml": """
kind = "other_twin"
version = 1
[entity]
field = "twin_id"
[time]
field = "at"
[signals]
field = "values"
""",
}
MENDED = STRICT | {
    "probe.toml": """
kind = "probe"
version = 2
[entity]
field = "probe_id"
[time]
field = "at"
earliest = "2000-01-01T00:00:00Z"
max_age_days = 10000
[fields.mode]
type = "string"
one_of = ["auto", "manual"]
[fields.serial]
type = "string"
[fields.colour]
type = "string"
[signals]
field = "values"
max = 64
[signals.known]
level = { type = "number", unit = "1", min = 0, max = 1000 }
state = { type = "string" }
""",
    "other_twin.toml": STRICT["other_twin.toml"] + '\n[fields.side]\ntype = "string"\nrequired = true\n',
    "tram.toml": """
kind = "tram"
version = 1
[entity]
field = "tram_id"
[time]
field = "at"
[signals]
field = "values"
""",
}

# Codes of `docs/contracts.md` that no message in the queue can have: the route's kind is ingest's to compare, and so is
# what a key may send.
NOT_QUEUED = {"kind_mismatch", "not_permitted"}

# Broken events in one message, one more than become letters of their own.
MANY = 1001
# Letters of a replay that is killed, and how many are sent before the kill.
MASS = 600
# Where the replay that is killed finds its endpoint.
SLOW = 19102
KILL_AFTER = 150


@dataclasses.dataclass
class Case:
    """What is put into the queue, and what must become of it."""

    reason: str
    # What the letter holds: an event's text, or the message's body.
    text: str
    # Body and attributes of the message that is put into the queue.
    message: tuple[str, dict] | None = None
    # Kinds and events that are in the lake at last, as they are sent.
    events: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    # Text of the event corrected by hand, where no declaration can mend it.
    by_hand: str | None = None
    # Whether the letter can never be an event.
    hopeless: bool = False
    # Of a pack that died whole, its line, as it is shown.
    unfolded: str | None = None
    # The reason after a replay with nothing mended: a line that is no JSON is no body of ours alone.
    again: str | None = None


class Events:
    """Makes the events; each has an id of its own."""

    def __init__(self, now):
        self.now, self.number = now, 0
        self.received = self.time()

    def time(self):
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def event(self, kind="probe", entity="probe_id", **changes):
        """The event's text; `None` leaves a field out."""
        self.number += 1
        event = {"kind": kind, "event_id": f"dead-{self.number}", entity: f"p-{self.number % 7}", "at": self.time()}
        event |= {"mode": "auto"} if kind == "probe" else {}
        event |= {"values": {"level": self.number % 10}} | changes
        event = {name: value for name, value in event.items() if value is not None}
        return json.dumps(event, separators=(",", ":"))

    def stored(self, text):
        """The event as it stands in a pack: with the server's fields."""
        return re.sub('"event_id":"[^"]*",', rf'\g<0>"ingest_received_at":"{self.received}",', text, count=1)


def pack(lines):
    """A pack of those lines, as a message: zstd without compression (RFC 8878, 3.1.1), in base64."""
    data = "".join(f"{line}\n" for line in lines).encode()
    require(len(data) < 1 << 17, "a block of zstd holds 128 KiB")
    frame = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data))
    block = struct.pack("<I", len(data) << 3 | 1)[:3] + data
    return base64.b64encode(frame + block).decode(), attributes("ndjson+zstd+base64", "1", str(len(lines)))


def attributes(codec, version, events):
    values = {"codec": codec, "version": version, "events": events}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def cases(make):
    """A case or more for each reason, plain and packed; and the good events that travel with them."""
    found, good = [], []

    def companion():
        text = make.event()
        good.append(("probe", text))
        return text

    def plain_and_packed(reason, event, kind="probe", by_hand=None, **settings):
        """`event` makes the text of a broken event, `by_hand` corrects it; each comes alone and in a pack."""
        for packed in (False, True):
            text = event()
            hand = by_hand and by_hand(text)
            events = [] if settings.get("hopeless") else [(kind, hand or text)]
            case = Case(reason, text, events=events, by_hand=hand, **settings)
            if packed:
                case.text = make.stored(text)
                case.message = pack([make.stored(companion()), case.text])
            else:
                case.message = (f"{companion()}\n{text}" if reason == "invalid_json" else text, {})
            found.append(case)

    # A declaration mends these.
    plain_and_packed("unknown_kind", lambda: make.event("tram", "tram_id"), "tram")
    plain_and_packed("missing_field", lambda: make.event(mode=None))
    plain_and_packed("unknown_field", lambda: make.event(colour="red"))
    plain_and_packed("wrong_type", lambda: make.event(values={"state": "open"}))
    plain_and_packed("invalid_format", lambda: make.event(serial="none"))
    plain_and_packed("out_of_range", lambda: make.event(values={"level": 11}))
    plain_and_packed("not_allowed", lambda: make.event(mode="manual"))
    plain_and_packed("timestamp_out_of_range", lambda: make.event(at="2010-05-06T07:08:09Z"))
    plain_and_packed("too_many_signals", lambda: make.event(values={"level": 1, "a": 2, "b": True}))
    # In a pack each line names its kind, so this one comes alone.
    twin = make.event("twin", "twin_id").replace('"kind":"twin",', "")
    found.append(Case("ambiguous_kind", twin, (twin, {}), [("twin", twin)]))
    # A line of a pack was taken once: its age is asked no more.
    old = make.event(at="2024-06-01T00:00:00Z")
    found.append(Case("too_old", old, (old, {}), [("probe", old)]))
    many = [make.event(values={"level": 11}) for _ in range(MANY)]
    body = "\n".join([companion(), *many])
    found.append(Case("many_broken_events", body, (body, {}), [("probe", text) for text in many]))

    # These no declaration mends: they are corrected by hand.
    plain_and_packed("invalid_json", lambda: make.event()[:-1], by_hand=lambda text: text + "}", again="undecodable")
    plain_and_packed(
        "duplicate_field",
        lambda: make.event().replace('"mode":"auto"', '"mode":"auto","mode":"auto"'),
        by_hand=lambda text: text.replace('"mode":"auto",', "", 1),
    )
    plain_and_packed(
        "nested_signal", lambda: make.event(values={"level": [1]}), by_hand=lambda text: text.replace("[1]", "1")
    )
    plain_and_packed("no_signals", lambda: make.event(values={}), by_hand=lambda text: text.replace("{}", '{"level":1}'))
    plain_and_packed(
        "invalid_timestamp", lambda: make.event(at="today"), by_hand=lambda text: text.replace("today", make.time())
    )
    plain_and_packed(
        "timestamp_without_zone",
        lambda: make.event(at="2025-01-02T03:04:05"),
        by_hand=lambda text: text.replace("03:04:05", "03:04:05Z"),
    )
    # In a pack the line has the server's fields, and no limit of its own.
    long = make.event()
    padded = long.replace(",", "," + " " * 33_000, 1)
    found.append(Case("too_large", padded, (padded, {}), [("probe", long)], long))
    # And these were never events.
    plain_and_packed("not_an_object", lambda: "7", hopeless=True)
    coded = pack([make.stored(make.event())])
    for body, codec in [
        ("no pack and no JSON", {}),
        ("!!!", coded[1]),
        (coded[0], attributes("ndjson+zstd+base64", "2", "1")),
        (coded[0], attributes("ndjson+lz4", "1", "1")),
    ]:
        found.append(Case("undecodable", body, (body, codec), hopeless=True))
    return found, good


def every_reason():
    """The reasons that a letter can have: the contract's codes as they are documented, and the consumer's own."""
    table = (ROOT / "docs/contracts.md").read_text().split("## Reasons for refusal")[1]
    codes = {code for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)}
    return codes - NOT_QUEUED | {"undecodable", "many_broken_events", "max_receives"}


class Run:
    """The consumer with its queues, its lake and its declarations."""

    def __init__(self, services, sqs, names, listen):
        self.services, self.sqs, self.names, self.listen = services, sqs, names, listen
        self.queue = self.dlq = None

    def declare(self, declarations):
        """Declarations for what is started from now on."""
        folder = self.services.folder / f"contracts-{time.monotonic_ns()}"
        folder.mkdir()
        for name, text in declarations.items():
            (folder / name).write_text(text)
        self.services.env = self.services.env | {"CONTRACTS": str(folder)}

    def start(self):
        self.services.start("batch-consumer", "--poll-wait", "1s", ready=f"http://{self.listen}/readyz")
        self.queue, self.dlq = (Queue(self.sqs, self.names[name]) for name in ("QUEUE_NAME", "DLQ_NAME"))

    def stop(self):
        self.services.stop("batch-consumer")

    def command(self, *arguments, **options):
        return self.services.run("batch-consumer", "dlq", *arguments, **options)

    def send(self, messages):
        """Sends them in calls of at most ten; a long one ends its call, for a call is bounded in bytes too."""
        batch = []
        for number, (body, codec) in enumerate(messages):
            batch.append({"Id": str(number), "MessageBody": body, "MessageAttributes": codec})
            if len(batch) == 10 or len(body) > 10_000 or number + 1 == len(messages):
                answer = self.sqs.send_message_batch(QueueUrl=self.queue.url, Entries=batch)
                require(not answer.get("Failed"), str(answer.get("Failed")))
                batch = []

    def settle(self, letters):
        """Waits until the queue is drained and so many letters are there."""
        wait_until(
            f"{letters} letters and no message",
            lambda: self.queue.depth() == 0 and self.dlq.depth() >= letters,
        )

    def letters(self):
        """All letters, read past the consumer's own commands, and visible again afterwards."""
        found = {}
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.dlq.url, MaxNumberOfMessages=10, VisibilityTimeout=600, WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            messages = answer.get("Messages", [])
            found |= {message["MessageId"]: message for message in messages}
            if not messages:
                break
        for message in found.values():
            self.sqs.change_message_visibility(
                QueueUrl=self.dlq.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [
            {
                "body": message["Body"],
                "attributes": {
                    name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
                },
            }
            for message in found.values()
        ]

    def account(self, expected, maybe=()):
        """The judge's account of the letters, against the cases that were to die and those that may be there too."""
        letters, doomed = self.services.folder / "letters.ndjson", self.services.folder / "doomed.ndjson"
        letters.write_text("".join(json.dumps(letter) + "\n" for letter in self.letters()))
        lines = [{"text": text, "reason": reason} for text, reason in expected]
        lines += [{"text": case.text, "reason": case.reason, "maybe": True} for case in maybe]
        doomed.write_text("".join(json.dumps(line) + "\n" for line in lines))
        print(self.services.run("judge", "letters", "--letters", letters, "--expected", doomed), end="")


def redriven(run, make):
    """Messages that are received again and again and never deleted: by a consumer that dies each time, as it were."""
    cases = []
    for _ in range(MASS - 1):
        text = make.event()
        cases.append(Case("max_receives", text, (text, {}), [("probe", text)]))
    text = make.event()
    body, codec = pack([make.stored(text)])
    cases.append(Case("max_receives", body, (body, codec), [("probe", text)], unfolded=make.stored(text)))
    run.send([case.message for case in cases])
    received = 0
    while run.queue.depth():
        # Not waiting, as the queue would have it: what is moved to the dead letters is not received.
        answer = run.sqs.receive_message(
            QueueUrl=run.queue.url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0
        )
        received += len(answer.get("Messages", []))
    require(received == 5 * MASS, f"{received} receives of {MASS} messages: each is received five times")
    require(run.dlq.depth() == MASS, "the redrive policy has moved all of them")
    return cases


def listed_and_shown(run, expected):
    """The listing names each reason as often as it must, and one letter of each reason is shown as it is."""
    listed = [json.loads(line) for line in run.command("list", "--json").splitlines()]
    by_reason = collections.Counter(letter["reason"] for letter in listed)
    must = collections.Counter(case.reason for case in expected)
    require(all(by_reason[reason] >= count for reason, count in must.items()), f"{by_reason} for {must}")
    table = run.command("list")
    for reason in must:
        require(reason in table, f"the table names {reason}:\n{table}")
        letter = next(letter for letter in listed if letter["reason"] == reason)
        shown = json.loads(run.command("show", letter["message_id"], "--json"))
        texts = [text.strip() for case in expected if case.reason == reason for text in (case.text, case.unfolded) if text]
        require(shown["body"].strip() in texts, f"{reason} is shown with its text: {str(shown)[:300]}")
        require(reason == "max_receives" or shown["detail"], f"{reason} is shown with its detail")
    say(f"{len(listed)} letters of {len(must)} reasons listed, one of each shown")


class Slow(Proxy):
    """A way on which each request waits, so that there is time to be killed in the middle."""

    async def before(self, data, is_answer):
        if not is_answer:
            await asyncio.sleep(0.02)


def killed_halfway(run):
    """A replay that dies halfway, while no consumer runs, and is run again. What it had received just then stays hidden
    for half a minute: the second replay says that it did not see it."""
    services = run.services
    host, port = services.env["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    Slow(SLOW, (host, int(port)))
    slowly = services.env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{SLOW}"}
    replay = Services(services.binaries, services.folder, slowly).begin(
        "batch-consumer", "dlq", "replay", "--reason", "max_receives"
    )
    while run.queue.depth() < KILL_AFTER:
        require(replay.poll() is None, "the replay runs until it is killed")
        time.sleep(0.005)
    replay.kill()
    require(replay.wait() == -signal.SIGKILL, "the replay was killed, and had not ended")
    sent, (left, hidden) = run.queue.depth(), run.dlq.counts()
    say(f"replay killed: of {MASS} letters {sent} are sent, {left} stay, {hidden} are hidden for a while")
    require(KILL_AFTER <= sent < MASS and left + hidden > 0, "the replay was killed halfway")
    require(sent + left + hidden >= MASS, "no letter is lost")
    seen_all, hidden_from_it = 0, 3
    again = run.command("replay", "--reason", "max_receives", expect=(seen_all, hidden_from_it))
    print("run again:", again, end="")
    wait_until("what the killed replay hid is visible again", lambda: run.dlq.counts()[1] == 0, 90)


def mended_by_hand(run, cases, ingest_admin, post):
    """Exports the letters that no declaration mends, posts their events corrected, and purges them."""
    reasons = {case.again or case.reason for case in cases}
    listed = [json.loads(line) for line in run.command("list", "--json").splitlines()]
    exported = [
        json.loads(run.command("show", letter["message_id"], "--json")) for letter in listed if letter["reason"] in reasons
    ]
    bodies = {letter["body"].strip() for letter in exported}
    for case in cases:
        require(case.text.strip() in bodies, f"{case.reason} is exported: {case.text[:200]}")
    corrected = [case.by_hand for case in cases if case.by_hand]
    run.services.start("ingest", "--metrics-listen", ingest_admin, ready=f"http://{ingest_admin}/readyz")
    accepted = post("/v1/events", "\n".join(corrected))
    require(accepted == len(corrected), f"{accepted} of {len(corrected)} corrected events accepted")
    run.services.stop("ingest")
    for reason in sorted(reasons):
        run.command("purge", "--yes", "--reason", reason)
    say(f"{len(exported)} letters exported and purged, {len(corrected)} of their events corrected and posted")


def emptied(run):
    """Replays what comes back from the killed replay's last receive, until the dead-letter queue is empty."""
    def empty():
        visible, hidden = run.dlq.counts()
        if visible:
            print("and again:", run.command("replay"), end="")
        return visible + hidden == 0 and run.queue.depth() == 0

    wait_until("the dead-letter queue is empty", empty, 90)


def all_the_way(binaries, folder, env, account, ingest_admin, listen, post):
    """Runs the part; `post` posts NDJSON to a path of ingest and gives how many events were accepted."""
    say("dead letters, all the way")
    started = time.monotonic()
    names = {name: f"{env[name]}-letters" for name in ("QUEUE_NAME", "DLQ_NAME", "LAKE_BUCKET")}
    folder = folder / "letters"
    folder.mkdir()
    services = Services(binaries, folder, env | names)
    run = Run(services, boto3.client("sqs", **account), names, listen)
    make = Events(datetime.datetime.now(datetime.UTC))
    try:
        run.declare(STRICT)
        # It makes the queues.
        run.start()
        run.stop()
        unlucky = redriven(run, make)
        listed_and_shown(run, unlucky)
        run.account([(case.text, case.reason) for case in unlucky])
        killed_halfway(run)

        run.start()
        wait_until("the replayed messages are taken", lambda: run.queue.depth() == 0)
        broken, good = cases(make)
        run.send([case.message for case in broken])
        run.settle(len(broken))
        listed_and_shown(run, broken)
        run.account([(case.text, case.reason) for case in broken], maybe=unlucky)

        say("replayed with nothing mended: all of them come back")
        print(run.command("replay"), end="")
        run.settle(len(broken))
        run.account([(case.text, case.again or case.reason) for case in broken], maybe=unlucky)
        run.stop()

        say("declarations mended, the consumer started anew, replayed")
        run.declare(MENDED)
        run.start()
        print(run.command("replay"), end="")
        wait_until("the queue is drained", lambda: run.queue.depth() == 0)
        mended_by_hand(run, [case for case in broken if case.by_hand or case.hopeless], ingest_admin, post)
        emptied(run)
        run.stop()

        events = good + [event for case in unlucky + broken for event in case.events]
        ledger = folder / "ledger"
        with ledger.open("w") as file:
            for kind, text in events:
                event = json.loads(text)
                line = {"kind": kind, "event_id": event["event_id"], "accepted_at": make.received, "event": event}
                file.write(json.dumps(line) + "\n")
        print(services.run("aggregator", "once"), end="")
        print(services.run("judge", "check", "--ledger", ledger), end="")
        reasons = {case.reason for case in unlucky + broken}
        require(reasons == every_reason(), f"every reason is made to happen: {sorted(reasons ^ every_reason())} differ")
        say(
            f"dead letters: {len(reasons)} reasons, {len(unlucky) + len(broken)} letters, {len(events)} events once in "
            f"the lake, in {time.monotonic() - started:.0f} s"
        )
    finally:
        services.stop_all()
