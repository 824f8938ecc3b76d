"""How long a value takes from its 202 to the page: each service a process of its own, on an endpoint that runs already."""

import json
import random
import time
import urllib.error
import urllib.request

from processes import Services

from browser.chrome import Browser
from browser.world import KEY, VEHICLE, rfc3339

# What goes on beside the values that are waited for, in events a second.
LOAD = 20

SHOWN = "return document.querySelector('[data-signal=engine_rpm]')?.title ?? ''"


def post(url, values):
    """Posts values of the one vehicle that is looked at, or of others."""
    events = [
        {"timestamp": rfc3339(time.time()), "vehicle_id": vehicle, "can_id": "0x1F0", "payload": {"engine_rpm": value}}
        for vehicle, value in values
    ]
    lines = "\n".join(json.dumps(event) for event in events).encode()
    headers = {"content-type": "application/x-ndjson", "x-api-key": KEY}
    request = urllib.request.Request(f"{url}/v1/events/vehicle", lines, headers)
    for _ in range(20):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                accepted = json.loads(answer.read())["accepted"]
            break
        except urllib.error.HTTPError as error:
            # As any client: ingest says so while SQS does not answer in time. What counts begins at the 202.
            if error.code != 503:
                raise
            time.sleep(0.5)
    else:
        raise SystemExit("console failed: ingest answers 503 again and again")
    if accepted != len(events):
        raise SystemExit(f"console failed: {accepted} of {len(events)} events were accepted")


def start(services, endpoint, port, adaptive):
    """Starts ingest, a consumer and query; gives the addresses of ingest and of query."""
    name = f"page-latency-{random.randrange(10**6)}"
    ingest, query, *admin = (f"127.0.0.1:{port + n}" for n in range(5))
    services.env |= {
        "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "QUEUE_NAME": f"{name}-events", "DLQ_NAME": f"{name}-dlq", "LAKE_BUCKET": name, "API_KEYS": KEY, "READ_KEYS": KEY,
        "BATCH_ADAPTIVE": str(adaptive).lower(), "PG_LISTEN": f"127.0.0.1:{port + 5}",
    }  # fmt: skip
    services.env["METRICS_LISTEN"] = admin[0]
    services.start("batch-consumer", ready=f"http://{admin[0]}/readyz")
    services.env |= {"METRICS_LISTEN": admin[1], "LISTEN": ingest}
    services.start("ingest", ready=f"http://{admin[1]}/readyz")
    services.env |= {"METRICS_LISTEN": admin[2], "LISTEN": query}
    services.start("query", ready=f"http://{admin[2]}/readyz")
    return f"http://{ingest}", f"http://{query}"


def measure(binaries, folder, env, port, endpoint, adaptive, values):
    """Seconds that each of `values` values took from its 202 until the page showed it."""
    services = Services(binaries, folder, dict(env))
    page = None
    try:
        ingest, query = start(services, endpoint, port, adaptive)
        page = Browser(query, KEY)
        post(ingest, [(VEHICLE, 900)])
        page.go("now")
        page.sign_in()
        page.go("entity", {"kind": "vehicle", "entity": VEHICLE, "range": "5m"})
        page.wait_live()
        page.wait("the first value", lambda: "900" in page.run(SHOWN))
        waits = []
        for n in range(values):
            # Not in step with batches, which begin each 2 s.
            until = time.monotonic() + random.uniform(0.5, 2.5)
            while time.monotonic() < until:
                post(ingest, [(f"veh-{random.randrange(500)}", 800) for _ in range(LOAD // 5)])
                time.sleep(0.2)
            value = 1000 + n
            post(ingest, [(VEHICLE, value)])
            begun = time.monotonic()
            page.wait("the posted value", lambda value=value: str(value) in page.run(SHOWN).replace(",", ""), 30)
            waits.append(time.monotonic() - begun)
        return sorted(waits)
    finally:
        if page:
            page.close()
        services.stop_all()


def report(waits):
    at = lambda share: waits[min(len(waits) - 1, int(share * len(waits)))]  # noqa: E731
    return f"p50 {at(0.5):.2f} s, p95 {at(0.95):.2f} s, p99 {at(0.99):.2f} s, at most {waits[-1]:.2f} s of {len(waits)}"
