"""The first minutes of a newcomer: what `headwater demo` and `headwater serve` print works as it is printed.

    tests/python newcomer.py                               builds the services
    tests/python newcomer.py --binaries target/debug       with services that are built already
"""

import argparse
import contextlib
import os
import pathlib
import shlex
import tempfile
import time

import duckdb

from processes import ROOT, Services, build, require, say, wait_until

PORT = 26000
PAGE = ROOT / "docs/readers.md"


def line_for_duckdb(printed):
    """The line for DuckDB among what was printed."""
    lines = [line.strip() for line in printed.splitlines() if line.strip().startswith("duckdb -c ")]
    require(len(lines) == 1, f"one line for DuckDB is printed, not {len(lines)}")
    return lines[0]


def on_the_page():
    """The lines for DuckDB of docs/readers.md: of curated/, and of raw/."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("duckdb -c ")]
    require(len(lines) == 2, f"the page has two lines for DuckDB's shell, not {len(lines)}")
    return lines


def ask(line):
    """Kinds and their events, as the line for a shell has it."""
    words = shlex.split(line)
    require(words[:2] == ["duckdb", "-c"] and len(words) == 3, f"a shell reads the line as one call of duckdb: {words}")
    return {kind: events for kind, events, _ in duckdb.sql(words[2]).fetchall()}


def demo(services, folder):
    printed = services.run("headwater", "demo", "--data", folder / "it's a demo", "--count", 2000, "--streams", 2)
    kinds = ask(line_for_duckdb(printed))
    require({"vehicle", "cell", "chat"} <= set(kinds), f"the demo's line finds its kinds: {kinds}")
    say(f"demo: {kinds}")


def serve(services, folder):
    """Without a terminal: the line works once there is a file, and at once where there are files already."""
    arguments = ["serve", *addresses(), "--data", folder / "serve", "--interval", "2s"]
    for start in (1, 2):
        services.start("headwater", *map(str, arguments), ready=f"http://127.0.0.1:{PORT}/health")
        line = line_for_duckdb(services.log("headwater"))
        if start == 1:
            curated = folder / "serve/headwater-lake/curated"
            wait_until("there is a first file", lambda: any(curated.rglob("*.parquet")))
        kinds = ask(line)
        require(kinds.get("vehicle", 0) > 0, f"the line finds events: {kinds}")
        say(f"serve: {kinds}")
        for line in on_the_page():
            line = line.replace("/…/data/serve", str(folder / "serve"))
            found = duckdb.sql(shlex.split(line)[2]).fetchall()
            require("vehicle" in {row[0] for row in found}, f"the page's line finds events: {line}: {found}")
        services.stop("headwater")
        log = services.log("headwater")
        require("INFO time=" in log and "\x1b" not in log, "without a terminal there are log lines, and no colours")
        (folder / "headwater.log").unlink()


def addresses():
    flags = ("--listen", "--aws-listen", "--metrics-listen")
    return [text for n, flag in enumerate(flags) for text in (flag, f"127.0.0.1:{PORT + n}")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of services that are built already")
    arguments = parser.parse_args()
    binaries = arguments.binaries.resolve() if arguments.binaries else build(release=False)
    started = time.monotonic()
    env = {variable: value for variable, value in os.environ.items() if variable != "RUST_LOG"}
    env["PG_LISTEN"] = f"127.0.0.1:{PORT + 3}"
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-newcomer-")))
        services = Services(binaries, folder, env)
        stack.callback(services.stop_all)
        demo(services, folder)
        serve(services, folder)
    print(f"newcomer: all holds, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
