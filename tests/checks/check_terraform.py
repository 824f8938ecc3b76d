"""Holds terraform, compose, images and code against each other: what is named in two places must be the same in both.

Compared are the names of queues and bucket, the queues' attributes, the lake's prefixes and partitions, the environment
variables that each service is given against those that it knows, ports, paths and health commands, timeouts that must
outlast each other, the columns of the Athena tables, what the roles allow against what the code calls, the metrics that
alarms stand on against their list, and the alarms against the runbook's headings. It prints what differs and exits 1 if
anything does.

    tests/python check_terraform.py
"""

import json
import re
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import dockerfile
import policies
from checkout import Missing, Repo, part, product, seconds

SERVICES = ("ingest", "batch-consumer", "aggregator", "query", "alerts")

# Who makes queues and bucket where they are missing.
CREATORS = ("ingest", "batch-consumer", "aggregator")

# Read by the AWS SDK and by the log's filter, not by a service's own settings.
FOREIGN = re.compile(r"AWS_\w+|RUST_LOG")

# Operations of crates/aws that are for tests and tools, or an operator's own right (docs/forget.md): no role of a service
# may call them.
NOT_FOR_SERVICES = {"sqs:PurgeQueue", "s3:GetBucketVersioning", "s3:ListObjectVersions"}

GLUE_TYPES = {"number": "double", "integer": "bigint", "boolean": "boolean", "string": "string", "labels": "string"}


def same(what, values):
    """A complaint unless the values, by where they stand, are one."""
    if len(set(map(str, values.values()))) > 1:
        yield f"{what} differ: " + ", ".join(f"{value} in {place}" for place, value in values.items())


def compose_variable(repo, name):
    return repo.found("localstack/compose.yaml", rf"^  {name}: \$\{{{name}:-([\w-]+)\}}")


def names(repo):
    shared = repo.settings("batch-consumer")
    example = "terraform/examples/localstack/variables.tf"
    create = "localstack/init/ready.d/create.py"
    deployment = repo.default("terraform/variables.tf", "name")
    module = {"QUEUE_NAME": "name", "DLQ_NAME": "dlq_name"}
    for variable in ("QUEUE_NAME", "DLQ_NAME", "LAKE_BUCKET"):
        values = {
            "crates/aws": shared.get(variable, "no such setting"),
            "compose.yaml": compose_variable(repo, variable),
            "create.py": repo.found(create, rf'environ\.get\("{variable}", "([^"]+)"\)'),
            example: repo.default(example, variable.lower()),
        }
        if variable in module:
            values["terraform/modules/queue"] = repo.default("terraform/modules/queue/variables.tf", module[variable])
            root = repo.block("terraform/main.tf", r'^module "queue" \{')
            named = part(root, rf'^\s*{module[variable]}\s*= "([^"]+)"', "terraform/main.tf")
            values["terraform/main.tf"] = named.replace("${var.name}", deployment)
        yield from same(f"names for {variable}", values)


def queue_attributes(repo):
    module = "terraform/modules/queue/variables.tf"
    setup = "crates/aws/src"
    create = "localstack/init/ready.d/create.py"
    for what, variable, in_code, in_create in (
        ("retentions", "retention_seconds", "RETENTION_SECONDS: u32 = …;", None),
        (
            "visibility timeouts",
            "visibility_timeout_seconds",
            "VISIBILITY_TIMEOUT_SECONDS: u32 = …;",
            r'^VISIBILITY_TIMEOUT = "(\d+)"',
        ),
        (
            "receive counts",
            "max_receive_count",
            "MAX_RECEIVE_COUNT: u32 = …;",
            r'^MAX_RECEIVE_COUNT = "(\d+)"',
        ),
        (
            "long polls",
            "receive_wait_seconds",
            'QueueAttributeName::ReceiveMessageWaitTimeSeconds, "…"',
            r'^LONG_POLL = "(\d+)"',
        ),
    ):
        days = repo.found(create, r"^RETENTION = str\((\d+) \* DAY\)")
        yield from same(
            what,
            {
                setup: product(repo.code(setup, in_code)),
                create: int(repo.found(create, in_create)) if in_create else int(days) * 86400,
                module: int(repo.default(module, variable)),
            },
        )


