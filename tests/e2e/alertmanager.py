"""`alerts` beside the real ones: Debian's promtool, Alertmanager and amtool.

Rule files and test files go through promtool and through ours, and the verdicts are the same, but for what
docs/alerts.md says otherwise. Then the pipeline runs on our local-aws, each service a process of its own, and an
Alertmanager with the same routes: some loads rise and fall, and what both tell a webhook is held field by field. amtool
asks our API, and the Alertmanager what it has taken in from ours. It prints what differs and exits 1 on anything.

    tests/python alertmanager.py                                starts local-aws
    tests/python alertmanager.py --binaries target/debug        with services that are built already
    tests/python alertmanager.py --files                        rule files and test files alone
    tests/python alertmanager.py --seeds 1000 --seed 5 --files  so many made-up tests, from that seed on

The programs come with Debian's prometheus and prometheus-alertmanager. Where they are not installed, nothing is checked
and it says so; with --need that is a failure.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import tempfile

from processes import Services, build, say
from prometheus import amtool, differs, made_up, notifications, programs, rule_files, test_files
from prometheus.hook import Hook

KEY = "alertmanager-test-key"
INGEST = "127.0.0.1:25000"
INGEST_ADMIN = "127.0.0.1:25001"
CONSUMER = "127.0.0.1:25101"
ALERTS = "127.0.0.1:25003"
ALERTS_ADMIN = "127.0.0.1:25104"
ALERTMANAGER = "127.0.0.1:25093"
HOOK = 25080
LOCAL_AWS = "127.0.0.1:25567"

# Where people see alerts, for links: the same of both.
HERE = "http://here"


def check_files(binaries, folder, seeds):
    """Rule files and test files; gives what differs, in words."""
    both = programs.Both(binaries / "alerts", folder)
    wrong = []
    for what, check in [
        ("rule files", rule_files.check),
        ("test files", test_files.check),
        ("made-up tests", lambda both: made_up.check(both, seeds)),
        ("known differences", differs.check),
    ]:
        count, found = check(both)
        say(f"{what}: {count} through both, {len(found)} differ")
        wrong += found
    return wrong


def start(services, alertmanager, hook):
    """The pipeline, `alerts`, and an Alertmanager with the same routes."""
    services.start("local-aws", "--listen", LOCAL_AWS, ready=f"http://{LOCAL_AWS}/_local/health")
    services.env["METRICS_LISTEN"] = CONSUMER
    services.start("batch-consumer", ready=f"http://{CONSUMER}/readyz")
    services.env |= {"LISTEN": INGEST, "METRICS_LISTEN": INGEST_ADMIN}
    services.start("ingest", ready=f"http://{INGEST_ADMIN}/readyz")
    (alertmanager.folder / "alertmanager.yml").write_text(notifications.theirs(hook.url))
    alertmanager.start(
        "prometheus-alertmanager", f"--config.file={alertmanager.folder}/alertmanager.yml",
        f"--storage.path={alertmanager.folder}/alertmanager", f"--web.listen-address={ALERTMANAGER}",
        f"--web.external-url={HERE}", "--web.route-prefix=/", "--cluster.listen-address=",
        ready=f"http://{ALERTMANAGER}/-/ready",
    )  # fmt: skip
    rules = services.folder / "rules"
    rules.mkdir()
    (rules / "load.yml").write_text(notifications.RULES)
    (rules / "notify.yml").write_text(notifications.ours(hook.url, f"http://{ALERTMANAGER}"))
    services.env |= {"LISTEN": ALERTS, "METRICS_LISTEN": ALERTS_ADMIN, "RULES": str(rules), "EXTERNAL_URL": HERE}
    services.env |= {"WATERMARK_DELAY": "1s"}
    services.start("alerts", ready=f"http://{ALERTS_ADMIN}/readyz")


def check_service(services, alertmanager, stack):
    """Webhooks, amtool at ours, and what the Alertmanager has taken in; gives what differs, in words."""
    hook = Hook(HOOK)
    stack.callback(hook.stop)
    start(services, alertmanager, hook)
    feeder = notifications.Feeder(f"http://{INGEST}", KEY)
    stack.callback(feeder.stop)
    at_ours = amtool.with_key(f"http://{ALERTS}", services.folder, KEY)
    at_theirs = amtool.Amtool(f"http://{ALERTMANAGER}", services.folder)

    def meanwhile():
        wrong = amtool.alerts(at_ours) + amtool.silences(at_ours) + amtool.imported(at_ours, services.folder)
        wrong += amtool.refused(at_ours) + amtool.configuration(at_ours, services.folder, notifications.theirs(hook.url))
        wrong += amtool.taken_in(at_theirs, {amtool.HOT_1, amtool.HOT_2})
        say(f"amtool: {len(wrong)} differ")
        return wrong

    wrong = notifications.run(hook, feeder, meanwhile)
    wrong += amtool.taken_in(at_theirs, set())
    say(f"webhooks: {len(hook.taken)} messages")
    return wrong + differs.check_edge(services, INGEST, KEY)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    parser.add_argument("--need", action="store_true", help="fail where the programs of Prometheus are not installed")
    parser.add_argument("--files", action="store_true", help="check rule files and test files alone")
    parser.add_argument("--seeds", type=int, default=40, help="how many tests are made up")
    parser.add_argument("--seed", type=int, default=1, help="the first seed of made-up tests")
    arguments = parser.parse_args()
    if missing := programs.missing():
        say(f"alertmanager: left out, not installed: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
        raise SystemExit(1 if arguments.need else 0)

    with contextlib.ExitStack() as stack:
        binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-alertmanager-")))
        wrong = check_files(binaries, folder, range(arguments.seed, arguments.seed + arguments.seeds))
        if not arguments.files:
            name = f"alertmanager-{os.getpid()}"
            env = {variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")} | {
                "AWS_ENDPOINT_URL": f"http://{LOCAL_AWS}", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "LAKE_BUCKET": name,
                "QUEUE_NAME": name, "DLQ_NAME": f"{name}-dlq", "API_KEYS": KEY, "READ_KEYS": KEY, "POLL_WAIT": "1s",
            }  # fmt: skip
            services = Services(binaries, folder, env)
            stack.callback(services.stop_all)
            theirs = pathlib.Path(shutil.which("prometheus-alertmanager")).parent
            alertmanager = Services(theirs, folder, os.environ.copy())
            stack.callback(alertmanager.stop_all)
            wrong += check_service(services, alertmanager, stack)
    for what in wrong:
        print(f"DIFFERS {what}")
    print(f"alertmanager: {len(wrong)} differences")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
