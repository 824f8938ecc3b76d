"""Messages of an MQTT broker become events, once each, while the bridge, the broker and ingest are killed.

The pipeline runs on our local-aws, each service a process of its own, beside Debian's mosquitto, which keeps its queues
on disk. paho-mqtt publishes messages with QoS 1. Meanwhile `mqtt-bridge`, which reaches the broker by TLS with a
certificate of its own, is killed with SIGKILL twenty times; the broker is restarted, and so is ingest, whose answers
are slow and sometimes lost on their way. Then every message must stand in curated/, once. Messages that are no events
are refused, counted and acknowledged; bare values become samples; two bridges share a subscription.

    tests/python mqtt.py                                  builds the programs
    tests/python mqtt.py --binaries target/debug          with programs that are built already
    tests/python mqtt.py --messages 100000 --kills 50     more of it

The broker comes with Debian's mosquitto, the authority of its certificate is made by openssl. Where they are not
installed, nothing is checked and it says so; with --need that is a failure.
"""

import argparse
import asyncio
import collections
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3
import duckdb

from mosquitto import ENCRYPTED, PASSWORD, USER, Broker, Publisher, missing
from processes import Proxy, Queue, Services, build, metrics, require, say, wait_until

LOCAL_AWS = "127.0.0.1:28567"
INGEST, INGEST_ADMIN = "127.0.0.1:28000", "127.0.0.1:28001"
CONSUMER, AGGREGATOR, BRIDGE = "127.0.0.1:28101", "127.0.0.1:28102", "127.0.0.1:28105"
WAY, KEY = 28002, "mqtt-test-key"
BUCKET = "mqtt-lake"

RULES = """
[[rule]]
topic = "fleet/{vehicle_id}/can/{can_id}"
kind = "vehicle"

[[rule]]
topic = "home/{entity}/{name}"
kind = "metric"

[[rule]]
topic = "bare/{entity}/{name}"
kind = "metric"
time = "arrival"

[[rule]]
topic = "rpm/{vehicle_id}"
kind = "vehicle"
signal = "engine_rpm"
time = "arrival"
constants = { can_id = "0x2A0" }
"""

class Way(Proxy):
    """The way from the bridge to ingest: answers take their time, and some are lost."""

    EACH = 17
    lost = answers = 0

    async def before(self, data, is_answer):
        if not is_answer or not data.startswith(b"HTTP/"):
            return
        self.answers += 1
        await asyncio.sleep(random.uniform(0.0, 0.3))
        if self.answers % self.EACH == 0:
            self.lost += 1
            raise ConnectionResetError


