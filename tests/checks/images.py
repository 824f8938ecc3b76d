"""Performs the steps of the Dockerfile in a plain folder, where no Docker is, and tries what comes of them.

    tests/python images.py                          build as the images are built (some 15 minutes on 2 cores), then try
    tests/python images.py --programs target/debug  the same but for the build, with programs that there are already

Read is the Dockerfile itself. What .dockerignore lets through goes to an empty folder, RUN runs there as it stands, and
COPY fills one folder for each image, which gets the libraries of the base and nothing else. With that folder as its
root (where root runs this; else without), and under its image's user, who may write nowhere there, each program says
its version. Each health check fails while nothing listens. Then local-aws, ingest, batch-consumer and `aggregator
watch` run from their images until each health check succeeds, and stop when they are told to. Sizes are printed, and
held against the bar, where the programs were built for the images.
"""

import argparse
import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import recipe

ROOT = Path(__file__).resolve().parents[2]

BAR = 40_000_000

# No service: it judges a pipeline, and has the clients of all of it in one program.
ABOVE = ("judge",)

# What gcr.io/distroless/base-nossl-debian13:nonroot holds, in bytes, and gzipped as it travels: the sum of its packages
# base-files, netbase, tzdata, media-types, ca-certificates and libc6 for amd64 (distroless' static/static.bzl and
# base/config.bzl; Debian 13 as of 2026-11-21), whose data were measured as `dpkg-deb --fsys-tarfile` gives them.
BASE, BASE_GZIPPED = 14_510_000, 5_640_000

# The libraries of package libc6, which is all the base has.
BASE_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2")

# And its CA certificates, without which the AWS SDK does not start, where the base's environment says.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BASE_ENVIRONMENT = {"SSL_CERT_FILE": CERTIFICATES}

# How long a service may take to be ready.
PATIENCE = 120

# What the checks of the services need of each other, besides free ports.
AWS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Failed(Exception):
    """A step that did not come out as it does in Docker."""


def say(line):
    print(line, flush=True)


class Builder:
    """Follows the stages, each in a folder that stands for its root."""

    def __init__(self, source, work, stages, programs=None, cache=None):
        self.source, self.work, self.stages, self.programs, self.cache = source, work, stages, programs, cache
        self.context = recipe.context(source)
        self.roots = {}

    def root(self, name):
        """The folder of a stage, with the stages that it is built on."""
        if name not in self.roots:
            self.roots[name] = self._follow(self.stages[name])
        return self.roots[name]

    def _follow(self, stage):
        root = self.work / stage.name
        if stage.base in self.stages:
            shutil.copytree(self.root(stage.base), root, symlinks=True)
        else:
            root.mkdir()
        folder = root
        for step in stage.steps:
            if step.instruction == "WORKDIR":
                folder = within(root, step.rest)
                folder.mkdir(parents=True, exist_ok=True)
            elif step.instruction == "COPY":
                self._copy(step, root, folder)
            elif step.instruction == "RUN":
                self._run(step, root, folder)
        return root

    def _copy(self, step, root, folder):
        *sources, target = step.words()
        into = within(root, target) if target.startswith("/") else folder / target
        stage = step.flags.get("from", [None])[0]
        files = []
        for source in sources:
            if stage:
                files.append((within(self.root(stage), source), Path(source).name))
            elif source == ".":
                files += [(self.source / path, path) for path in self.context]
            elif source in self.context:
                files.append((self.source / source, Path(source).name))
            else:
                raise Failed(f"COPY {step.rest}: .dockerignore does not let {source} through")
        for file, name in files:
            if not file.is_file():
                raise Failed(f"COPY {step.rest}: there is no {name}")
            place = into / name if target.endswith(("/", ".")) else into
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)

    def _run(self, step, root, folder):
        for mount in step.flags.get("mount", []):
            if "type=cache" not in mount.split(","):
                raise Failed(f"RUN --mount={mount}: only caches are known here")
        if self.programs:
            self._take_programs(step.rest, folder)
            return
        if self.cache:
            self.cache.mkdir(parents=True, exist_ok=True)
            (folder / "target").symlink_to(self.cache.resolve())
        say(f"$ {step.rest}")
        # The folder's own target, as in the image, whatever the caller's shell says.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CARGO_TARGET", "CARGO_BUILD"))
        }
        done = subprocess.run(["sh", "-c", step.rest], cwd=folder, env=environment)
        if done.returncode:
            raise Failed(f"RUN ended with {done.returncode}")

    def _take_programs(self, command, folder):
        """Does what RUN does without its build: the programs come from where they are built already."""
        built = re.search(r"cargo build .*?--profile (\S+) .*?&& ", command)
        if not built:
            raise Failed("RUN has no `cargo build --profile …` before its other commands")
        place = folder / "target" / built.group(1)
        place.parent.mkdir()
        place.symlink_to(self.programs.resolve())
        done = subprocess.run(["sh", "-c", command[built.end() :]], cwd=folder)
        if done.returncode:
            raise Failed(f"RUN without its build ended with {done.returncode}")


