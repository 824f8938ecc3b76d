"""What check_terraform.py passes and what it must not: this checkout, and copies of it spoilt in one place each.

tests/python -m unittest discover -s tests/checks
"""

import contextlib
import io
import shutil
import tempfile
import unittest
from pathlib import Path

import check_terraform

ROOT = Path(__file__).resolve().parents[2]

# All that is compared; a copy of it is small.
PARTS = (
    "Dockerfile",
    "crates/aggregator/src",
    "crates/alerts/src",
    "crates/aws/src",
    "crates/batch-consumer/src",
    "crates/console/src",
    "crates/contract/kinds",
    "crates/contract/src",
    "crates/ingest/src",
    "crates/lake/src",
    "crates/query/src",
    "crates/service/src",
    "crates/sender/src",
    "crates/sql/src",
    "docs/deploy.md",
    "docs/operations.md",
    "docs/runbook.md",
    "localstack/compose.yaml",
    "localstack/init",
    "terraform",
)

# What is spoilt, where, how, and what the complaint must say.
SPOILT = (
    (
        "a queue's name in compose",
        "localstack/compose.yaml",
        "QUEUE_NAME:-headwater-events}",
        "QUEUE_NAME:-events}",
        "names for QUEUE_NAME",
    ),
    (
        "a queue's name in terraform",
        "terraform/main.tf",
        '"${var.name}-events-dlq"',
        '"${var.name}-dlq"',
        "names for DLQ_NAME",
    ),
    (
        "a bucket's name in the example",
        "terraform/examples/localstack/variables.tf",
        '"headwater-lake"',
        '"lake"',
        "names for LAKE_BUCKET",
    ),
    ("the receive count", "terraform/modules/queue/variables.tf", "= 5\n", "= 4\n", "receive counts differ"),
    ("the retention", "localstack/init/ready.d/create.py", "14 * DAY", "13 * DAY", "retentions differ"),
    (
        "a setting that there is not",
        "terraform/settings.tf",
        "METRICS_LISTEN =",
        "METRICS_ADDRESS =",
        "METRICS_ADDRESS, which it does not know",
    ),
    (
        "a setting renamed in code",
        "crates/aws/src",
        "pub lake_bucket",
        "pub bucket",
        "LAKE_BUCKET, which it does not know",
    ),
    (
        "a setting that callers could override",
        "terraform/variables.tf",
        '"LISTEN", ',
        "",
        "lets `ingest.settings` have LISTEN",
    ),
    (
        "queues made by a service",
        "terraform/settings.tf",
        'CREATE     = "false"',
        'CREATE     = "true"',
        "does not set CREATE to false",
    ),
    (
        "ingest's port in terraform",
        "terraform/settings.tf",
        "ingest         = 3000",
        "ingest         = 3001",
        "ports of ingest differ",
    ),
    ("the consumer's port in its image", "Dockerfile", "EXPOSE 9101", "EXPOSE 9100", "ports of batch-consumer differ"),
    (
        "a program's path",
        "Dockerfile",
        '["/usr/local/bin/ingest"]',
        '["/ingest"]',
        "terraform/main.tf does not ask `/ingest health --live`",
    ),
    (
        "a health check of an image",
        "Dockerfile",
        'CMD ["/usr/local/bin/batch-consumer", "health"]',
        'CMD ["/usr/local/bin/ingest", "health"]',
        "whether batch-consumer is ready",
    ),
    (
        "a health check that needs a shell",
        "Dockerfile",
        'CMD ["/usr/local/bin/ingest", "health"]',
        "CMD /usr/local/bin/ingest health",
        "no shell could run",
    ),
    (
        "a health check of a program that ends",
        "Dockerfile",
        'HEALTHCHECK NONE\nENTRYPOINT ["/usr/local/bin/aggregator"]',
        'HEALTHCHECK CMD ["/usr/local/bin/aggregator", "health"]\nENTRYPOINT ["/usr/local/bin/aggregator"]',
        "whether aggregator is ready",
    ),
    (
        "a health check cut short",
        "Dockerfile",
        "--timeout=6s",
        "--timeout=5s",
        "Dockerfile (ingest): the health check is ended after 5 s",
    ),
    (
        "a health check cut short in compose",
        "localstack/compose.yaml",
        "timeout: 6s",
        "timeout: 4s",
        "compose.yaml: the health check is ended after 4 s",
    ),
    (
        "a health check cut short in ECS",
        "terraform/modules/task/main.tf",
        "timeout     = 6",
        "timeout     = 2",
        "the health check is ended after 2 s",
    ),
    (
        "a health check that is asked at other times",
        "terraform/modules/task/main.tf",
        "interval    = 15",
        "interval    = 30",
        "health checks' interval differ",
    ),
    (
        "the command of an aggregator that is asked",
        "localstack/compose.yaml",
        "command: [watch]",
        "command: [once]",
        "does not run `watch`",
    ),
    ("the user of the images", "Dockerfile", "USER 65532:65532", "USER 0:0", "users of the images differ"),
    (
        "a user of its own",
        "Dockerfile",
        "ENV LISTEN=0.0.0.0:3000\n",
        "ENV LISTEN=0.0.0.0:3000\nUSER 0:0\n",
        "ingest has another user",
    ),
    (
        "a file system to write to",
        "terraform/modules/task/main.tf",
        "readonlyRootFilesystem = true",
        "readonlyRootFilesystem = false",
        "lets the services write",
    ),
    (
        "a port that its image does not listen on",
        "Dockerfile",
        "METRICS_LISTEN=0.0.0.0:9101",
        "METRICS_LISTEN=0.0.0.0:9100",
        "ports of batch-consumer differ",
    ),
    (
        "an instruction that is not known",
        "Dockerfile",
        "EXPOSE 3000\n",
        "EXPOSE 3000\nSTOPSIGNAL 9\n",
        "STOPSIGNAL 9",
    ),
    (
        "the folder that is spilt to",
        "terraform/settings.tf",
        'spill_dir = "/var/spill"',
        'spill_dir = "/spill"',
        "folders to spill to differ",
    ),
    (
        "the owner of the folder that is spilt to",
        "Dockerfile",
        "--chown=65532:65532 /src/out/spill",
        "/src/out/spill",
        "does not belong to 65532:65532",
    ),
    (
        "a disk that is smaller than the limit",
        "terraform/variables.tf",
        "optional(number, 16)",
        "optional(number, 15)",
        "limits of the disk differ",
    ),
    (
        "a task without the disk",
        "terraform/main.tf",
        "  disk_gib           = local.aggregator_disk_gib\n",
        "",
        "aggregator_task has nothing like `disk_gib",
    ),
    (
        "the health command of an aggregator that watches",
        "terraform/main.tf",
        '["/usr/local/bin/aggregator", "health", "--live"]',
        '["/usr/local/bin/aggregator", "health"]',
        "does not ask `/usr/local/bin/aggregator health --live`",
    ),
    (
        "the column of what has no column",
        "terraform/modules/catalog/kinds.tf",
        'name = "_more"',
        'name = "_rest"',
        "curated tables have",
    ),
    (
        "the schedule's command",
        "terraform/main.tf",
        '["once"]',
        '["run"]',
        "`aggregator run`, which there is not",
    ),
    (
        "a path for us alone",
        "terraform/modules/front/variables.tf",
        '"/health", ',
        '"/health", "/metrics", ',
        "lets /metrics through",
    ),
    ("a path that is not served", "terraform/modules/front/variables.tf", '"/v1/*"', '"/v2/*"', "lets /v2/* through"),
    ("the health check's path", "terraform/modules/front/main.tf", '"/livez"', '"/ready"', "asks for /ready,"),
    (
        "the health check's port",
        "terraform/modules/front/main.tf",
        "= var.admin_port",
        "= var.port",
        "asks var.port for ingest's health",
    ),
    ("ingest's admin port", "localstack/compose.yaml", "0.0.0.0:9100", "0.0.0.0:9109", "admin ports of ingest differ"),
    (
        "the idle timeout",
        "terraform/modules/front/main.tf",
        "idle_timeout = 25",
        "idle_timeout = 60",
        "idle_timeout (60 s)",
    ),
    (
        "the grace of a stop",
        "terraform/modules/task/variables.tf",
        "default     = 30\n",
        "default     = 20\n",
        "within its SHUTDOWN_GRACE",
    ),
    ("a prefix in a role", "terraform/policies.tf", '"_schema"', '"_schemas"', "aggregator reaches"),
    ("a prefix in code", "crates/contract/src", '= "curated/"', '= "clean/"', "the code uses"),
    (
        "a lifecycle of commits",
        "terraform/modules/lake/main.tf",
        'prefix = "curated/"',
        'prefix = "_commits/"',
        "rules for",
    ),
    (
        "digits of a partition",
        "terraform/modules/catalog/main.tf",
        '"projection.day.digits"         = "2"',
        '"projection.day.digits"         = "1"',
        "day is projected as `1`",
    ),
    (
        "a table's folder",
        "terraform/modules/catalog/main.tf",
        "curated/kind=${each.key}/${local.hours}",
        "curated/${each.key}/${local.hours}",
        "not the prefixes",
    ),
    (
        "a folder of alerts in its role",
        "terraform/policies.tf",
        "/_alerts/log/*",
        "/_alert/log/*",
        "alerts reaches",
    ),
    (
        "a route of the console that is sent to nobody",
        "terraform/modules/front/variables.tf",
        '"/v1/live", ',
        "",
        "does not send /v1/live to query",
    ),
    (
        "a path of alerts that is sent elsewhere",
        "terraform/modules/front/variables.tf",
        '"/api/v1/*", "/api/v2/*"',
        '"/api/v2/*"',
        "does not send /api/v1/alerts to alerts",
    ),
    (
        "a path that alerts does not serve",
        "terraform/modules/front/variables.tf",
        '"/api/v1/*", "/api/v2/*"',
        '"/api/v1/*", "/api/v2/*", "/api/v3/*"',
        "sends /api/v3/* to alerts",
    ),
    (
        "a key of alerts that callers could override",
        "terraform/variables.tf",
        '"LISTEN", "METRICS_LISTEN", "READ_KEYS", "KEYS_TEXT", "RULES"',
        '"LISTEN", "METRICS_LISTEN", "RULES"',
        "lets `alerts.settings` have READ_KEYS",
    ),
    (
        "a column's type",
        "terraform/modules/catalog/kinds.tf",
        '"gear", type = "integer"',
        '"gear", type = "number"',
        "gear of vehicle",
    ),
    (
        "a signal declared since",
        "crates/contract/kinds/cell.toml",
        "[signals.known]\n",
        '[signals.known]\nnew_pct = { type = "number" }\n',
        "new_pct of cell",
    ),
    (
        "a signal derived since",
        "crates/contract/kinds/chat.toml",
        "[signals.derived]\n",
        '[signals.derived]\nlong_cheer = "bits > 1000"\n',
        "long_cheer of chat is None, chat.toml says ('boolean', None)",
    ),
    (
        "a column of the aggregates",
        "crates/lake/src",
        '"p95", "p99"];',
        '"p95", "p99", "p999"];',
        "table of aggregates",
    ),
    (
        "a type of signals",
        "terraform/modules/catalog/kinds.tf",
        '{ integer = "double" }',
        '{ integer = "bigint" }',
        "signal_types",
    ),
    (
        "a permission too many",
        "terraform/policies.tf",
        'actions   = ["s3:PutObject"]',
        'actions   = ["s3:PutObject", "s3:PutObjectAcl"]',
        "allows s3:PutObjectAcl",
    ),
    (
        "all permissions",
        "terraform/policies.tf",
        'actions   = ["s3:ListBucket"]',
        'actions   = ["s3:*"]',
        "allows s3:*",
    ),
    (
        "an operation that no role may call",
        "crates/aws/src",
        '"s3:HeadObject"',
        '"s3:GetObjectTagging"',
        "needs s3:GetObjectTagging, which terraform/policies.tf allows nobody",
    ),
    (
        "another's policy",
        "terraform/main.tf",
        "aws_iam_policy_document.ingest.json",
        "aws_iam_policy_document.batch_consumer.json",
        "gives ingest the policy of batch_consumer",
    ),
    (
        "a metric that is not listed",
        "terraform/modules/alarms/main.tf",
        '"DeadLetters"',
        '"DeadLetterCount"',
        "does not list DeadLetterCount",
    ),
    (
        "a metric that no service exports",
        "crates/batch-consumer/src",
        '"DeadLetters"',
        '"Letters"',
        "DeadLetters is not exported and listed",
    ),
    (
        "an alarm that the runbook does not name",
        "terraform/modules/alarms/main.tf",
        "    queue-latency = {",
        "    queue-delay = {",
        "no heading for the alarm queue-delay",
    ),
    (
        "an alarm beside the list that the runbook does not name",
        "docs/runbook.md",
        "### server-errors",
        "### 5xx",
        "no heading for the alarm server-errors",
    ),
    (
        "a budget that the runbook does not name",
        "terraform/modules/alarms/main.tf",
        '"${var.name}-monthly"',
        '"${var.name}-yearly"',
        "no heading for the alarm yearly",
    ),
    (
        "an alarm that is gone and the runbook still has",
        "docs/runbook.md",
        "### dead-letters\n",
        "### dead-letters\n\n### dead-letter-age\n",
        "dead-letter-age among the alarms",
    ),
    (
        "alarms that are not where the check looks",
        "docs/runbook.md",
        "## Alarms",
        "## Warnings",
        "runbook: docs/runbook.md",
    ),
    (
        "a description that does not say where the runbook is",
        "terraform/modules/alarms/main.tf",
        " ${var.alarms.runbook}#${each.key}",
        "",
        "the description of ${each.key}",
    ),
    (
        "an input that the guide does not name",
        "terraform/examples/minimal/variables.tf",
        'variable "region"',
        'variable "place"',
        "does not name `place`",
    ),
    (
        "a line of code that is not where the check looks",
    "crates/service/src",
        "const PATIENCE: Duration = Duration::from_secs(5)",
        "const PATIENCE: Duration = within(5)",
        "crates/service/src: no line is like `const PATIENCE: Duration = Duration::from_secs(…)`",
    ),
    (
        "a file that is gone",
        "localstack/init/ready.d/create.py",
        None,
        None,
        "cannot read localstack/init/ready.d/create.py",
    ),
)


