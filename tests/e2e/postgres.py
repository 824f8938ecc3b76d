"""Everybody's PostgreSQL clients on the wire of `query`: psql, psycopg, asyncpg, SQLAlchemy, pandas, JDBC, node's pg.

The pipeline runs on our local-aws, each service a process of its own. Some events are posted; then each client connects
with a read key, asks what its users ask, and its answers are held against the events. A client that is not installed is
left out and said so; that is a failure of those that --need names.

    tests/python postgres.py                                starts local-aws
    tests/python postgres.py --binaries target/debug        with services that are built already
    tests/python postgres.py --at 127.0.0.1:5433 --key KEY  a `query` that runs already and has these events

psql comes with Debian's postgresql-client, JDBC with libpostgresql-jdbc-java and a JDK, node's pg with npm install pg
in a folder that NODE_PATH names.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from postgresql import drivers, programs
from postgresql.events import EVENTS, lines
from processes import Services, build, require, say

KEY = "postgres-test-key"
INGEST = "127.0.0.1:24000"
INGEST_ADMIN = "127.0.0.1:24001"
CONSUMER = "127.0.0.1:24101"
QUERY = "127.0.0.1:24002"
QUERY_ADMIN = "127.0.0.1:24103"
POSTGRES = "127.0.0.1:24433"
LOCAL_AWS = "127.0.0.1:24567"


def certificate(folder):
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=query", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def feed(services):
    """Posts the events, and starts `query` with a certificate: clients that prefer TLS have it."""
    services.env["METRICS_LISTEN"] = CONSUMER
    services.start("batch-consumer", ready=f"http://{CONSUMER}/readyz")
    services.env |= {"LISTEN": INGEST, "METRICS_LISTEN": INGEST_ADMIN}
    services.start("ingest", ready=f"http://{INGEST_ADMIN}/readyz")
    request = urllib.request.Request(
        f"http://{INGEST}/v1/events/vehicle",
        lines().encode(),
        {"content-type": "application/x-ndjson", "x-api-key": KEY},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        accepted = json.loads(answer.read())["accepted"]
    if accepted != len(EVENTS):
        raise SystemExit(f"postgres failed: {accepted} of {len(EVENTS)} events were accepted")
    cert, key = certificate(services.folder)
    services.env |= {"LISTEN": QUERY, "METRICS_LISTEN": QUERY_ADMIN, "PG_LISTEN": POSTGRES}
    services.env |= {"PG_TLS_CERT": str(cert), "PG_TLS_KEY": str(key)}
    services.start("query", ready=f"http://{QUERY_ADMIN}/readyz")


def wait_for_events(address, key):
    """Until all events are counted through the wire."""
    import psycopg

    host, port = address.split(":")
    deadline = time.monotonic() + 60
    while True:
        with psycopg.connect(host=host, port=port, user="reader", password=key, dbname="headwater") as connection:
            count = connection.execute("select count(*) from vehicle").fetchone()[0]
        if count == len(EVENTS):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"postgres failed: {count} of {len(EVENTS)} events are counted after 60 s")
        time.sleep(0.5)


def check_tls(address, key, cert):
    """TLS for those that ask for it, with the certificate that they trust; without for those that do not."""
    import psycopg

    host, port = address.split(":")

    def connect(**options):
        return psycopg.connect(host=host, port=port, user="reader", password=key, dbname="headwater", **options)

    for mode, encrypted in [("disable", False), ("require", True)]:
        with connect(sslmode=mode) as connection:
            require(connection.pgconn.ssl_in_use == encrypted, f"sslmode={mode}: TLS is {not encrypted}")
            connection.execute("select count(*) from vehicle").fetchone()
    with connect(sslmode="verify-full", sslrootcert=str(cert)) as connection:
        connection.execute("select 1").fetchone()
    other, _ = certificate(pathlib.Path(tempfile.mkdtemp(dir=cert.parent)))
    try:
        connect(sslmode="verify-full", sslrootcert=str(other))
    except psycopg.OperationalError as error:
        require("certificate verify failed" in str(error), f"another certificate: {error}")
    else:
        raise SystemExit("postgres failed: a certificate is taken that was not trusted")
    say("tls: on request, verified, refused with another certificate")


def check(address, key, needed):
    """Runs each client; gives those that failed."""
    failed = []
    for client in drivers.ALL + programs.ALL:
        started = time.monotonic()
        try:
            asked = client(address, key)
        except drivers.NotInstalled as missing:
            say(f"{client.__name__}: left out, {missing}")
            if client.__name__ in needed:
                failed.append(client.__name__)
            continue
        except Exception as error:
            # Whatever it raises: the client cannot be used.
            say(f"{client.__name__}: {type(error).__name__}: {error}")
            failed.append(client.__name__)
            continue
        say(f"{client.__name__}: {asked}, {time.monotonic() - started:.1f} s")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    parser.add_argument("--at", help="host and port of a PostgreSQL wire that runs already")
    parser.add_argument("--key", default=KEY, help="a read key of it")
    parser.add_argument("--need", nargs="*", default=[], help="clients that must be there, such as psql jdbc node")
    arguments = parser.parse_args()

    with contextlib.ExitStack() as stack:
        address = arguments.at or POSTGRES
        if not arguments.at:
            binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
            name = f"postgres-{os.getpid()}"
            env = {variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")} | {
                "AWS_ENDPOINT_URL": f"http://{LOCAL_AWS}", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "LAKE_BUCKET": name,
                "QUEUE_NAME": name, "DLQ_NAME": f"{name}-dlq", "API_KEYS": KEY, "READ_KEYS": KEY, "POLL_WAIT": "1s",
            }  # fmt: skip
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-postgres-")))
            services = Services(binaries, folder, env)
            stack.callback(services.stop_all)
            services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
            feed(services)
        wait_for_events(address, arguments.key)
        if not arguments.at:
            check_tls(address, arguments.key, services.folder / "cert.pem")
        failed = check(address, arguments.key, arguments.need)
    print(f"postgres: {len(failed)} clients failed{''.join(f' {name}' for name in failed)}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