def within(root, path):
    """An absolute path of a stage, in its folder."""
    return root / path.lstrip("/")


def needed(program):
    """The shared libraries that a program names, and the loader among them."""
    done = subprocess.run(
        ["readelf", "--dynamic", "--program-headers", program], capture_output=True, text=True, check=True
    )
    loader = re.findall(r"program interpreter: (\S+)\]", done.stdout)
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]", done.stdout), loader


def add_base(root, program):
    """Puts the base's libraries and certificates into an image's folder, and gives the libraries that the program needs:
    no others may be."""
    libraries, loader = needed(program)
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    places = dict(re.findall(r"^\s+(\S+) \(libc6(?:,[^)]*)?\) => (\S+)$", known, re.M))
    own = {path.name for path in within(root, "/usr/lib").glob("*.so*")}
    for library in libraries:
        if library not in own and library not in BASE_LIBRARIES and library not in {Path(path).name for path in loader}:
            raise Failed(f"{program.name} needs {library}, which neither the base has nor the image")
    if not Path(CERTIFICATES).exists():
        raise Failed(f"there is no {CERTIFICATES}, as the base has (Debian: apt-get install ca-certificates)")
    for path in [*loader, CERTIFICATES, *(places[name] for name in BASE_LIBRARIES if name in places)]:
        place = within(root, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(path).resolve(), place)
    return libraries


def enter(root, user):
    """What a process does before it becomes a program in an image's folder; nothing where we are not root."""
    if os.geteuid():
        return None
    uid, gid = (int(part) for part in user.split(":"))

    def change():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)

    return change


