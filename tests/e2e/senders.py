"""Other senders' own clients send to ingest, each over connections that break, while ingest is killed meanwhile.

The pipeline runs on our local-aws, each service a process of its own. Between a client and ingest stands a proxy that
loses some of the answers, so that the client sends again what ingest has taken; halfway ingest is killed. Each client
sends 100,000 samples; then every one of them must stand in curated/, once, and no other.

    tests/python senders.py                                all clients, with programs that it builds
    tests/python senders.py --binaries target/debug        with services that are built already
    tests/python senders.py --clients otlp influx2         some of them
    tests/python senders.py --samples 10000                fewer samples of each
    tests/python senders.py --clients prometheus --scrape 600    Prometheus scrapes our services for so many seconds

The clients: OpenTelemetry's SDK (otlp), influxdb-client (influx2), influxdb3-python (influx3), and Debian's prometheus,
remote write (prometheus). Where that is not installed it is left out, and it says so; with --need that is a failure.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import boto3
import duckdb

from processes import Proxy, Queue, Services, build, require, say, wait_until

KEY = "senders-test-key"
LOCAL_AWS = "127.0.0.1:24667"
INGEST, INGEST_ADMIN = "127.0.0.1:24100", "127.0.0.1:24101"
CONSUMER, AGGREGATOR = "127.0.0.1:24102", "127.0.0.1:24103"
QUERY, QUERY_ADMIN, QUERY_SQL = "127.0.0.1:24104", "127.0.0.1:24105", "127.0.0.1:24107"
BROKEN, TARGET, PROMETHEUS = 24106, 24108, "127.0.0.1:24109"
SERIES = 1_000
BUCKET = "senders-lake"


class Breaking(Proxy):
    """Loses some of the answers: the connection ends instead."""

    EACH = 7
    lost = answers = 0
    breaks = True

    async def before(self, data, is_answer):
        if not is_answer or not data.startswith(b"HTTP/"):
            return
        self.answers += 1
        if self.breaks and self.answers % self.EACH == 0:
            self.lost += 1
            raise ConnectionResetError


class Pipeline:
    """The services, and what they have put into the lake."""

    def __init__(self, binaries, folder):
        address = f"http://{LOCAL_AWS}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        env |= {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        env |= {"AWS_REGION": "us-east-1", "LAKE_BUCKET": BUCKET, "RUST_LOG": "info"}
        self.services = Services(binaries, folder, env)
        self.folder = folder
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self.s3, self.sqs = (boto3.client(name, endpoint_url=address, **credentials) for name in ["s3", "sqs"])

    def start(self):
        services = self.services
        services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
        services.env["METRICS_LISTEN"] = CONSUMER
        services.start("batch-consumer", ready=f"http://{CONSUMER}/readyz")
        services.env["METRICS_LISTEN"] = AGGREGATOR
        services.start("aggregator", "watch", "--interval", "2s", ready=f"http://{AGGREGATOR}/readyz")
        self.start_ingest()

    def start_ingest(self):
        self.services.env |= {"API_KEYS": KEY, "LISTEN": INGEST, "METRICS_LISTEN": INGEST_ADMIN}
        self.services.start("ingest", ready=f"http://{INGEST_ADMIN}/readyz")

    def kill_ingest(self):
        process = self.services.running.pop("ingest")
        process.kill()
        process.wait()
        time.sleep(1)
        self.start_ingest()

    def start_query(self):
        self.services.env |= {"READ_KEYS": KEY, "LISTEN": QUERY, "METRICS_LISTEN": QUERY_ADMIN, "PG_LISTEN": QUERY_SQL}
        self.services.start("query", ready=f"http://{QUERY_ADMIN}/readyz")

    def landed(self):
        """Waits until nothing is left to do, and gives the samples of curated/ as a table of DuckDB."""
        Queue(self.sqs, "headwater-events").drained()
        self.services.run("aggregator", "once", expect=(0,))
        place = self.folder / "curated"
        shutil.rmtree(place, ignore_errors=True)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="curated/kind=metric")
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            file = self.folder / entry["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(BUCKET, entry["Key"], str(file))
        database = duckdb.connect()
        database.execute(
            f"""CREATE TABLE samples AS SELECT name, tags, value, entity_id, epoch_us(event_time) AS micros, event_id
            FROM read_parquet('{place}/kind=metric/**/*.parquet', union_by_name = true, hive_partitioning = false)"""
        )
        return database

    def check_info(self, database, metric, *expected):
        """What is said of the metric stands there once a day, although ingest was killed meanwhile."""
        place = self.folder / "curated/kind=metric_info"
        rows = database.execute(
            f"""SELECT type, unit, description, count(*) FROM read_parquet('{place}/**/*.parquet')
            WHERE entity_id = '{metric}' GROUP BY type, unit, description, event_time"""
        ).fetchall()
        require(set(rows) == {(*expected, 1)}, f"{metric} is {expected}, once: {rows}")
        say(f"{metric}: {expected} once")


def otlp(pipeline, url, samples):
    """OpenTelemetry's SDK: a gauge of many series, exported again and again."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    expected = set()

    class Exporter(OTLPMetricExporter):
        def export(self, metrics_data, *arguments, **named):
            for resource in metrics_data.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for point in metric.data.data_points:
                            said = metric.name.replace(".", "_"), point.attributes["series"], float(point.value)
                            expected.add((*said, point.time_unix_nano // 1_000))
            result = super().export(metrics_data, *arguments, **named)
            require(result is MetricExportResult.SUCCESS, "an export succeeds in the end")
            return result

    exporter = Exporter(endpoint=f"{url}/v1/metrics", headers={"x-api-key": KEY}, timeout=60, compression=Compression.Gzip)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], resource=Resource({"service.name": "otlp", "host.name": "otlp-host"}))
    meter, round_ = provider.get_meter("senders"), 0

    def observe(_):
        return [Observation(round_ + series / SERIES, {"series": str(series)}) for series in range(SERIES)]

    meter.create_observable_gauge("otlp.load", [observe], unit="1", description="A load.")
    for round_ in range(samples // SERIES):  # noqa: B007, `observe` reads it
        if round_ == samples // SERIES // 2:
            pipeline.kill_ingest()
        require(provider.force_flush(120_000), "the SDK sends")
    provider.shutdown()
    return "otlp_load", "series", expected


def lines(name, samples):
    """Points as the clients take them: measurement, tags, fields, time."""
    start = int(time.time() * 1e9) - samples * 1000
    points = []
    for number in range(samples):
        tags = {"series": str(number % SERIES), "host": f"{name}-host"}
        points.append({"measurement": name, "tags": tags, "fields": {"load": number / 8}, "time": start + number * 1000})
    return points


def expected_of(name, points):
    return {(f"{name}_load", point["tags"]["series"], point["fields"]["load"], point["time"] // 1_000) for point in points}


def in_halves(pipeline, points, write):
    half = len(points) // 2
    write(points[:half])
    pipeline.kill_ingest()
    write(points[half:])


def influx2(pipeline, url, samples):
    """influxdb-client, in batches and with its retries."""
    from influxdb_client import InfluxDBClient, WriteOptions

    failed = []
    points = lines("influx2", samples)
    options = WriteOptions(batch_size=2_000, retry_interval=500, max_retries=20, max_retry_delay=2_000)
    with InfluxDBClient(url=url, token=KEY, org="-", enable_gzip=True) as client:
        with client.write_api(options, error_callback=lambda *said: failed.append(said)) as api:
            in_halves(pipeline, points, lambda some: api.write("lake", record=some))
    require(not failed, f"influxdb-client sends all: {failed[:1]}")
    return "influx2_load", "series", expected_of("influx2", points)


def influx3(pipeline, url, samples):
    """influxdb3-python, in batches and with its retries."""
    from influxdb_client_3 import InfluxDBClient3, WriteOptions, write_client_options

    failed = []
    points = lines("influx3", samples)
    options = WriteOptions(batch_size=2_000, retry_interval=500, max_retries=20, max_retry_delay=2_000)
    client_options = write_client_options(write_options=options, error_callback=lambda *said: failed.append(said))
    with InfluxDBClient3(host=url, token=KEY, database="lake", write_client_options=client_options) as client:
        in_halves(pipeline, points, lambda some: client.write(some))
    require(not failed, f"influxdb3-python sends all: {failed[:1]}")
    return "influx3_load", "series", expected_of("influx3", points)


class Target(http.server.BaseHTTPRequestHandler):
    """What Prometheus scrapes: a gauge of many series, another value each time."""

    times = 0

    def do_GET(self):
        Target.times += 1
        samples = (f'scraped_load{{series="{series}"}} {Target.times + series / SERIES}\n' for series in range(SERIES))
        body = "".join(["# TYPE scraped_load gauge\n", *samples]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


CONFIG = """
global: {{scrape_interval: {interval}s}}
remote_write:
  - url: {url}/api/v1/write
    authorization: {{credentials: {key}}}
    queue_config: {{max_samples_per_send: 2000, min_backoff: 100ms, max_backoff: 1s, batch_send_deadline: 1s}}
scrape_configs:
  - job_name: scraped
    static_configs: [{{targets: [{targets}]}}]
"""


def ask(question):
    answer = urllib.request.urlopen(f"http://{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode(question)}", timeout=60)
    with answer:
        return json.load(answer)["data"]["result"]


@contextlib.contextmanager
def prometheus_running(pipeline, url, targets, interval):
    (pipeline.folder / "prometheus.yml").write_text(
        CONFIG.format(url=url, key=KEY, interval=interval, targets=", ".join(f"'{target}'" for target in targets))
    )
    command = ["prometheus", f"--config.file={pipeline.folder}/prometheus.yml", f"--web.listen-address={PROMETHEUS}"]
    command += [f"--storage.tsdb.path={pipeline.folder}/tsdb"]
    with open(pipeline.folder / "prometheus.log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(90)


def told_by_prometheus(selector, seconds, until):
    """Each sample that Prometheus has: name, the labels in JSON, value, and time in microseconds."""
    expected, seconds = set(), int(seconds)
    for series in ask({"query": f"{selector}[{seconds}s]", "time": until}):
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        tags = json.dumps({key: labels[key] for key in sorted(labels)}, separators=(",", ":"), ensure_ascii=False)
        for at, value in series["values"]:
            if value not in ("NaN", "+Inf", "-Inf"):
                expected.add((name.replace(":", "_"), tags, float(value), round(at * 1000) * 1_000))
    return expected


def prometheus(pipeline, url, samples):
    """Debian's Prometheus: it scrapes many series each second, and sends what it has seen."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", TARGET), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    started = time.time()
    with prometheus_running(pipeline, url, [f"127.0.0.1:{TARGET}"], 1):
        rounds = samples // SERIES
        wait_until("half of the scrapes", lambda: Target.times >= rounds // 2, rounds + 60)
        pipeline.kill_ingest()
        wait_until("all scrapes", lambda: Target.times >= rounds, rounds + 60)
        until = time.time()
        expected = told_by_prometheus('scraped_load{job="scraped"}', until - started + 5, until)
    server.shutdown()
    # Those that came behind the question are no part of it.
    last = max(at for *_, at in expected)
    return "scraped_load", None, expected, last


def check(database, name, label, expected, last=None):
    """Each expected sample stands there once, and no other of its name."""
    which = "tags" if label is None else f"tags ->> '{label}'"
    until = "" if last is None else f"AND micros <= {last}"
    rows = database.execute(f"SELECT {which}, value, micros FROM samples WHERE name = '{name}' {until}").fetchall()
    found = {(name, *row) for row in rows}
    lost, other = expected - found, found - expected
    require(not lost, f"{name}: lost {len(lost)} of {len(expected)}, such as {sorted(lost)[:2]}; found {sorted(other)[:2]}")
    require(not other, f"{name}: {len(other)} that nobody sent, such as {sorted(other)[:2]}")
    require(len(rows) == len(found), f"{name}: {len(rows) - len(found)} stand there twice")
    say(f"{name}: {len(expected):,} samples sent, each in curated/ once")


def check_scrape(pipeline, seconds):
    """Prometheus scrapes our services and writes to one of them; SQL and GET /query answer as Prometheus itself."""
    pipeline.start_query()
    targets = [INGEST_ADMIN, CONSUMER, AGGREGATOR, QUERY_ADMIN]
    with prometheus_running(pipeline, f"http://{INGEST}", targets, 5):
        started = time.time()
        say(f"Prometheus scrapes {len(targets)} services for {seconds} s")
        time.sleep(seconds)
        until = time.time() - 10
        expected = told_by_prometheus('{job="scraped"}', until - started, until)
        up = ask({"query": f"avg_over_time(up[{int(until - started)}s])", "time": until})
    first = min(at for *_, at in expected)
    last = max(at for *_, at in expected)
    time.sleep(5)
    found = set()
    # Name by name and service by service: an answer has bounded rows.
    for name, instance in sorted({(name, json.loads(tags)["instance"]) for name, tags, *_ in expected}):
        rows = sql(
            f"""SELECT name, tags, value, extract(epoch FROM event_time) FROM metric WHERE name = '{name}'
            AND entity_id = '{instance}' AND event_time >= to_timestamp_micros({first})
            AND event_time <= to_timestamp_micros({last})"""
        )
        found |= {(row[0], row[1], float(row[2]), round(float(row[3]) * 1000) * 1_000) for row in rows}
    lost, other = expected - found, found - expected
    require(not lost, f"SQL lacks {len(lost)} of {len(expected)}, such as {sorted(lost)[:2]}")
    require(not other, f"SQL has {len(other)} more, such as {sorted(other)[:2]}")
    say(f"SQL: {len(expected):,} samples of {len({row[0] for row in expected})} metrics, as Prometheus has them")
    wrong = 0
    for name in sorted({name for name, *_ in expected}):
        values = [sample[2] for sample in expected if sample[0] == name]
        told = get_query(name, first, last)
        wrong += told["count"] != len(values) or abs(told["sum"] - sum(values)) > 1e-9 * abs(sum(values))
    require(wrong == 0, f"GET /query differs for {wrong} metrics")
    say(f"GET /query: counts and sums of {len({row[0] for row in expected})} metrics equal Prometheus' samples; {len(up)} up")


def sql(text):
    request = urllib.request.Request(f"http://{QUERY}/v1/sql", data=text.encode(), headers={"x-api-key": KEY})
    with urllib.request.urlopen(request, timeout=120) as answer:
        told = json.load(answer)
    require(not told["truncated"], f"the answer is whole: {text}")
    return told["rows"]


def get_query(name, first, last):
    """Count and sum of a metric's values over the time from `first` to `last`, in microseconds."""
    parameters = {"name": name, "kind": "metric", "agg": "count,sum"}
    parameters |= {"start": first // 1_000, "end": last // 1_000 + 1}
    request = urllib.request.Request(f"http://{QUERY}/query?{urllib.parse.urlencode(parameters)}", headers={"x-api-key": KEY})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["points"][0]["values"]


CLIENTS = {"otlp": otlp, "influx2": influx2, "influx3": influx3, "prometheus": prometheus}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of the programs, instead of building them")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--samples", type=int, default=100_000, help="of each client")
    parser.add_argument("--scrape", type=int, default=0, help="seconds for which Prometheus scrapes our own services")
    parser.add_argument("--need", action="store_true", help="fail where Prometheus is not installed")
    arguments = parser.parse_args()
    chosen = arguments.clients
    if "prometheus" in chosen and shutil.which("prometheus") is None:
        require(not arguments.need, "prometheus is not installed (Debian: apt-get install prometheus)")
        say("prometheus: left out, not installed (Debian: apt-get install prometheus)")
        chosen = [name for name in chosen if name != "prometheus"]
    binaries = arguments.binaries or build(False)
    with tempfile.TemporaryDirectory(prefix="senders-") as folder:
        pipeline = Pipeline(binaries, pathlib.Path(folder))
        try:
            pipeline.start()
            if arguments.scrape > 0:
                check_scrape(pipeline, arguments.scrape)
                return
            host, port = INGEST.split(":")
            proxy = Breaking(BROKEN, (host, int(port)))
            sent = []
            for name in chosen:
                started, lost = time.monotonic(), proxy.lost
                sent.append(CLIENTS[name](pipeline, f"http://127.0.0.1:{BROKEN}", arguments.samples))
                took = time.monotonic() - started
                say(f"{name}: sent in {took:.0f} s, {proxy.lost - lost} answers lost, ingest killed once")
            database = pipeline.landed()
            for told in sent:
                check(database, *told)
            if "otlp" in chosen:
                pipeline.check_info(database, "otlp_load", "gauge", "1", "A load.")
        except BaseException:
            for log in ["ingest.log", "prometheus.log"]:
                if (pipeline.folder / log).exists():
                    print(f"last lines of {log}:", *(pipeline.folder / log).read_text().splitlines()[-8:], sep="\n  ")
            raise
        finally:
            pipeline.services.stop_all()


if __name__ == "__main__":
    main()
