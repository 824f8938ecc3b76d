"""A stop of each service under load, and while the endpoint hangs: SIGTERM, exit 0 within 20 s, and nothing lost.

The consumer's grace is set to 16 s here: it takes all of it while the endpoint hangs, and the rest of the 20 s is for a
busy machine.

The judge posts events all the while, repeats posts without an answer, and in the end holds the accepted events against
the lake. Right after a consumer's exit no message may be hidden in the queue: it gives back those it has not written.

    tests/python shutdown.py                                    starts local-aws
    tests/python shutdown.py --endpoint http://127.0.0.1:4566   a LocalStack that runs already
"""

import argparse
import asyncio
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import boto3

from processes import Proxy, Queue, Services, build, metrics, require, say, wait_until

KEY = "shutdown-test-key"
LOCAL_AWS, GATE, INGEST, CONSUMER, AGGREGATOR, INGEST_ADMIN = 22101, 22102, 22103, 22104, 22105, 22106
QUERY, QUERY_ADMIN, ALERTS, ALERTS_ADMIN, WIRE = 22107, 22108, 22109, 22110, 22111
LONGEST = 20
ADDRESSES = {
    "ingest": INGEST_ADMIN, "batch-consumer": CONSUMER, "aggregator": AGGREGATOR, "query": QUERY_ADMIN, "alerts": ALERTS_ADMIN,
}
# The counter of each service that is above 0 once it has done some of its work. `query` and `alerts` have none that
# needs no client: they are ready once they have read the lake.
WORK = {
    "ingest": "headwater_ingest_events_accepted_total",
    "batch-consumer": "headwater_consumer_events_total",
    "aggregator": "headwater_aggregator_commits_total",
}


class Gate(Proxy):
    """A way that can be shut: then nothing passes in either direction."""

    shut = False

    async def before(self, data, is_answer):
        while self.shut:
            await asyncio.sleep(0.05)


def start(services, name):
    address = f"127.0.0.1:{ADDRESSES[name]}"
    arguments = {
        "ingest": ["--listen", f"127.0.0.1:{INGEST}", "--metrics-listen", address],
        "batch-consumer": ["--metrics-listen", address],
        "aggregator": ["--metrics-listen", address, "--interval", "2s", "--commit-max-age", "0s", "watch"],
        "query": ["--listen", f"127.0.0.1:{QUERY}", "--metrics-listen", address, "--pg-listen", f"127.0.0.1:{WIRE}"],
        "alerts": ["--listen", f"127.0.0.1:{ALERTS}", "--metrics-listen", address],
    }
    services.start(name, *arguments[name], ready=f"http://{address}/readyz")


def await_work(name):
    """Waits until a service that has just started has done some of its work."""
    if name not in WORK:
        return
    page = f"http://127.0.0.1:{ADDRESSES[name]}/metrics"
    wait_until(f"{name} works", lambda: metrics(page).get(WORK[name], 0) > 0)


def end(names_and_processes):
    """Tells all of them to stop and waits for them together."""
    started, took = time.monotonic(), {}
    for process in names_and_processes.values():
        process.send_signal(signal.SIGTERM)
    while len(took) < len(names_and_processes):
        for name, process in names_and_processes.items():
            if name not in took and process.poll() is not None:
                took[name] = time.monotonic() - started
                require(process.returncode == 0, f"{name} ended with {process.returncode} on SIGTERM")
        require(time.monotonic() - started < LONGEST, f"all end within {LONGEST} s; so far: {took}")
        time.sleep(0.02)
    return took


def catches(process, which):
    """Whether the process has a handler for the signal."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(caught, 16) >> (which - 1) & 1 == 1


def shown(took):
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())


def simulator_alone(services):
    """A stop of the simulator, before the judge begins: its events are not the judge's."""
    simulator = services.begin("simulator", "--vehicles", 20, "--cells", 5, "--rate", 500, "--count", 100_000)
    await_work("ingest")
    require(simulator.poll() is None, "the simulator sends")
    say(f"SIGTERM while it sends: {shown(end({'simulator': simulator}))}")


