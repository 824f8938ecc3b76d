"""The first minutes of a newcomer: what `headwater demo` and `headwater serve` print works as it is printed.

    tests/python newcomer.py                               builds the services
    tests/python newcomer.py --binaries target/debug       with services that are built already
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shlex
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import urllib.request

import duckdb

from processes import ROOT, STOP, Services, build, require, say, wait_until

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


class Terminal:
    """A program on a terminal of 40 lines and 100 columns, and what it writes there."""

    def __init__(self, command, env):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        env = env | {"TERM": "xterm-256color"}
        self.process = subprocess.Popen(list(map(str, command)), env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.ours, self.bytes = ours, b""
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()

    def read(self):
        # Reading fails once nobody holds the other end.
        with contextlib.suppress(OSError):
            while data := os.read(self.ours, 65536):
                self.bytes += data

    def text(self):
        """What was written, without what moves the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.bytes.decode(errors="replace"))

    def lines(self):
        """The lines as they stand in the end: of what is written over in place, the last text."""
        return [line.rstrip("\r").rsplit("\r", 1)[-1] for line in self.text().split("\n")]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=STOP)
        self.reading.join(10)
        require(code == 0, f"on Ctrl-C it ends with {code}:\n{self.text()[-2000:]}")


def terminal(services, folder):
    """On a terminal one line is written over in place; the log is there for those who ask for it."""
    data = folder / "terminal"
    command = [services.binaries / "headwater", "serve", *addresses(), "--data", data, "--interval", "2s"]
    shown = Terminal(command, services.env)
    try:
        counts = r"events: ([\d,]+) accepted, [\d,]+ landed, [\d,]*[1-9][\d,]* committed \d+ s ago"
        wait_until("the line counts what is committed", lambda: re.search(counts, shown.text()))
        require("INFO" not in shown.text(), "no log line of what is well")
        metric = json.dumps({"name": "cpu_usage", "value": 85}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{PORT}/metrics", metric, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()
        alert = "[ALERT] cpu_usage avg(60s) > 80.0 (current: 85.0)"
        wait_until("an alert stands on a line of its own", lambda: alert in shown.lines(), 120)
        say(f"terminal: {[line for line in shown.lines() if line.strip()][-1]}")
        lines = shown.lines()
        # The last line that is printed at the start, with SQL and without.
        banner = max(at for at, line in enumerate(lines) if "chat_summary_minute" in line or "--features sql" in line)
        below = [line for line in lines[banner + 1 :] if line.strip() and line != alert]
        require(len(below) <= 1, f"nothing else stands below what is printed at the start: {below}")
        require(ask(line_for_duckdb(shown.text())).get("vehicle", 0) > 0, "the line for DuckDB fits a terminal too")
    finally:
        if shown.process.poll() is None:
            shown.stop()
    require("stopped; `headwater serve` goes on" in shown.text(), "it says that it has stopped")
    for variable, value in (("RUST_LOG", "info"), ("LOG_FORMAT", "logfmt")):
        asked = Terminal(command, services.env | {variable: value})
        wait_until(f"with {variable}={value} there are log lines", lambda log=asked: "INFO time=" in log.text())
        asked.stop()
        require(" accepted, " not in asked.text(), "and no other line is written over them")


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
        terminal(services, folder)
    print(f"newcomer: all holds, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