def copy_to(folder):
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


class CheckTerraform(unittest.TestCase):
    def test_this_checkout_has_no_differences(self):
        self.assertEqual(check_terraform.complaints(ROOT), [])

    def test_a_copy_has_all_that_is_compared(self):
        with tempfile.TemporaryDirectory() as folder:
            copy_to(Path(folder))
            self.assertEqual(check_terraform.complaints(folder), [])

    def spoil(self, place, old, new):
        """Replaces the first `old` in a file, or in the Rust files of a folder."""
        files = sorted(place.rglob("*.rs")) if place.is_dir() else [place]
        holding = [file for file in files if old in file.read_text()]
        self.assertTrue(holding, f"{old} is not in {place}")
        holding[0].write_text(holding[0].read_text().replace(old, new, 1))

    def test_what_is_spoilt_is_found(self):
        for what, path, old, new, said in SPOILT:
            with self.subTest(what), tempfile.TemporaryDirectory() as folder:
                copy_to(Path(folder))
                file = Path(folder) / path
                if old is None:
                    file.unlink()
                else:
                    self.spoil(file, old, new)
                found = check_terraform.complaints(folder)
                self.assertTrue(any(said in complaint for complaint in found), found)

    def test_the_script_says_what_it_compared(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(check_terraform.main(), 0)
        self.assertIn("0 differences", output.getvalue())


if __name__ == "__main__":
    unittest.main()
