"""The services against their own OpenAPI documents, by Schemathesis: what a document says is what is answered.

The pipeline runs on our local-aws, each service a process of its own. For each document, requests are made of what it
declares, sound ones and broken ones; every answer must have a status, a type and a body that are declared, none may be a
5xx that is not, and what breaks the document must be refused.

    tests/python documents.py                               builds the services
    tests/python documents.py --binaries target/debug       with services that are built already
    tests/python documents.py --examples 500 --seed 7       more requests for each operation, and others
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from processes import Services, build, say

KEY = "documents-test-key"
LOCAL_AWS = "127.0.0.1:24960"
SERVICES = {"ingest": 24961, "query": 24962, "alerts": 24963}

# What a schema cannot say: that a statement is SQL, that an event is no older than its kind takes, that a silence has an
# end after its start. And a silence that is over is still told of for days, as Alertmanager has it.
LEFT_OUT = "positive_data_acceptance,use_after_free"

# Its bodies are Protocol Buffers, which Schemathesis cannot make.
NOT_MADE = "/api/v1/write"

# A text past its bound may make an event too large.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
"""


def start(services):
    services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
    services.env |= {
        "AWS_ENDPOINT_URL": f"http://{LOCAL_AWS}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "API_KEYS": KEY, "READ_KEYS": KEY, "METRICS_LISTEN": "127.0.0.1:24970",
    }  # fmt: skip
    services.start("batch-consumer", ready="http://127.0.0.1:24970/readyz")
    for number, (name, port) in enumerate(SERVICES.items(), 1):
        admin = f"127.0.0.1:{24970 + number}"
        services.env |= {"LISTEN": f"127.0.0.1:{port}", "METRICS_LISTEN": admin, "PG_LISTEN": "127.0.0.1:24980"}
        services.start(name, ready=f"http://{admin}/readyz")


def check(name, port, arguments):
    """Whether the service answers as its document says."""
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", arguments.config,
        "run", f"http://127.0.0.1:{port}/openapi.json",
        "--header", f"x-api-key: {KEY}", "--exclude-checks", LEFT_OUT, "--exclude-path", NOT_MADE, "--request-timeout", "60",
        "--max-examples", str(arguments.examples), "--seed", str(arguments.seed), "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0:
        print(*lines, done.stderr, sep="\n")
    summary = next((line.strip() for line in reversed(lines) if "generated" in line), "no summary")
    say(f"{name}: {summary}")
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    parser.add_argument("--examples", type=int, default=20, help="most requests for each operation and phase")
    parser.add_argument("--seed", type=int, default=1, help="decides the requests")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-documents-")))
        env = {variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")}
        services = Services(binaries, folder, env)
        stack.callback(services.stop_all)
        start(services)
        arguments.config = folder / "schemathesis.toml"
        arguments.config.write_text(CONFIG)
        failed = [name for name, port in SERVICES.items() if not check(name, port, arguments)]
    print(f"documents: {len(SERVICES) - len(failed)} of {len(SERVICES)} documents hold")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