class Image:
    """An image's folder, and how its program is run in it."""

    def __init__(self, stage, stages, root):
        self.name, self.root, self.stage = stage.name, root, stage
        self.user = next((step.rest for step in runtime_steps(stage, stages) if step.instruction == "USER"), None)
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", self.user or ""):
            raise Failed(
                f"{self.name} runs as {self.user or 'whoever its base says'}, not as a user and group by number"
            )
        self.entry = stage.last("ENTRYPOINT").words()
        self.health = recipe.health(stage)
        self.environment = BASE_ENVIRONMENT | dict(
            step.rest.split("=", 1) for step in runtime_steps(stage, stages) if step.instruction == "ENV"
        )
        self.program = within(root, self.entry[0])

    def command(self, argv):
        return argv if not os.geteuid() else [str(within(self.root, argv[0])), *argv[1:]]

    def run(self, argv, environment=None, timeout=30):
        return subprocess.run(
            self.command(argv),
            env=self.environment | (environment or {}),
            preexec_fn=enter(self.root, self.user),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, arguments, environment):
        return subprocess.Popen(
            self.command(self.entry + arguments),
            env=self.environment | environment,
            preexec_fn=enter(self.root, self.user),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def runtime_steps(stage, stages):
    """The steps of a stage, before them those of the stages that it is built on; the last ones hold."""
    below = runtime_steps(stages[stage.base], stages) if stage.base in stages else []
    return below + stage.steps


def speaks(image):
    """The program starts in its image, under its user, with the libraries that are there."""
    done = image.run([*image.entry, "--version"])
    if done.returncode or not done.stdout.startswith(f"{image.name} "):
        raise Failed(f"{image.name} --version: {done.returncode}, {done.stdout}{done.stderr}")


def asks_in_vain(image, command):
    """A health check fails with a reason, and does not hang, while nothing listens."""
    done = image.run(command, listening(image, free_port()))
    if done.returncode != 1 or "cannot ask http://" not in done.stderr:
        raise Failed(f"{' '.join(command)} without a service: {done.returncode}, {done.stdout}{done.stderr}")


def listening(image, port):
    """The setting of where a service listens, for a port that is free here; that of its image says every address."""
    for name, value in image.environment.items():
        if name.endswith("LISTEN"):
            if not value.startswith("0.0.0.0:"):
                raise Failed(f"{image.name}: {name}={value} cannot be reached from outside of its container")
            return {name: f"127.0.0.1:{port}"}
    raise Failed(f"{image.name}: its image does not say where it listens")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(images):
    """Runs the services from their images until each health check succeeds, and stops them again."""
    endpoint = free_port()
    aws = AWS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{endpoint}"}
    plan = [
        ("local-aws", [], None, listening(images["local-aws"], endpoint)),
        (
            "ingest",
            [],
            images["ingest"].health,
            aws | {"API_KEYS": "local-dev-key"} | listening(images["ingest"], free_port()),
        ),
        ("batch-consumer", [], images["batch-consumer"].health, aws | listening(images["batch-consumer"], free_port())),
        # Its image has no check, as it runs once by default; who starts `watch` gives it this one.
        (
            "aggregator",
            ["watch"],
            [*images["aggregator"].entry, "health"],
            aws | listening(images["aggregator"], free_port()),
        ),
    ]
    started = []
    try:
        for name, arguments, check, environment in plan:
            process = images[name].start(arguments, environment)
            started.append((name, process))
            if check:
                await_health(images[name], process, check, environment)
                say(f"{name:15} healthy by `{' '.join(check)}`")
            else:
                await_port(name, process, endpoint)
        for name, process in reversed(started):
            process.send_signal(signal.SIGTERM)
            if process.wait(PATIENCE):
                raise Failed(f"{name} ended with {process.returncode}: {process.stderr.read()}")
    finally:
        for _, process in started:
            if process.poll() is None:
                process.kill()
                process.wait()


def await_health(image, process, check, environment):
    until = time.monotonic() + PATIENCE
    while (asked := image.run(check, environment)).returncode:
        if process.poll() is not None:
            raise Failed(f"{image.name} ended with {process.returncode}: {process.stderr.read()}")
        if time.monotonic() > until:
            raise Failed(f"{' '.join(check)} still fails after {PATIENCE} s: {asked.stderr}")
        time.sleep(0.2)


def await_port(name, process, port):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"{name} does not listen on {port}") from error
            time.sleep(0.1)


def size_of(root):
    """Bytes of an image, plain and gzipped as its layers travel: its own files and the base's."""
    contents = [file.read_bytes() for file in root.rglob("*") if file.is_file()]
    return BASE + sum(map(len, contents)), BASE_GZIPPED + sum(len(gzip.compress(content, 6)) for content in contents)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--programs", type=Path, help="folder of programs that are built already; without it they are built"
    )
    parser.add_argument(
        "--cache", type=Path, help="folder that stands for the cache of target/, kept for the next build"
    )
    options = parser.parse_args()

    lint = subprocess.run([Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"])
    if lint.returncode:
        raise Failed("hadolint has complaints")
    stages = recipe.read((ROOT / "Dockerfile").read_text())
    with tempfile.TemporaryDirectory(prefix="headwater-images-") as work:
        # Others than root must be able to go through it.
        os.chmod(work, 0o755)
        builder = Builder(ROOT, Path(work), stages, options.programs, options.cache)
        images, rows = {}, []
        for stage in recipe.programs(stages):
            root = builder.root(stage.name)
            images[stage.name] = image = Image(stage, stages, root)
            sizes = () if options.programs else (image.program.stat().st_size, *size_of(root))
            rows.append((stage.name, sizes, add_base(root, image.program)))
        for image in images.values():
            speaks(image)
            if image.health:
                asks_in_vain(image, image.health)
        serve(images)

    if not options.programs:
        say(f"\n{'':15}   program     image   gzipped   bar {BAR / 1e6:.0f} MB")
    for name, sizes, libraries in rows:
        say(f"{name:15}" + "".join(f"{size / 1e6:7.1f} MB" for size in sizes) + f"   {' '.join(libraries)}")
    large = [name for name, sizes, _ in rows if sizes and sizes[1] > BAR and name not in ABOVE]
    if large:
        raise Failed(f"over {BAR / 1e6:.0f} MB: {', '.join(large)}")
    say(
        f"{len(images)} images passed" + ("" if not os.geteuid() else ", run as this user and without a change of root")
    )


if __name__ == "__main__":
    try:
        main()
    except (Failed, recipe.NotUnderstood) as error:
        sys.exit(f"images: {error}")