def under_load(services, queue):
    for name in ("batch-consumer", "ingest", "query", "aggregator", "alerts", "batch-consumer"):
        services.stop(name)
        if name == "batch-consumer":
            waiting, in_flight = queue.counts()
            require(in_flight == 0, f"{in_flight} messages are hidden after the consumer's exit, {waiting} wait")
            say(f"the queue after its exit: {waiting} messages wait, none is hidden")
        start(services, name)
        await_work(name)


def while_it_hangs(services, gate):
    gate.shut = True
    # The aggregator begins a run every 2 s: after that, each service has a call under way. No counter tells when.
    time.sleep(2.5)
    processes = {"aggregator once": services.begin("aggregator", "once")}
    wait_until("it hears signals", lambda: catches(processes["aggregator once"], signal.SIGTERM))
    processes |= {name: services.running.pop(name) for name in ADDRESSES}
    took = end(processes)
    gate.shut = False
    say(f"SIGTERM while the endpoint hangs: {shown(took)}")
    for name in ADDRESSES:
        start(services, name)


def run(services, gate, sqs, folder, name, count):
    for service in ADDRESSES:
        start(services, service)
    simulator_alone(services)
    queue = Queue(sqs, name)
    ledger = folder / "ledger.ndjson"
    with (folder / "judge.log").open("w") as log:
        command = ["run", "--count", count, "--rate", 400, "--batch", 20, "--retry-for", "120s", "--ledger", ledger]
        judge = subprocess.Popen([services.binaries / "judge", *map(str, command)], env=services.env, stdout=log, stderr=log)
    services.running["judge"] = judge
    wait_until("the judge enters events", lambda: ledger.exists() and ledger.stat().st_size > 0)
    under_load(services, queue)
    while_it_hangs(services, gate)
    require(judge.poll() is None, "the judge posted all the while")
    try:
        judge.wait(180)
    except subprocess.TimeoutExpired:
        services.show("judge")
        raise SystemExit("e2e failed: the judge does not come to an end") from None
    print(services.log("judge"))
    require(judge.returncode == 0, "the judge finds nothing wrong")
    del services.running["judge"]
    for service in ("alerts", "query", "aggregator", "batch-consumer", "ingest"):
        services.stop(service)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", help="of a LocalStack that runs; local-aws is started unless given")
    parser.add_argument("--count", type=int, default=16_000, help="events, 400 a second: as long as it takes")
    arguments = parser.parse_args()
    binaries = build(False)
    endpoint = arguments.endpoint or f"http://127.0.0.1:{LOCAL_AWS}"
    host, port = endpoint.removeprefix("http://").split(":")
    name = f"shutdown-{os.getpid()}"
    account = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{GATE}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "QUEUE_NAME": name, "DLQ_NAME": f"{name}-dlq", "LAKE_BUCKET": name,
        # After the hang, what was on its way to the consumer comes again when this has gone by.
        "VISIBILITY_TIMEOUT": "20s",
        "SHUTDOWN_GRACE": "16s",
        "READ_KEYS": KEY, "API_KEYS": KEY, "HEADWATER_API_KEY": KEY, "HEADWATER_INGEST_URL": f"http://127.0.0.1:{INGEST}",
    }
    with tempfile.TemporaryDirectory(prefix="headwater-shutdown-") as temporary:
        folder = pathlib.Path(temporary)
        services = Services(binaries, folder, env)
        try:
            if not arguments.endpoint:
                services.start("local-aws", "--listen", f"127.0.0.1:{LOCAL_AWS}", ready=f"{endpoint}/_local/health")
            gate = Gate(GATE, (host, int(port)))
            run(services, gate, boto3.client("sqs", endpoint_url=endpoint, **account), folder, name, arguments.count)
            if not arguments.endpoint:
                services.stop("local-aws")
        finally:
            services.stop_all()
    say("every service stops within 20 s, and nothing is lost")


if __name__ == "__main__":
    main()
