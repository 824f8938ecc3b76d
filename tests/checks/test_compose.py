"""The compose file, what Prometheus and Grafana in it are given, and the GitHub workflows: that all of it is pinned,
checked for health and of one mind with the code. Each check is also given what it must not pass.

tests/python -m unittest discover -s tests/checks
"""

import copy
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "localstack"
DASHBOARDS = FOLDER / "grafana/dashboards"

# The crates whose metrics the dashboard shows.
EXPORTERS = ("ingest", "batch-consumer", "aggregator", "alerts", "aws")

# Labels that Prometheus adds, and the one of histograms.
OWN_LABELS = {"job", "instance", "le"}

PINNED = re.compile(r"\S+:(?!latest\b)[\w.-]+(@sha256:[0-9a-f]{64})?|\S+@sha256:[0-9a-f]{64}")
RELEASE = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

# Commands that say nothing of the service in whose container they run.
IDLE = {"true", ":", "/bin/true", "NONE", "echo", "exit"}


def load(path):
    return yaml.safe_load(path.read_text())


def about_services(compose):
    """What is wrong with the services of a compose file."""
    for name, service in compose["services"].items():
        if not PINNED.fullmatch(service.get("image", "")):
            yield f"{name}: its image is not pinned"
        test = service.get("healthcheck", {}).get("test", [])
        command = test[1:] if test[:1] in (["CMD"], ["CMD-SHELL"]) else test
        if not command or command[0].split()[0] in IDLE:
            yield f"{name}: has no health check"
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                yield f"{name}: {port} is open to other machines"
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                if not rest.endswith(":ro"):
                    yield f"{name}: may write to {source}"
                if not (FOLDER / source).exists():
                    yield f"{name}: there is no {source}"
            elif source not in compose["volumes"]:
                yield f"{name}: the volume {source} is not declared"