def given(repo, service):
    """The environment variables that terraform gives to a service, secrets among them."""
    variable = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)\s*=(?!=)")
    path = "terraform/settings.tf"
    module = service.replace("-", "_")
    here = repo.block(path, rf"^    {module} = merge\(")
    if service == "aggregator":
        here += repo.block(path, r"^    aggregator_watch = [^\n]*: \{")
    common = repo.block(path, r"^  common = merge\(")
    text = re.sub(r"#.*", "", here + common)
    secrets = ""
    if service != "aggregator":
        secrets = "".join(
            re.findall(r"^\s*secrets\s*= (?:merge\([^{]*)?\{(.*?)\}", repo.block("terraform/main.tf", rf'^module "{module}_task" \{{'), re.M)
        )
    return set(variable.findall(text)) | set(variable.findall(secrets))


def environment(repo):
    table = repo.text("docs/operations.md")
    for service in SERVICES:
        known = set(repo.settings(service))
        ours = given(repo, service)
        for name in sorted(ours - known):
            if not FOREIGN.fullmatch(name):
                yield f"terraform gives {service} {name}, which it does not know"
        for name in sorted(ours & known):
            if f"`{name}`" not in table:
                yield f"{name} of {service} does not stand in docs/operations.md"
        body = repo.block("terraform/variables.tf", rf'^variable "{service.replace("-", "_")}" \{{')
        refused = set(re.findall(r'"([A-Z_]+)"', part(body, r"!contains\(\[(.*?)\]", "terraform/variables.tf")))
        for name in sorted(ours - {"LOG_FORMAT"} - refused):
            yield f"terraform/variables.tf lets `{service}.settings` have {name}, which terraform sets itself"
        for name in sorted(refused - known):
            if not FOREIGN.fullmatch(name):
                yield f"terraform/variables.tf refuses {name} for {service}, which knows no such setting"
        compose = compose_service(repo, service)
        for name in re.findall(r"^      ([A-Z_]+):", compose, re.M):
            if name not in known:
                yield f"compose.yaml gives {service} {name}, which it does not know"
    told = re.findall(r'^\s+CREATE\s*= "false"$', repo.text("terraform/settings.tf"), re.M)
    for service in CREATORS:
        if "CREATE" not in given(repo, service) or len(told) != len(CREATORS):
            yield f"terraform does not set CREATE to false for {service}"


def compose_service(repo, service):
    return repo.found("localstack/compose.yaml", rf"^  {service}:\n((?:    [^\n]*\n)*)")


def image(repo, service):
    """The instructions of a service's image."""
    return repo.found("Dockerfile", rf"^FROM runtime AS {service}\n((?:(?!FROM)[^\n]*\n)*)")


