"""The programs of Debian's packages `prometheus` and `prometheus-alertmanager`, and ours beside them."""

import shutil
import subprocess

# Each program and the package that brings it.
PACKAGES = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
}


def missing():
    """The packages that have to be installed."""
    return sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})


def said(command, env=None):
    """Whether a command was content, what it printed, and what it complained about."""
    done = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, timeout=60)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0, done.stdout, done.stderr


def output(command, env=None):
    """Whether a command was content, and all that it said."""
    content, printed, complaints = said(command, env)
    return content, printed + complaints


class Both:
    """The verdicts of promtool and of `alerts` on one file."""

    def __init__(self, alerts, folder):
        self.alerts, self.folder = alerts, folder

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def check(self, path):
        """Theirs and ours on a rule file: whether it is taken, and what is said."""
        return output(["promtool", "check", "rules", path]), output([self.alerts, "check", path])

    def test(self, path):
        """Theirs and ours on a test file: whether all holds, and what is said."""
        return output(["promtool", "test", "rules", path]), output([self.alerts, "test", path])


def in_words(theirs, ours):
    """Two outputs beside each other, for a message."""
    return "".join(
        f"\n    {who}: " + "\n      ".join(text.strip().splitlines()[:12])
        for who, text in (("theirs", theirs), ("ours", ours))
    )