def about_targets(compose, prometheus):
    """Where Prometheus does not ask exactly the services that listen, at their ports."""
    listening = set()
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        address = environment.get("METRICS_LISTEN") or environment.get("LISTEN")
        if address:
            listening.add((name, f"{name}:{address.rsplit(':', 1)[1]}"))
    asked = {
        (job["job_name"], target)
        for job in prometheus["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    for job, target in sorted(asked ^ listening):
        yield f"{job} at {target}: " + ("listens and is not asked" if (job, target) in listening else "nobody listens")


def about_provisioning(compose, prometheus, sources, providers, boards):
    """Where data source, dashboards and mounts do not fit together."""
    for source in sources["datasources"]:
        host, port = re.fullmatch(r"(?:http://)?([\w-]+):(\d+)", source["url"]).groups()
        published = [entry.rsplit(":", 1)[1] for entry in compose["services"].get(host, {}).get("ports", [])]
        if port not in published:
            yield f"the data source asks {source['url']}, which compose does not have"
    if sources["datasources"][0]["jsonData"]["timeInterval"] != prometheus["global"]["scrape_interval"]:
        yield "the data source has another interval than Prometheus"
    mounts = dict(volume.split(":")[1::-1] for volume in compose["services"]["grafana"]["volumes"])
    path = providers["providers"][0]["options"]["path"]
    if path not in mounts:
        yield f"no dashboards are mounted at {path}"
    home = compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    if home not in {f"{path}/{name}" for name in boards}:
        yield f"there is no dashboard {home}"
    for name, board in boards.items():
        for panel in board["panels"]:
            if panel["type"] == "alertlist":
                # It asks by the rules' API of a Prometheus, and names it.
                rules = [of["name"] for of in sources["datasources"] if of["jsonData"].get("manageAlerts")]
                if panel["options"]["datasource"] not in rules:
                    yield f"{name}: {panel['title']} asks for the rules of none of {rules}"
                continue
            for part in [panel, *panel.get("targets", [])] if panel["type"] != "row" else []:
                if part["datasource"] not in [{"type": of["type"], "uid": of["uid"]} for of in sources["datasources"]]:
                    yield f"{name}: {panel['title']} asks another data source"


def exported():
    """The metrics in the code: all names, those of histograms, and the labels in use."""
    names, histograms, labels = set(), set(), set()
    for crate in EXPORTERS:
        files = sorted((ROOT / "crates" / crate / "src").rglob("*.rs"))
        text = "\n".join(file.read_text() for file in files)
        names |= set(re.findall(r'"(headwater_\w+)"', text))
        constants = dict(re.findall(r'const (\w+): &str\s*=\s*"(headwater_\w+)"', text))
        named = r'(?:histogram!|latency::describe)\(\s*(?:"(headwater_\w+)"|(?:\w+::)*(\w+))'
        for literal, constant in re.findall(named, text):
            histograms.add(literal or constants.get(constant))
        for call in re.findall(r"(?:counter|gauge|histogram)!\([^;]*", text):
            labels |= set(re.findall(r'"(\w+)" =>', call))
    return names, histograms, labels


def about_queries(board, names, histograms, labels):
    """Where a dashboard asks for what no service exports."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            if "rawSql" in target:
                continue
            place = f"{panel['title']} {target['refId']}"
            for metric in re.findall(r"\bheadwater_\w+", target["expr"]):
                base = re.sub(r"_(bucket|sum|count)$", "", metric)
                if metric not in names - histograms and not (base != metric and base in histograms):
                    yield f"{place}: nobody exports {metric}"
            groups = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            shown = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            for label in {label for part in groups + shown for label in re.findall(r"\w+", part)}:
                if label not in labels | OWN_LABELS:
                    yield f"{place}: no metric has the label {label}"


def about_layout(board):
    """Panels that share an id or a place, or stand beside the grid."""
    if len({panel["id"] for panel in board["panels"]}) < len(board["panels"]):
        yield "two panels have the same id"
    taken = set()
    for panel in board["panels"]:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        if x + w > 24 or cells & taken:
            yield f"{panel['title']} does not fit"
        taken |= cells
        if panel["type"] not in ("row", "alertlist") and not panel.get("targets"):
            yield f"{panel['title']} shows nothing"


def about_workflow(text):
    """Actions and images of a workflow that are not pinned."""
    for action in re.findall(r"^\s*(?:- )?uses: (.*)$", text, re.M):
        if not RELEASE.fullmatch(action):
            yield f"{action} is not pinned to the commit of a release"
    for image in re.findall(r"^\s*container: (\S+)$", text, re.M):
        if not PINNED.fullmatch(image):
            yield f"{image} is not pinned"


COMPOSE = load(FOLDER / "compose.yaml")
PROMETHEUS = load(FOLDER / "prometheus/prometheus.yml")
SOURCES = load(FOLDER / "grafana/provisioning/datasources/prometheus.yaml")
for other in ("query", "alerts"):
    SOURCES["datasources"] += load(FOLDER / f"grafana/provisioning/datasources/{other}.yaml")["datasources"]
PROVIDERS = load(FOLDER / "grafana/provisioning/dashboards/headwater.yaml")
BOARDS = {file.name: json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))}
WORKFLOWS = {file.name: file.read_text() for file in sorted((ROOT / ".github/workflows").glob("*.yml"))}


class Compose(unittest.TestCase):
    def spoilt(self, said, name, **changes):
        compose = copy.deepcopy(COMPOSE)
        compose["services"][name] |= changes
        self.assertTrue(any(said in found for found in about_services(compose)), (name, changes))

    def test_every_service_is_pinned_checked_and_for_this_machine_alone(self):
        self.assertEqual(list(about_services(COMPOSE)), [])

    def test_what_is_open_unpinned_or_unchecked_is_found(self):
        self.spoilt("not pinned", "grafana", image="grafana/grafana")
        self.spoilt("not pinned", "grafana", image="grafana/grafana:latest")
        self.spoilt("no health check", "simulator", healthcheck={})
        self.spoilt("no health check", "simulator", healthcheck={"test": ["CMD-SHELL", "exit 0"]})
        self.spoilt("open to other machines", "grafana", ports=["3001:3000"])
        self.spoilt("may write", "prometheus", volumes=["./prometheus/prometheus.yml:/etc/prometheus/prometheus.yml"])
        self.spoilt("there is no", "prometheus", volumes=["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"])

    @unittest.skipUnless(shutil.which("docker-compose"), "needs docker-compose")
    def test_docker_compose_takes_each_profile(self):
        everything = set(COMPOSE["services"])
        for profile, expected in (
            ([], {"localstack"}),
            (["--profile", "dev"], everything - {"prometheus", "grafana"}),
            (["--profile", "full"], everything),
        ):
            command = ["docker-compose", "-f", FOLDER / "compose.yaml", *profile, "config", "--services"]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            # Version 1 lists the services of all profiles.
            self.assertLessEqual(expected, set(done.stdout.split()))


class Makefile(unittest.TestCase):
    @unittest.skipUnless(shutil.which("make"), "needs make")
    def test_each_listed_command_runs_what_there_is(self):
        def make(*arguments):
            done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        listed = re.findall(r"^  make (\S+) ", make("help"), re.MULTILINE)
        self.assertEqual(len(listed), 19)
        for name in listed:
            commands = make("--dry-run", name.replace("SERVICE", "ingest"))
            for service in re.findall(r"(?:exec -T|logs --follow) ([\w-]+)", commands):
                self.assertIn(service, COMPOSE["services"], name)
            for profile in re.findall(r"--profile (\w+)", commands):
                self.assertTrue(any(profile in of.get("profiles", []) for of in COMPOSE["services"].values()), name)
        self.assertIn("logs --follow ingest", make("--dry-run", "logs-ingest"))

    def test_the_example_of_settings_has_the_defaults(self):
        example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
        asked = re.findall(r"\$\{(\w+):-([^}]*)\}", (FOLDER / "compose.yaml").read_text())
        self.assertEqual(example, dict(asked))


class Monitoring(unittest.TestCase):
    def test_prometheus_asks_every_service_that_listens(self):
        self.assertEqual(list(about_targets(COMPOSE, PROMETHEUS)), [])
        other = copy.deepcopy(PROMETHEUS)
        other["scrape_configs"][0]["static_configs"][0]["targets"] = ["ingest:3001"]
        self.assertEqual(len(list(about_targets(COMPOSE, other))), 2)

    def test_grafana_finds_its_data_source_and_dashboards(self):
        self.assertEqual(list(about_provisioning(COMPOSE, PROMETHEUS, SOURCES, PROVIDERS, BOARDS)), [])
        other = copy.deepcopy(SOURCES)
        other["datasources"][0] |= {"uid": "other", "url": "http://prometheus:9091"}
        found = list(about_provisioning(COMPOSE, PROMETHEUS, other, PROVIDERS, BOARDS))
        self.assertTrue(any("compose does not have" in complaint for complaint in found), found)
        self.assertTrue(any("another data source" in complaint for complaint in found), found)
        other = copy.deepcopy(SOURCES)
        del other["datasources"][-1]
        found = list(about_provisioning(COMPOSE, PROMETHEUS, other, PROVIDERS, BOARDS))
        self.assertTrue(any("asks for the rules of none" in complaint for complaint in found), found)

    def test_the_dashboard_asks_for_what_is_exported(self):
        names, histograms, labels = exported()
        self.assertIn("headwater_ingest_events_accepted_total", names)
        self.assertIn("headwater_consumer_queue_latency_seconds", histograms)
        self.assertIn("reason", labels)
        for board in (board for board in BOARDS.values() if "headwater_" in json.dumps(board)):
            self.assertEqual(list(about_queries(board, names, histograms, labels)), [])
            for left in (
                (names - {"headwater_aws_dollars_total"}, histograms, labels),
                (names, histograms - {"headwater_ingest_request_seconds"}, labels),
                (names, histograms, labels - {"reason"}),
            ):
                self.assertNotEqual(list(about_queries(board, *left)), [])

    def test_panels_have_ids_and_places_of_their_own(self):
        for board in BOARDS.values():
            self.assertEqual(list(about_layout(board)), [])
            other = copy.deepcopy(board)
            other["panels"][2] |= {key: other["panels"][1][key] for key in ("id", "gridPos")}
            self.assertEqual(len(list(about_layout(other))), 2)

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (Debian: prometheus)")
    def test_prometheus_understands_configuration_and_queries(self):
        queries = [
            target["expr"].replace("$__rate_interval", "1m").replace("$__range", "30m")
            for board in BOARDS.values()
            for panel in board["panels"]
            for target in panel.get("targets", [])
            # The others ask PostgreSQL.
            if "expr" in target
        ]
        rules = [{"record": f"query:{at}", "expr": query} for at, query in enumerate(queries)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"groups": [{"name": "queries", "rules": rules}]}, file)
            file.flush()
            ours = FOLDER / "rules/rules.yml"
            for check in (["config", FOLDER / "prometheus/prometheus.yml"], ["rules", file.name], ["rules", ours]):
                done = subprocess.run(["promtool", "check", *check], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)


class Workflows(unittest.TestCase):
    def test_every_action_is_pinned_to_a_release(self):
        for name, text in WORKFLOWS.items():
            self.assertEqual(list(about_workflow(text)), [], name)
        self.assertEqual(len(list(about_workflow("- uses: actions/checkout@v7\ncontainer: rust\n"))), 2)

    def test_one_rust_everywhere(self):
        toolchain = re.search(r'channel = "(.*)"', (ROOT / "rust-toolchain.toml").read_text()).group(1)
        images = re.findall(r"\brust:([\d.]+)-", (ROOT / "Dockerfile").read_text() + WORKFLOWS["ci.yml"])
        self.assertEqual(set(images), {toolchain})

    def test_a_release_has_an_image_of_every_program(self):
        stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
        programs = {re.match(r"\S+ AS (\S+)", stage).group(1) for stage in stages if "\nENTRYPOINT " in stage}
        built = re.search(r"^  SERVICES: (.*)$", WORKFLOWS["images.yml"], re.M).group(1)
        self.assertEqual(set(built.split()), programs)

    def test_a_release_finds_the_base_that_it_pins(self):
        bases = re.findall(r"^ARG BASE=(.*)$", (ROOT / "Dockerfile").read_text(), re.M)
        self.assertEqual(len(bases), 1)
        self.assertRegex(bases[0], PINNED)
        for part in (r"sed -n 's/^ARG BASE=//p' Dockerfile", '--build-arg "BASE=$BASE"'):
            self.assertIn(part, WORKFLOWS["images.yml"])


if __name__ == "__main__":
    unittest.main()