def ports(repo):
    front = "terraform/modules/front/variables.tf"
    local = repo.block("terraform/settings.tf", r"^  ports = \{")

    def admin(service):
        return repo.code(f"crates/{service}/src", "METRICS_LISTEN: SocketAddr = SocketAddr::new(…);").split()[-1]

    for what, service, setting, code, in_terraform, in_front in (
        ("ports", "ingest", "LISTEN", repo.settings("ingest")["LISTEN"].rsplit(":", 1)[1], "ingest", "port"),
        ("admin ports", "ingest", "METRICS_LISTEN", admin("ingest"), "ingest_admin", "admin_port"),
        ("ports", "batch-consumer", "METRICS_LISTEN", admin("batch-consumer"), "batch_consumer", None),
        (
            "ports",
            "aggregator",
            "METRICS_LISTEN",
            repo.settings("aggregator")["METRICS_LISTEN"].rsplit(":", 1)[1],
            "aggregator",
            None,
        ),
        ("ports", "query", "LISTEN", repo.settings("query")["LISTEN"].rsplit(":", 1)[1], "query", None),
        ("admin ports", "query", "METRICS_LISTEN", admin("query"), "query_admin", None),
        ("ports", "alerts", "LISTEN", repo.settings("alerts")["LISTEN"].rsplit(":", 1)[1], "alerts", None),
        ("admin ports", "alerts", "METRICS_LISTEN", admin("alerts"), "alerts_admin", None),
    ):
        listen = re.search(rf"^      {setting}: 0\.0\.0\.0:(\d+)", compose_service(repo, service), re.M)
        exposed = re.findall(r"^EXPOSE (\d+)$", image(repo, service), re.M)
        values = {
            "crates": code,
            "Dockerfile": code if code in exposed else " and ".join(exposed),
            "the image's setting": part(image(repo, service), rf"^ENV {setting}=0\.0\.0\.0:(\d+)$", "Dockerfile"),
            "compose.yaml": listen and listen.group(1),
        }
        if in_terraform:
            values["terraform/settings.tf"] = part(local, rf"^\s*{in_terraform}\s*= (\d+)", "terraform/settings.tf")
        if in_front:
            values[front] = repo.default(front, in_front)
        yield from same(f"{what} of {service}", values)


def commands(repo):
    for service in SERVICES:
        program = part(image(repo, service), r'^ENTRYPOINT \["([^"]+)"\]', "Dockerfile")
        health = re.search(r"test: \[CMD, (\S+), health\]", compose_service(repo, service))
        if not health or health.group(1) != program:
            yield f"compose.yaml does not ask `{program} health` whether {service} is ready"
        # The scheduled aggregator ends by itself; the one that watches is asked.
        module = "aggregator_watch" if service == "aggregator" else service.replace("-", "_")
        body = repo.block("terraform/main.tf", rf'^module "{module}_task" \{{')
        asked = [program, "health"] + ["--live"]
        if f"health_command     = {json.dumps(asked)}" not in body:
            yield f"terraform/main.tf does not ask `{' '.join(asked)}` whether {service} is well"
    known = repo.block("crates/aggregator/src", r"^pub enum Command \{")
    for module in ("aggregator_task", "aggregator_watch_task"):
        body = repo.block("terraform/main.tf", rf'^module "{module}" \{{')
        command = part(body, r'^  command\s*= \["(\w+)"\]', f"terraform/main.tf: {module}")
        if not re.search(rf"^    {command.capitalize()},", known, re.M):
            yield f"terraform/main.tf: {module} runs `aggregator {command}`, which there is not"


def health(repo):
    """Docker, compose and ECS ask the same command, and none of them gives up before it does."""
    stages = dockerfile.read(repo.text("Dockerfile"))
    task = "terraform/modules/task/main.tf"
    for service in SERVICES:
        asked = dockerfile.health(stages[service])
        # Bare it runs once and ends, and does not listen.
        wanted = None if service == "aggregator" else [*stages[service].last("ENTRYPOINT").words(), "health"]
        if asked != wanted:
            yield f"Dockerfile asks {asked} whether {service} is ready, wanted {wanted}"
    if service_command(repo, "aggregator") != "watch":
        yield "compose.yaml asks for the health of an aggregator that does not run `watch`"
    own = int(repo.code("crates/service/src", "const PATIENCE: Duration = Duration::from_secs(…)"))
    waits = {
        "compose.yaml": seconds(repo.found("localstack/compose.yaml", r"^x-health:.*?^  timeout: (\w+)")),
        task: int(repo.found(task, r"healthCheck = \{.*?timeout\s*= (\d+)")),
    }
    for stage in stages.values():
        check = stage.last("HEALTHCHECK")
        if dockerfile.health(stage):
            waits[f"Dockerfile ({stage.name})"] = seconds(check.flags.get("timeout", ""))
            for flag, pattern in (("interval", r"interval"), ("retries", r"retries"), ("start-period", r"startPeriod")):
                there = check.flags.get(flag, "").removesuffix("s")
                there_too = repo.found(task, rf"healthCheck = \{{.*?{pattern}\s*= (\d+)")
                yield from same(f"health checks' {flag}", {f"Dockerfile ({stage.name})": there, task: there_too})
    for place, wait in waits.items():
        if wait <= own:
            yield f"{place}: the health check is ended after {wait} s, `health` gives up by itself after {own} s"