class Pipeline:
    """The services, and what they have put into the lake."""

    def __init__(self, binaries, folder, broker):
        self.folder, address = folder, f"http://{LOCAL_AWS}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        env |= {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        env |= {"AWS_REGION": "us-east-1", "LAKE_BUCKET": BUCKET, "RUST_LOG": "info"}
        self.services = Services(binaries, folder, env)
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self.s3, self.sqs = (boto3.client(name, endpoint_url=address, **credentials) for name in ["s3", "sqs"])
        host, port = INGEST.split(":")
        self.way = Way(WAY, (host, int(port)))
        (folder / "rules.toml").write_text(RULES)
        (folder / "password").write_text(f"{PASSWORD}\n")
        self.bridge = {
            "--rules": folder / "rules.toml", "--mqtt-url": f"mqtts://127.0.0.1:{ENCRYPTED}", "--mqtt-user": USER,
            "--mqtt-password-file": folder / "password", "--ca-file": broker.folder / "ca.pem",
            "--client-cert": broker.folder / "bridge.pem", "--client-key": broker.folder / "bridge.key",
            "--ingest-url": f"http://127.0.0.1:{WAY}", "--metrics-listen": BRIDGE,
        }  # fmt: skip
        env["API_KEY"] = KEY

    def start(self):
        services = self.services
        services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
        services.start("batch-consumer", "--metrics-listen", CONSUMER, ready=f"http://{CONSUMER}/readyz")
        watch = ["watch", "--interval", "2s", "--metrics-listen", AGGREGATOR]
        services.start("aggregator", *watch, ready=f"http://{AGGREGATOR}/readyz")
        self.start_ingest()

    def start_ingest(self):
        self.services.env["API_KEYS"] = KEY
        arguments = ["--listen", INGEST, "--metrics-listen", INGEST_ADMIN]
        self.services.start("ingest", *arguments, ready=f"http://{INGEST_ADMIN}/readyz")

    def start_bridge(self):
        flags = [part for flag in self.bridge.items() for part in flag]
        self.services.start("mqtt-bridge", *flags, ready=f"http://{BRIDGE}/readyz")

    def kill(self, name):
        process = self.services.running.pop(name)
        require(process.poll() is None, f"{name} runs until it is killed")
        process.kill()
        process.wait()

    def counted(self):
        """The metrics of the bridge."""
        return metrics(f"http://{BRIDGE}/metrics")

    def held(self):
        return self.counted()["headwater_mqtt_unacknowledged_messages"]

    def lines(self):
        """How many lines stand in raw/."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="raw/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return sum(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().count(b"\n") for key in keys)

    def rows(self, kind, columns):
        """Rows of curated/, once nothing is on its way there."""
        Queue(self.sqs, "headwater-events").drained()
        self.services.run("aggregator", "once")
        place = self.folder / "curated"
        shutil.rmtree(place, ignore_errors=True)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"curated/kind={kind}/")
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            file = self.folder / entry["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(BUCKET, entry["Key"], str(file))
        if not place.exists():
            return []
        files = f"read_parquet('{place}/**/*.parquet', union_by_name = true, hive_partitioning = false)"
        return duckdb.connect().execute(f"SELECT {columns} FROM {files}").fetchall()


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish_all(publisher, count, seconds):
    """Publishes messages at an even pace; every second one is a vehicle's, the others are samples."""
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + seconds * number / count - time.monotonic()))
        if number % 2 == 0:
            event = {"timestamp": now(), "payload": {"number": number}}
            publisher.publish(f"fleet/veh-{number % 50:03}/can/0x1F0", json.dumps(event))
        else:
            publisher.publish(f"home/room-{number % 7}/number", json.dumps({"timestamp": now(), "value": number}))


def disturbed(pipeline, broker, publisher, arguments):
    """All messages, while the bridge is killed, and broker and ingest are restarted."""
    seconds = arguments.kills * 2.5
    publishing = threading.Thread(target=publish_all, args=(publisher, arguments.messages, seconds))
    publishing.start()
    waiting = 0
    for kill in range(arguments.kills):
        time.sleep(random.uniform(0.3, 2.0))
        waiting += pipeline.held() > 0
        pipeline.kill("mqtt-bridge")
        if kill == arguments.kills // 3:
            say("the broker is restarted")
            broker.restart()
        if kill == 2 * arguments.kills // 3:
            say("ingest is killed, and started again")
            pipeline.kill("ingest")
            time.sleep(1)
            pipeline.start_ingest()
        pipeline.start_bridge()
    say(f"{arguments.kills} kills, {waiting} while messages were unacknowledged; {pipeline.way.lost} answers lost")
    publishing.join()
    publisher.acknowledged()


def without_ingest(pipeline, publisher, count):
    """While ingest is away nothing is acknowledged, the bridge says so, and a lost connection changes nothing."""
    quiet = lambda: not any(time.sleep(0.2) or pipeline.held() for _ in range(10))  # noqa: E731
    wait_until("what came before is acknowledged", quiet, 120)
    pipeline.kill("ingest")
    for number in range(count):
        event = {"timestamp": now(), "payload": {"number": -1 - number}}
        publisher.publish("fleet/veh-away/can/0x1F0", json.dumps(event))
    publisher.acknowledged()
    wait_until("each message is held", lambda: pipeline.held() == count)

    def says_why():
        try:
            urllib.request.urlopen(f"http://{BRIDGE}/readyz", timeout=5)
        except urllib.error.HTTPError as error:
            return b"ingest_unreachable" in error.read()
        return False

    wait_until("/readyz says that ingest is away", says_why)
    return count


