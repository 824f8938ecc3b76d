"""More than the pipeline can take, and clients that misbehave.

Ingest reaches SQS through a proxy that lets so many bytes a second pass, so that the queue takes less than is offered:
three times what it takes is posted. Then thousands of connections do nothing, little or the wrong thing while others
post. In the end everything that was accepted is in the lake once, and ingest's memory stayed within its bound.

    tests/python overload.py                                    starts local-aws
    tests/python overload.py --endpoint http://127.0.0.1:4566   a LocalStack that runs already
"""

import argparse
import asyncio
import collections
import datetime
import itertools
import os
import pathlib
import resource
import statistics
import tempfile
import time

import boto3

from processes import Proxy, Queue, Services, build, require, say

KEY = "overload-test-key"
LOCAL_AWS, PROXY, INGEST, CONSUMER, AGGREGATOR, INGEST_ADMIN = 22001, 22002, 22003, 22004, 22005, 22006
# What the proxy lets pass to the queue, in bytes a second.
QUEUE_TAKES = 400_000
EVENTS = 500
# The bar for ingest's resident memory, in KiB: what the settings allow for is in docs/operations.md.
MOST_MEMORY = 128 * 1024


class Narrow(Proxy):
    """A way on which requests share `rate` bytes a second; none is no limit."""

    rate, free_at = None, 0

    async def before(self, data, is_answer):
        if self.rate and not is_answer:
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + len(data) / self.rate
            await asyncio.sleep(self.free_at - now)