def service_command(repo, service):
    return part(compose_service(repo, service), r"^    command: \[(\w+)\]", f"compose.yaml: {service}")


def containers(repo):
    """Who the programs run as, and what they may write to."""
    stages = dockerfile.read(repo.text("Dockerfile"))
    task = "terraform/modules/task/main.tf"
    users = {"Dockerfile": stages["runtime"].last("USER").rest, task: repo.found(task, r'^\s*user\s*= "([^"]+)"')}
    yield from same("users of the images", users)
    for stage in dockerfile.programs(stages):
        if stage.last("USER"):
            yield f"Dockerfile: {stage.name} has another user than the others"
    for place, text in (("localstack/compose.yaml", "  read_only: true"), (task, "readonlyRootFilesystem = true")):
        if text not in repo.text(place):
            yield f"{place} lets the services write to their images: no `{text.strip()}`"


def disk(repo):
    """The folder that the aggregator spills to is one that its image gives it, and the disk holds what the limit allows."""
    stage = dockerfile.read(repo.text("Dockerfile"))["aggregator"]
    setting = next((step.rest for step in stage.all("ENV") if step.rest.startswith("SPILL_DIR=")), "").partition("=")[2]
    folders = {
        "Dockerfile's SPILL_DIR": setting,
        "Dockerfile's VOLUME": " ".join(stage.last("VOLUME").words()) if stage.last("VOLUME") else None,
        "terraform/settings.tf": repo.found("terraform/settings.tf", r'^  spill_dir = "([^"]+)"'),
    }
    yield from same("folders to spill to", folders)
    owned = [copy for copy in stage.all("COPY") if copy.words()[-1] == setting]
    user = dockerfile.read(repo.text("Dockerfile"))["runtime"].last("USER").rest
    if not owned or owned[0].flags.get("chown") != user:
        yield f"Dockerfile: {setting} does not belong to {user}, who spills to it"
    variables = repo.block("terraform/variables.tf", r'^variable "aggregator" \{')
    gib = part(variables, r"spill_gib\s*= optional\(number, (\d+)\)", "terraform/variables.tf")
    known = repo.settings("aggregator")["SPILL_LIMIT"]
    yield from same("limits of the disk", {"crates/aggregator": known, "terraform/variables.tf": f"{gib}GiB"})
    for module in ("aggregator_task", "aggregator_watch_task"):
        body = repo.block("terraform/main.tf", rf'^module "{module}" \{{')
        for line in (r"writable_folder\s*= local\.spill_dir", r"disk_gib\s*= local\.aggregator_disk_gib"):
            if not re.search(line, body):
                yield f"terraform/main.tf: {module} has nothing like `{line}`"


def sent(repo, front, service, known):
    patterns = re.findall(r'"([^"]+)"', repo.default(front, f"{service}_paths"))
    for path in sorted(known):
        if not any(fnmatch(path, pattern) for pattern in patterns):
            yield f"{front} does not send {path} to {service}"
    for pattern in patterns:
        if not any(fnmatch(path, pattern) for path in known):
            yield f"{front} sends {pattern} to {service}, which does not serve it"