def check_rows(pipeline, arguments, away):
    """Every message once, and nothing else."""
    begun = time.monotonic()
    wait_until("each message is acknowledged to the broker", lambda: pipeline.held() == 0, 120)
    vehicles = pipeline.rows("vehicle", "number::BIGINT, entity_id, can_id")
    samples = pipeline.rows("metric", "value::BIGINT, entity_id, name")
    expected = {number: f"veh-{number % 50:03}" for number in range(0, arguments.messages, 2)}
    expected |= {-1 - number: "veh-away" for number in range(away)}
    wrong = differ(vehicles, {number: (entity, "0x1F0") for number, entity in expected.items()})
    expected = {number: (f"room-{number % 7}", "number") for number in range(1, arguments.messages, 2)}
    lost, twice, other = (one + two for one, two in zip(wrong, differ(samples, expected), strict=True))
    count = arguments.messages + away
    say(f"{count} messages, {pipeline.lines()} lines in raw/: lost {lost}, twice {twice}, altered or invented {other}")
    require((lost, twice, other) == (0, 0, 0), "every message stands in curated/, once")
    say(f"read in {time.monotonic() - begun:.0f} s")


def differ(rows, expected):
    """How many numbers of rows are missing, come more than once, or are not what they should be."""
    seen = collections.Counter(row[0] for row in rows)
    twice = sum(count > 1 for count in seen.values())
    other = sum(expected.get(number) != tuple(rest) for number, *rest in rows)
    return len(expected.keys() - seen.keys()), twice, other


def refusals(pipeline, publisher):
    """What is no event is counted by code and acknowledged."""
    topic = "fleet/veh-1/can/0x1F0"
    good = {"timestamp": now(), "payload": {"gear": 3}}
    for payload in ["ON", "", json.dumps({"payload": {"gear": 1}}), json.dumps(good | {"payload": {"gear": "first"}})]:
        publisher.publish(topic, payload)
    publisher.publish("fleet/not an id/can/0x1F0", json.dumps(good))
    publisher.publish("home/hall/light", "1")
    # Two good ones among three, and one of them twice.
    publisher.publish(topic, json.dumps([good, {"timestamp": "yesterday", "payload": {"gear": 1}}, good]))
    publisher.acknowledged()
    names = {
        ("", "invalid_json"): 1, ("", "empty"): 1, ("", "missing_field"): 2, ("vehicle", "wrong_type"): 1,
        ("vehicle", "invalid_format"): 1, ("vehicle", "invalid_timestamp"): 1,
    }  # fmt: skip

    def found():
        name = "headwater_mqtt_events_refused_total{"
        return {key: value for key, value in pipeline.counted().items() if key.startswith(name)}

    def all_refused():
        return sum(found().values()) >= sum(names.values()) and pipeline.held() == 0

    wait_until("each is refused and acknowledged", all_refused)
    for (kind, code), count in names.items():
        of = [value for key, value in found().items() if f'code="{code}"' in key and f'kind="{kind}"' in key]
        require(of == [count], f"{code} of kind `{kind}`: {of}, not {count}")
    say(f"{sum(names.values())} refused, counted and acknowledged")


def bare_values(pipeline, publisher, count):
    """Each bare value is a sample of its own, also when it says the same as the one before."""
    for number in range(count):
        publisher.publish(f"bare/room-{number % 2}/temperature", "21.5")
    publisher.publish("bare/hall/light", "true")
    publisher.publish("rpm/veh-bare", "2150.5")
    publisher.acknowledged()
    wait_until("bare values are acknowledged", lambda: pipeline.held() == 0)
    samples = collections.Counter(pipeline.rows("metric", "entity_id, name, value"))
    require(samples["room-0", "temperature", 21.5] == count / 2, f"{samples['room-0', 'temperature', 21.5]} samples")
    require(samples["room-1", "temperature", 21.5] == count / 2, f"{samples['room-1', 'temperature', 21.5]} samples")
    require(samples["hall", "light", 1.0] == 1, "a light that is on is 1")
    signals = pipeline.rows("vehicle", "entity_id, can_id, engine_rpm")
    require(signals.count(("veh-bare", "0x2A0", 2150.5)) == 1, "a bare value is a signal where the rule names it")
    say(f"{count + 2} bare values")


