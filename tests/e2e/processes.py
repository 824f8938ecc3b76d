"""The services as processes: built, started, waited for, stopped; and how a check says what it does."""

import asyncio
import contextlib
import json
import pathlib
import signal
import subprocess
import threading
import time
import urllib.request

# Longest that a service may take to stop: its own grace is 20 s, and the machine may be busy.
STOP = 40

ROOT = pathlib.Path(__file__).resolve().parents[2]


def say(text):
    print(f"-- {text}", flush=True)


def require(condition, text):
    if not condition:
        raise SystemExit(f"e2e failed: {text}")


def wait_until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < deadline, f"{what} within {seconds} s")
        time.sleep(0.5)


def build(release, *more):
    # As `cargo test --workspace` builds them: with other packages chosen, features would differ, and the AWS SDK with
    # all that stands on it would be built once more.
    chosen = [*(["--release", "--bins"] if release else ["--bins", "--tests"]), *more]
    subprocess.run(["cargo", "build", "--locked", "--workspace", "--features", "headwater/sql", *chosen], cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True
    )
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"]) / ("release" if release else "debug")


def metrics(url):
    """Samples of a Prometheus page, by name with labels."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}


class Services:
    """Processes, their settings and their log files."""

    def __init__(self, binaries, folder, env):
        self.binaries, self.folder, self.env = binaries, folder, env
        self.running = {}

    def start(self, name, *arguments, ready):
        log = open(self.folder / f"{name}.log", "ab")  # noqa: SIM115, it lives as long as the process
        process = subprocess.Popen([self.binaries / name, *arguments], env=self.env, stdout=log, stderr=log)
        self.running[name] = process
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(ready, timeout=2) as answer:
                if answer.status == 200:
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                self.show(name)
                raise SystemExit(f"e2e failed: {name} did not become ready at {ready}")
            time.sleep(0.1)

    def begin(self, name, *arguments):
        """Begins a command, for the caller to end."""
        command = [self.binaries / name, *map(str, arguments)]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, name, *arguments, expect=(0,), timeout=600):
        """Runs a command to its end, with one of the exit codes in `expect`, and gives what it printed."""
        command = [self.binaries / name, *map(str, arguments)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=timeout)
        if done.returncode not in expect:
            print(done.stdout, done.stderr, sep="\n")
            for service in self.running:
                self.show(service)
            raise SystemExit(f"e2e failed: {name} {' '.join(map(str, arguments))} ended with {done.returncode}")
        return done.stdout

    def stop(self, name):
        process = self.running.pop(name)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            self.show(name)
            raise SystemExit(f"e2e failed: {name} runs {STOP} s after SIGTERM") from None
        require(code == 0, f"{name} ended with {code} on SIGTERM")
        say(f"{name}: SIGTERM, exit 0 after {time.monotonic() - started:.1f} s")

    def stop_all(self):
        for process in self.running.values():
            process.kill()
            process.wait()

    def show(self, name):
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        print(f"last lines of {name}:", *lines[-25:], sep="\n  ")

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")


class Proxy:
    """A way to the endpoint at `to`, a host and a port. What goes there waits for `before` first."""

    def __init__(self, port, to):
        self.port, self.to = port, to
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        require(ready.wait(10), "the proxy listens")

    async def serve(self, ready):
        server = await asyncio.start_server(self.connection, "127.0.0.1", self.port)
        ready.set()
        await server.serve_forever()

    async def connection(self, reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection(*self.to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pump(reader, there_writer, False), self.pump(there_reader, writer, True))

    async def pump(self, reader, writer, is_answer):
        with contextlib.suppress(OSError):
            while data := await reader.read(16384):
                await self.before(data, is_answer)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def before(self, data, is_answer):
        """Returns once the data may pass."""


class Queue:
    """An SQS queue as boto3 sees it."""

    def __init__(self, sqs, name):
        self.sqs, self.url = sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def counts(self):
        """Messages that can be received, and those in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return tuple(int(counts[name]) for name in names)

    def depth(self):
        return sum(self.counts())

    def drained(self):
        # Several looks: the counts are approximate, and a message may be on its way from one to the other.
        wait_until("the queue drained", lambda: all(self.depth() == 0 for _ in range(4)), 180)