def routes(repo):
    front = "terraform/modules/front/variables.tf"
    # Ingest has a /health of its own, and the load balancer asks one of them; so it is with /docs and /.
    query = repo.all_code("crates/query/src", 'path = "…"') + repo.all_code("crates/console/src", 'path = "…"')
    query += repo.all_code("crates/console/src", '.route("…"')
    query = {path for path in query if path.startswith("/") and not path.endswith("?")}
    yield from sent(repo, front, "query", query - {"/health"})
    # Its /health and / are for those who reach the task; what is under /api/ goes there whole, and nothing else does.
    alerts = repo.all_code("crates/alerts/src", 'path = "…"')
    yield from sent(repo, front, "alerts", {path for path in alerts if path.startswith("/api/")})
    known = repo.all_code("crates/ingest/src", 'path = "…"') + repo.all_code("crates/ingest/src", '.route("…"')
    for path in re.findall(r'"([^"]+)"', repo.default(front, "public_paths")):
        if not any(fnmatch(route, path) for route in known):
            yield f"{front} lets {path} through, which ingest does not serve"
    for path in ("/metrics", "/livez", "/readyz"):
        if any(fnmatch(path, public) for public in re.findall(r'"([^"]+)"', repo.default(front, "public_paths"))):
            yield f"{front} lets {path} through, which is for us alone"
    probes = repo.all_code("crates/service/src", '.route("…"')
    health = repo.found("terraform/modules/front/main.tf", r'health_check \{\s*path\s*= "([^"]+)"')
    if health not in probes:
        yield f"the load balancer asks for {health}, which the admin port does not serve"
    port = repo.found("terraform/modules/front/main.tf", r"health_check \{.*?^\s*port\s*= ([\w.]+)$")
    if port != "var.admin_port":
        yield f"the load balancer asks {port} for ingest's health, where it shares connections with clients"


def timeouts(repo):
    ingest, consumer = repo.settings("ingest"), repo.settings("batch-consumer")
    front = "terraform/modules/front/main.tf"
    idle = int(repo.found(front, r"idle_timeout\s*= (\d+)"))
    head = int(repo.code("crates/ingest/src", "HEAD_TIMEOUT: Duration = Duration::from_secs(…)"))
    drain = int(repo.found(front, r"deregistration_delay\s*= (\d+)"))
    stop = int(repo.default("terraform/modules/task/variables.tf", "stop_timeout_seconds"))
    compose = seconds(repo.found("localstack/compose.yaml", r"stop_grace_period: (\w+)"))
    send, body = seconds(ingest["SEND_TIMEOUT"]), seconds(ingest["BODY_TIMEOUT"])
    if not send < idle < head:
        between = f"between SEND_TIMEOUT ({send} s) and ingest's HEAD_TIMEOUT ({head} s)"
        yield f"{front}: idle_timeout ({idle} s) must lie {between}"
    if drain < send + body:
        longest = f"BODY_TIMEOUT and SEND_TIMEOUT ({send + body} s)"
        yield f"{front}: deregistration_delay ({drain} s) must not be shorter than {longest}"
    for service, settings in (("ingest", ingest), ("batch-consumer", consumer)):
        grace = seconds(settings["SHUTDOWN_GRACE"])
        for place, time in (("terraform/modules/task", stop), ("compose.yaml", compose)):
            if time <= grace:
                yield f"{place}: {service} is killed after {time} s, within its SHUTDOWN_GRACE ({grace} s)"