def shared(pipeline, publisher, count):
    """Two bridges of a group share the messages; one is killed meanwhile, and comes back for its own."""
    rules = pipeline.folder / "shared.toml"
    rules.write_text('[[rule]]\ntopic = "shared/{entity}/{name}"\nkind = "metric"\n')

    def begin(number):
        address = f"127.0.0.1:{28110 + number}"
        flags = pipeline.bridge | {"--rules": rules, "--share": "two", "--client-id": f"shared-{number}"}
        flags["--metrics-listen"] = address
        process = pipeline.services.begin("mqtt-bridge", *(part for pair in flags.items() for part in pair))
        wait_until(f"bridge {number} is ready", lambda: ready(address))
        return process, address

    bridges = [begin(number) for number in range(2)]
    try:
        for number in range(count):
            if number == count // 2:
                bridges[0][0].kill()
                bridges[0][0].wait()
            publisher.publish("shared/group/number", json.dumps({"timestamp": now(), "value": number}))
        publisher.acknowledged()
        bridges[0] = begin(0)
        name = "headwater_mqtt_unacknowledged_messages"
        wait_until("all is acknowledged", lambda: not any(metrics(f"http://{at}/metrics")[name] for _, at in bridges))
        received = metrics(f"http://{bridges[1][1]}/metrics")["headwater_mqtt_messages_received_total"]
        require(0 < received < count, f"one bridge of two has {received} of {count} messages")
        samples = pipeline.rows("metric", "value::BIGINT, entity_id")
        numbers = collections.Counter(value for value, entity in samples if entity == "group")
        require(numbers == collections.Counter(range(count)), f"{len(numbers)} of {count} messages, each once")
    finally:
        for process, _ in bridges:
            process.kill()
            process.wait()
    say(f"{count} messages shared by two bridges, {received:.0f} of them by the second")


def ready(address):
    try:
        return urllib.request.urlopen(f"http://{address}/readyz", timeout=5).status == 200
    except OSError:
        return False


def refused_bridges(pipeline, broker):
    """Settings that cannot work end the bridge with their own exit code, and what to do."""
    services, wrong = pipeline.services, broker.folder / "wrong"
    wrong.write_text("another password\n")
    for flag, code, said in [
        ("--mqtt-password-file", 1, "MQTT_USER and MQTT_PASSWORD"),
        ("--rules", 2, "RULES"),
        ("--ca-file", 2, "CA_FILE"),
        ("--client-key", 2, "CLIENT_KEY"),
    ]:
        flags = pipeline.bridge | {"--client-id": "another", "--metrics-listen": "127.0.0.1:0", flag: wrong}
        command = [services.binaries / "mqtt-bridge", *(part for pair in flags.items() for part in pair)]
        done = subprocess.run([*map(str, command)], env=services.env, capture_output=True, text=True, timeout=60)
        require(done.returncode == code and said in done.stderr, f"{flag}: {done.returncode} {done.stderr}")
    say("settings that cannot work are named, with exit codes 1 and 2")


def run(pipeline, broker, arguments):
    pipeline.start()
    pipeline.start_bridge()
    publisher = Publisher()
    try:
        disturbed(pipeline, broker, publisher, arguments)
        away = without_ingest(pipeline, publisher, 300)
        broker.restart()
        pipeline.start_ingest()
        check_rows(pipeline, arguments, away)
        again = pipeline.counted()["headwater_mqtt_messages_held_already_total"]
        require(again == away, f"{again} of {away} held messages were known again on the new connection")
        refusals(pipeline, publisher)
        bare_values(pipeline, publisher, 200)
        shared(pipeline, publisher, 1_000)
        refused_bridges(pipeline, broker)
    finally:
        publisher.stop()
    for name in ("mqtt-bridge", "ingest", "batch-consumer", "aggregator"):
        pipeline.services.stop(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of programs that are built already")
    parser.add_argument("--need", action="store_true", help="fail where broker or openssl are not installed")
    parser.add_argument("--messages", type=int, default=10_000, help="how many messages are published meanwhile")
    parser.add_argument("--kills", type=int, default=20, help="how often the bridge is killed")
    arguments = parser.parse_args()
    if packages := missing():
        say(f"mqtt: left out, not installed: {' '.join(packages)} (Debian: apt-get install {' '.join(packages)})")
        raise SystemExit(1 if arguments.need else 0)
    binaries = arguments.binaries.resolve() if arguments.binaries else build(False)
    with tempfile.TemporaryDirectory(prefix="headwater-mqtt-") as temporary:
        folder = pathlib.Path(temporary)
        broker = Broker(folder / "broker")
        pipeline = Pipeline(binaries, folder, broker)
        try:
            broker.start()
            run(pipeline, broker, arguments)
        finally:
            pipeline.services.stop_all()
            broker.stop()
    say("mqtt: each message once")


if __name__ == "__main__":
    main()
