"""The console's page in a real browser: Debian's chromium under Selenium, on `headwater serve`.

Starts `headwater serve` with events whose values are known, signs in, and holds every view against the API; then what
goes wrong: wrong keys, sessions that end, markup in ids, 64 KB of SQL, a server that is frozen, killed and started
again; and how the page is used: by keyboard, on a phone, with axe-core in light and dark. Nothing may be reported
against the page's policy, and nothing be asked of another host.

    tests/python console.py                               builds the services
    tests/python console.py --binaries target/debug       with services that are built already
    tests/python console.py --only entity killed          only these checks, by their names
    tests/python console.py --soak 20 --rate 120          also leaves the page open for minutes, under this rate
    tests/python console.py --latency 100 --endpoint http://127.0.0.1:4566 [--adaptive]
                                                          from 202 to the page, each service its own process; no checks
    tests/python console.py --pictures docs/pictures      also makes the pictures of docs/quickstart.md

Needs Debian's chromium and chromium-driver; axe-core comes from npm's registry when the test runs.
"""

import argparse
import contextlib
import os
import pathlib
import tempfile
import time

from browser import chrome, latency, looks, modules, trouble, views
from browser.world import KEY, World
from processes import build, say

PORT = 25000


def check(checks, page, world):
    """Runs each check; gives the names of those that failed."""
    failed = []
    for one in checks:
        started = time.monotonic()
        try:
            found = one(page, world)
        except chrome.Failed as error:
            found, name = f"FAILED: {error}", one.__name__
            failed.append(name)
        except Exception as error:
            # Whatever the browser raises: the page is not as the check expects it.
            found, name = f"FAILED: {type(error).__name__}: {str(error)[:600]}", one.__name__
            failed.append(name)
        say(f"{one.__name__}: {found} ({time.monotonic() - started:.1f} s)")
        if one.__name__ in failed:
            with contextlib.suppress(Exception):
                page.driver.get_screenshot_as_file(str(world.folder / f"{one.__name__}.png"))
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    parser.add_argument("--only", nargs="*", help="names of checks")
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for pictures of the page")
    parser.add_argument("--soak", type=float, help="minutes that the page is left open while its heap is watched")
    parser.add_argument("--rate", type=int, default=20, help="simulated events a second")
    parser.add_argument("--latency", type=int, help="number of values that are timed from their 202 to the page")
    parser.add_argument("--endpoint", default="http://127.0.0.1:4566", help="where SQS and S3 are, for --latency")
    parser.add_argument("--adaptive", action="store_true", help="BATCH_ADAPTIVE, for --latency")
    parser.add_argument("--port", type=int, default=PORT, help="first of six ports")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for logs, data, and screenshots of what failed")
    arguments = parser.parse_args()
    if packages := chrome.missing():
        raise SystemExit(f"console failed: install Debian's {' and '.join(packages)}")

    with contextlib.ExitStack() as stack:
        binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
        if arguments.keep:
            folder = arguments.keep.resolve()
            folder.mkdir(parents=True)
        else:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-console-")))
        env = {variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")}
        if arguments.latency:
            waits = latency.measure(
                binaries, folder, env, arguments.port, arguments.endpoint, arguments.adaptive, arguments.latency
            )
            say(f"from 202 to the page: {latency.report(waits)}")
            return
        world = World(binaries, folder, arguments.port, arguments.rate, env)
        stack.callback(world.services.stop_all)
        world.start()
        if not world.has_console():
            raise SystemExit("console failed: this headwater has no console")
        world.feed()
        page = chrome.Browser(world.url, KEY)
        stack.callback(page.close)
        order = [*trouble.BEFORE, *modules.ALL, *views.ALL, *looks.ALL, *trouble.AFTER]
        chosen = [one for one in order if not arguments.only or one.__name__ in arguments.only]
        if arguments.only and trouble.sign_in not in chosen:
            page.go("now")
            page.sign_in()
        failed = check(chosen, page, world)
        if arguments.soak:
            chosen.append(soak := lambda page, world: trouble.soak(page, world, arguments.soak))
            soak.__name__ = "soak"
            failed += check([soak], page, world)
        if arguments.pictures:
            say(f"pictures: {looks.pictures(page, arguments.pictures)}")
        try:
            say(f"policy: no report, and {page.check_policy()} requests, all to our own port")
        except chrome.Failed as error:
            say(f"policy: FAILED: {error}")
            failed.append("policy")
        world.is_feeding = False
    print(
        f"console: {len(chosen) + 1 - len(failed)} of {len(chosen) + 1} checks hold{''.join(f'; failed: {name}' for name in failed)}"
    )
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