def prefixes(repo):
    key, lake = "crates/contract/src", "crates/lake/src"
    code = {repo.code(key, f'const {name}: &str = "…"') for name in ("RAW", "CURATED", "AGGREGATES")}
    code |= {repo.code(lake, f'const {name}: &str = "…"') for name in ("COMMITS", "SCHEMA", "ASIDE")}
    letters = repo.code("crates/batch-consumer/src", 'const WHOLE_FOLDER: &str = "…"') + "/"
    policies = "terraform/policies.tf"
    lines = {repo.code(lake, f'const {name}: &str = "…"') for name in ("MOMENTS", "ALERTS")}
    read = code - {repo.code(lake, 'const ASIDE: &str = "…"')} | lines
    log = repo.code(lake, 'const ALERT_LOG: &str = "…"')
    told = {"raw/", log, log.partition("/")[0] + "/"} | lines
    expectations = (("aggregator", code), ("batch_consumer", {"raw/", letters}), ("query", read), ("alerts", told))
    for service, expected in expectations:
        body = repo.block(policies, rf'^data "aws_iam_policy_document" "{service}" \{{')
        allowed = {f"{name}/" for name in re.findall(r"lake\.arn\}/([\w/]+)/\*", body)}
        for listed in re.findall(r"for prefix in \[(.*?)\]", body):
            allowed |= {f"{name}/" for name in re.findall(r'"(\w+)"', listed)}
        if allowed != expected:
            yield f"{policies}: {service} reaches {sorted(allowed)}, the code uses {sorted(expected)}"
    lifecycle = set(re.findall(r'prefix = "([^"]+)"', repo.text("terraform/modules/lake/main.tf")))
    if lifecycle != {"raw/", "curated/", letters}:
        yield f"terraform/modules/lake: rules for {sorted(lifecycle)}, wanted for raw/, curated/ and {letters} alone"

    catalog = "terraform/modules/catalog/main.tf"
    parts = re.findall(r"(\w+)=\{:0(\d)\}", repo.block(key, r"^impl fmt::Display for Hour \{"))
    if "/".join(f"{name}=$${{{name}}}" for name, _ in parts) + "/" != repo.found(catalog, r'^  hours = "([^"]+)"'):
        yield f"{catalog}: `hours` is not how {key} writes an hour"
    if [name for name, _ in parts] != re.findall(r'"(\w+)"', repo.found(catalog, r"^  partition_keys = \[(.*?)\]")):
        yield f"{catalog}: `partition_keys` are not those of {key}"
    for name, digits in parts:
        if name == "year":
            wanted, there = "y" * int(digits), repo.found(catalog, r'"projection.year.format"\s*= "(\w+)"')
        else:
            wanted, there = digits, repo.found(catalog, rf'"projection\.{name}\.digits"\s*= "(\d)"')
        if wanted != there:
            yield f"{catalog}: {name} is projected as `{there}`, {key} writes `{wanted}`"
    templates = set(
        re.findall(
            r'"storage\.location\.template" = "s3://\$\{var\.bucket\}/(.*?)\$\{local\.hours\}"', repo.text(catalog)
        )
    )
    curated = repo.code(key, 'format!("{CURATED}…{hour}/")').replace("{kind}", "${each.key}")
    if templates != {"raw/", f"curated/{curated}", "aggregates/"}:
        yield f"{catalog}: tables over {sorted(templates)}, which are not the prefixes of {key}"


def derived(rule):
    """Type and unit of a derived signal: that of a condition is a boolean."""
    if isinstance(rule, str) or "when" in rule:
        return ("boolean", None)
    return ("number", rule.get("unit"))