class Posts:
    """Posts events with ids of their own, and keeps the judge's ledger of them."""

    def __init__(self, path):
        self.ledger, self.numbers, self.outcomes = path.open("w"), itertools.count(), collections.Counter()
        self.accepted = 0

    def make(self, events):
        """A body, and its events as (id, text)."""
        number = next(self.numbers)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made = [
            (
                f"ov-{number}-{at}",
                f'{{"event_id":"ov-{number}-{at}","timestamp":"{now}","vehicle_id":"veh-{at:05}","can_id":"0x1F0",'
                f'"payload":{{"engine_rpm":{700 + (number * 7919 + at * 104729) % 6000},"vehicle_speed_kmh":{at % 131}}}}}',
            )
            for at in range(events)
        ]
        return "\n".join(text for _, text in made).encode(), made

    def enter(self, made, outcome):
        self.outcomes[outcome] += 1
        if outcome == 429:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        maybe = "" if outcome == 202 else '"maybe":true,'
        for event_id, text in made:
            self.ledger.write(
                f'{{"kind":"vehicle","event_id":"{event_id}","accepted_at":"{now}",{maybe}"event":{text}}}\n'
            )
        if outcome == 202:
            self.accepted += len(made)

    async def post(self, body, made, connection=None):
        """One post; what came of it: a status, or `none` without an answer."""
        outcome = "none"
        try:
            reader, writer = connection or await asyncio.open_connection("127.0.0.1", INGEST)
            writer.write(head(len(body)) + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            outcome = int(answer.split()[1])
            if outcome in (429, 503):
                require(b"retry-after:" in answer.lower(), f"{outcome} says when to try again")
            length = int(answer.lower().split(b"content-length:")[1].split()[0])
            await reader.readexactly(length)
            if not connection:
                writer.close()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass
        require(outcome in (202, 429, 503, "none"), f"an answer of {outcome} to sound events")
        self.enter(made, outcome)
        return outcome


def head(length):
    return (
        f"POST /v1/events HTTP/1.1\r\nhost: ingest\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def at_rest(posts, seconds, clients):
    """Clients that each wait for their answer: events a second that are accepted."""
    before, end = posts.accepted, time.monotonic() + seconds

    async def client():
        while time.monotonic() < end:
            await posts.post(*posts.make(EVENTS))

    await asyncio.gather(*(client() for _ in range(clients)))
    return (posts.accepted - before) / seconds


async def offered(posts, rate, seconds):
    """Posts at a rate, whatever the answers."""
    tasks, started = [], time.monotonic()
    for number in range(int(rate * seconds / EVENTS)):
        await asyncio.sleep(started + number * EVENTS / rate - time.monotonic())
        tasks.append(asyncio.create_task(posts.post(*posts.make(EVENTS))))
    await asyncio.gather(*tasks)


async def misbehaving(posts, seconds):
    """2,000 connections that do nothing, 100 that send a byte a second, 100 that never read; times of good posts."""
    broken = b"{}\n" * 2_000
    connections = []
    for number in range(2_200):
        reader, writer = await asyncio.open_connection("127.0.0.1", INGEST, limit=4096)
        connections.append((reader, writer))
        if number >= 2_100:
            writer.transport.pause_reading()
            writer.write((head(len(broken)) + broken) * 8)

    async def trickle(writer):
        for byte in head(1_000):
            writer.write(bytes([byte]))
            await asyncio.sleep(1)

    slow = [asyncio.create_task(trickle(writer)) for _, writer in connections[2_000:2_100]]
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        outcome = await posts.post(*posts.make(1))
        require(outcome == 202, f"a good client among bad ones is answered 202, not {outcome}")
        times.append(time.monotonic() - started)
        await asyncio.sleep(0.02)
    for task in slow:
        task.cancel()
    for _, writer in connections:
        writer.transport.abort()
    return times


def memory(process):
    """Peak and present resident memory in KiB."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(fields[name].split()[0]) for name in ("VmHWM", "VmRSS"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", help="of a LocalStack that runs; local-aws is started unless given")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    binaries = build(False)
    endpoint = arguments.endpoint or f"http://127.0.0.1:{LOCAL_AWS}"
    host, port = endpoint.removeprefix("http://").split(":")
    proxy = Narrow(PROXY, (host, int(port)))
    name = f"overload-{os.getpid()}"
    env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "QUEUE_NAME": name,
        "DLQ_NAME": f"{name}-dlq",
        "LAKE_BUCKET": name,
        "API_KEYS": KEY,
    }
    with tempfile.TemporaryDirectory(prefix="headwater-overload-") as folder:
        folder = pathlib.Path(folder)
        services = Services(binaries, folder, env)
        front = Services(binaries, folder, env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{PROXY}"})
        try:
            run(services, front, proxy, endpoint, folder, name, own_aws=not arguments.endpoint)
        finally:
            front.stop_all()
            services.stop_all()


def run(services, front, proxy, endpoint, folder, name, own_aws):
    if own_aws:
        services.start("local-aws", "--listen", f"127.0.0.1:{LOCAL_AWS}", ready=f"{endpoint}/_local/health")
    admin = f"127.0.0.1:{INGEST_ADMIN}"
    front.start("ingest", "--listen", f"127.0.0.1:{INGEST}", "--metrics-listen", admin, ready=f"http://{admin}/readyz")
    for service, port, *arguments in (("batch-consumer", CONSUMER), ("aggregator", AGGREGATOR, "--interval", "2s", "--commit-max-age", "0s", "watch")):
        address = f"127.0.0.1:{port}"
        services.start(service, "--metrics-listen", address, *arguments, ready=f"http://{address}/readyz")
    sqs = boto3.client(
        "sqs", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    queue, posts = Queue(sqs, name), Posts(folder / "ledger.ndjson")
    ingest = front.running["ingest"]

    proxy.rate = QUEUE_TAKES
    takes = asyncio.run(at_rest(posts, 6, 16))
    say(f"through {QUEUE_TAKES} bytes a second the queue takes {takes:.0f} events/s")
    before, outcomes = posts.accepted, posts.outcomes.copy()
    started = time.monotonic()
    asyncio.run(offered(posts, 3 * takes, 20))
    spent, seen = time.monotonic() - started, posts.outcomes - outcomes
    peak, resident = memory(ingest)
    say(
        f"three times that for 20 s: {(posts.accepted - before) / spent:.0f} events/s accepted until the last answer after "
        f"{spent:.0f} s; posts by answer: {dict(seen)}; ingest {peak / 1024:.0f} MiB at most, now {resident / 1024:.0f} MiB"
    )
    require(seen[429] > 0, "429 is answered to what is too much")
    proxy.rate = None

    times = asyncio.run(misbehaving(posts, 10))
    peak, resident = memory(ingest)
    say(
        f"beside 2,000 idle connections, 100 that send a byte a second and 100 that never read: {len(times)} posts, "
        f"p50 {statistics.median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms; "
        f"ingest {peak / 1024:.0f} MiB at most, now {resident / 1024:.0f} MiB"
    )
    require(peak < MOST_MEMORY, f"ingest took {peak / 1024:.0f} MiB at most, under {MOST_MEMORY / 1024:.0f} MiB")

    posts.ledger.close()
    queue.drained()
    for service in ("aggregator", "batch-consumer"):
        services.stop(service)
    front.stop("ingest")
    services.run("aggregator", "once", "--full")
    verdict = services.run("judge", "check", "--ledger", folder / "ledger.ndjson")
    print(verdict)
    say(f"accepted {posts.accepted}, all of it in the lake once; posts by answer: {dict(posts.outcomes)}")


if __name__ == "__main__":
    main()