def columns(repo):
    path = "terraform/modules/catalog/kinds.tf"
    for declaration in sorted((repo.root / "crates/contract/kinds").glob("*.toml")):
        declared = tomllib.loads(declaration.read_text())
        kind = declared["kind"]
        body = repo.block(path, rf"^    {kind} = \{{")
        for name, field in (("entity", "entity_field"), ("time", "time_field"), ("signals", "signals_field")):
            there = part(body, rf'{field}\s*= "?(\w+)"?', path)
            wanted = declared[name].get("field", "null")
            if there != wanted:
                yield f"{path}: {field} of {kind} is {there}, {declaration.name} says {wanted}"
        fields, _, signals = body.partition("signals = [")
        entry = re.compile(r'name = "(\w+)", type = "(\w+)"(?:, unit = (?:"([^"]*)"|null))?')
        there = {name: (of, unit or None) for name, of, unit in entry.findall(fields)}
        wanted = {name: (rule["type"], None) for name, rule in declared.get("fields", {}).items()}
        if "name_field" in declared["signals"]:
            wanted[declared["signals"]["name_field"]] = ("string", None)
            wanted[declared["signals"]["value_field"]] = ("number", None)
        if there != wanted:
            yield f"{path}: fields of {kind} are {there}, {declaration.name} says {wanted}"
        there = {name: (of, unit or None) for name, of, unit in entry.findall(signals)}
        wanted = {name: (rule["type"], rule.get("unit")) for name, rule in declared["signals"].get("known", {}).items()}
        wanted |= {name: derived(rule) for name, rule in declared["signals"].get("derived", {}).items()}
        for name in sorted(there.keys() | wanted.keys()):
            if there.get(name) != wanted.get(name):
                yield f"{path}: {name} of {kind} is {there.get(name)}, {declaration.name} says {wanted.get(name)}"

    entry = re.compile(r'\{ name = "(\w+)", type = "(\w+)"')
    server = dict(entry.findall(repo.block(path, r"^  curated_columns = \{")))
    lake = "crates/lake/src"
    # Those that are no texts are times.
    wanted = dict.fromkeys(repo.all_code(lake, 'Field::new("…",'), "timestamp")
    wanted |= dict.fromkeys(repo.all_code(lake, 'Field::new("…", DataType::Utf8'), "string")
    wanted[repo.code(lake, 'const MORE: &str = "…"')] = "string"
    if server != wanted:
        yield f"{path}: curated tables have {server} beside fields and signals, the files {wanted}"

    wanted = {name: "bigint" for name, _ in repo.all_code(lake, '("…", …, whole(')}
    wanted |= {name: "string" for name, _ in repo.all_code(lake, '("…", …, Arc::new(')}
    numbers = repo.block(lake, r"^const NUMBERS: \[&str; \d+\] = \[")
    wanted |= dict.fromkeys(re.findall(r"\w+", numbers), "double")
    # For the aggregator alone: the lines do not have them.
    for name in ("texts", "sketch"):
        del wanted[name]
    there = dict(entry.findall(repo.block(path, r"^  aggregate_columns = \[")))
    if there != wanted:
        yield f"{path}: the table of aggregates has {there}, the lines {wanted}"
    types = dict(re.findall(r'(\w+) = "(\w+)"', repo.block(path, r"^  glue_types = \{")))
    if types != GLUE_TYPES:
        yield f"{path}: glue_types are {types}, wanted {GLUE_TYPES}"
    types = repo.block(path, r"^  signal_types = merge\(")
    if 'integer = "double"' not in types:
        yield f"{path}: signal_types are {types}, and whole numbers of signals are doubles"


def permissions(repo):
    # Calls that set up queues and buckets are not the services', and the meter knows all operations.
    called = set(re.findall(r'"((?:sqs|s3):\w+)"', repo.text("crates/aws/src", without=("setup.rs", "meter.rs"))))
    if not called:
        raise Missing('crates/aws/src: no line has an operation such as `"sqs:ReceiveMessage"`')
    called = {policies.PERMISSIONS.get(operation, operation) for operation in called}
    allowed = {one.action for document in policies.allowed(repo).values() for one in document}
    for permission in sorted(allowed - called):
        yield f"{policies.POLICIES} allows {permission}, which crates/aws never needs"
    for permission in sorted(called - allowed - NOT_FOR_SERVICES):
        yield f"crates/aws needs {permission}, which {policies.POLICIES} allows nobody"
    for service in SERVICES:
        module = service.replace("-", "_")
        body = repo.block("terraform/main.tf", rf'^module "{module}_task" \{{')
        document = part(body, r"^\s*policy_json\s*= data\.aws_iam_policy_document\.(\w+)\.json$", "terraform/main.tf")
        if document != module:
            yield f"terraform/main.tf gives {service} the policy of {document}"


def metrics(repo):
    readme = "terraform/README.md"
    listed = set(re.findall(r"^\| `(\w+)` \|", repo.text(readme).split("## Metrics of the services", 1)[-1], re.M))
    if not listed:
        raise Missing(f"{readme}: found no list of metrics")
    alarms = repo.text("terraform/modules/alarms/main.tf")
    used = set(re.findall(r'namespace\s*= var\.metrics_namespace\s*metric\s*= "(\w+)"', alarms))
    used |= set(re.findall(r"SELECT \w+\((\w+)\) FROM SCHEMA", alarms))
    dashboard = repo.text("terraform/modules/alarms/dashboard.tf")
    used |= set(re.findall(r'local\.own, "(\w+)"', dashboard)) | set(re.findall(r'MetricName=\\"(\w+)\\"', dashboard))
    for name in sorted(used - listed):
        yield f"{readme} does not list {name}, which alarms or dashboard stand on"
    for name in sorted(listed - used):
        yield f"{readme} lists {name}, which neither alarms nor dashboard use"
    exported = set()
    for service in SERVICES:
        code = repo.block(f"crates/{service}/src", r"\bEXPORTED: &\[Exported\] = &\[")
        named = re.findall(r'(?:\(\s*|name: )"(\w+)"', code)
        if not named:
            raise Missing(f"crates/{service}/src: no line of EXPORTED names a metric such as `EventsAccepted`")
        exported |= set(named)
        exported |= {"AwsDollars"} if "Exported::AWS_DOLLARS" in code else set()
    for name in sorted(exported ^ listed):
        yield f"{name} is {'exported and not listed in' if name in exported else 'not exported and listed in'} {readme}"


def runbook(repo):
    """Whoever is woken by an alarm finds its name in the runbook, where its description says."""
    path = "terraform/modules/alarms/main.tf"
    alarms = set(re.findall(r"^    ([a-z][a-z-]*) = \{", repo.block(path, r"^  alarms = \{"), re.M))
    if not alarms:
        raise Missing(f"{path}: found no alarms")
    named = r'^  {}\s*= "\$\{{var\.name\}}-([^"]+)"'
    for resource in re.findall(r'^resource "aws_cloudwatch_metric_alarm" "(\w+)"', repo.text(path), re.M):
        block = repo.block(path, rf'^resource "aws_cloudwatch_metric_alarm" "{resource}" \{{')
        name = part(block, named.format("alarm_name"), path)
        if not part(block, r"^  alarm_description\s*= \"([^\n]*)\"$", path).endswith(f" ${{var.alarms.runbook}}#{name}"):
            yield f"{path}: the description of {name} does not end with its heading in the runbook"
        # The resource of the list has its keys for names.
        if name != "${each.key}":
            alarms.add(name)
    budget = repo.block(path, r'^resource "aws_budgets_budget" "\w+" \{')
    alarms.add(part(budget, named.format("name"), path))
    guide = repo.found("terraform/variables.tf", r'^\s*runbook\s*= optional\(string, "([^"]+)"\)')
    headings = set(re.findall(r"^### (.+)$", part(repo.text(guide) + "\n## ", r"^## Alarms\n(.*?)^## ", guide), re.M))
    for name in sorted(alarms - headings):
        yield f"{guide} has no heading for the alarm {name}"
    for name in sorted(headings - alarms):
        yield f"{guide} has {name} among the alarms, which there is not"


def inputs(repo):
    guide = repo.text("docs/deploy.md")
    for example in ("minimal", "production"):
        folder = f"terraform/examples/{example}"
        declared = set(re.findall(r'^variable "(\w+)"', repo.text(f"{folder}/variables.tf"), re.M))
        filled = set(re.findall(r"^(?:# )?(\w+)\s*= ", repo.text(f"{folder}/terraform.tfvars.example"), re.M))
        for name in sorted(filled - declared):
            yield f"{folder}/terraform.tfvars.example fills in {name}, which is no variable"
        for name in sorted(declared):
            if f"`{name}`" not in guide:
                yield f"docs/deploy.md does not name `{name}` of {folder}"


CHECKS = (
    names,
    queue_attributes,
    environment,
    ports,
    commands,
    health,
    containers,
    disk,
    routes,
    timeouts,
    prefixes,
    columns,
    permissions,
    metrics,
    runbook,
    inputs,
)


def complaints(root):
    """What differs in the checkout at `root`."""
    repo = Repo(root)
    found = []
    for check in CHECKS:
        try:
            found += check(repo)
        except (Missing, dockerfile.NotUnderstood) as missing:
            found.append(f"{check.__name__}: {missing}")
    return found


def main():
    found = complaints(Path(__file__).resolve().parents[2])
    for complaint in found:
        print(complaint)
    print(f"{len(CHECKS)} comparisons, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
