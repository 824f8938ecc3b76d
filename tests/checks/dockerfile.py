"""The Dockerfile, read, and held against the workspace: the programs that it builds and the files that it copies exist.

Building and running the images needs Docker, which .github/workflows/checks.yml has.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

# The instructions that stages may have, with their flags: others would go unchecked.
FLAGS = {
    "WORKDIR": set(),
    "COPY": {"from", "chown"},
    "RUN": {"mount"},
    "USER": set(),
    "ENV": set(),
    "EXPOSE": set(),
    "VOLUME": set(),
    "HEALTHCHECK": {"interval", "timeout", "retries", "start-period"},
    "ENTRYPOINT": set(),
    "CMD": set(),
}


class NotUnderstood(Exception):
    """The Dockerfile has something that is not known here."""


@dataclass
class Step:
    """An instruction: the last value of each flag by the flag's name, and the text behind the flags."""

    instruction: str
    flags: dict
    rest: str

    def words(self):
        """The text behind the flags as words; the exec form, `["a", "b"]`, gives the same."""
        return json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()


@dataclass
class Stage:
    """A stage: its name, the stage or image that it is built on, and its steps in their order."""

    name: str
    base: str
    steps: list = field(default_factory=list)

    def all(self, instruction):
        return [step for step in self.steps if step.instruction == instruction]

    def last(self, instruction):
        """The step that holds, of steps that replace each other, or None."""
        return next(reversed(self.all(instruction)), None)


def read(text):
    """The stages of a Dockerfile by name, in their order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, value = line.partition(" ")
        if not line or (instruction == "ARG" and not stages):
            continue
        if instruction == "FROM":
            stage = re.fullmatch(r"(\S+) AS (\S+)", value)
            if not stage:
                raise NotUnderstood(f"a stage has no name: {line}")
            stages[stage[2]] = Stage(stage[2], stage[1])
        elif stages and instruction in FLAGS:
            list(stages.values())[-1].steps.append(step(instruction, value))
        else:
            raise NotUnderstood(line)
    return stages


def step(instruction, value):
    flags, rest = {}, value
    while found := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        flags[found[1]] = found[2]
        rest = rest[found.end() :]
    if rest.startswith("--") or set(flags) - FLAGS[instruction]:
        raise NotUnderstood(f"{instruction} {value}")
    return Step(instruction, flags, rest)


def programs(stages):
    """The stages with an entry point: one program each."""
    return [stage for stage in stages.values() if stage.last("ENTRYPOINT")]


def health(stage):
    """The command of a stage's health check; None if it says NONE, or nothing."""
    check = stage.last("HEALTHCHECK")
    if check is None or check.rest == "NONE":
        return None
    word, _, command = check.rest.partition(" ")
    if word != "CMD" or not command.startswith("["):
        raise NotUnderstood(f"{stage.name}: no shell could run HEALTHCHECK {check.rest}")
    return json.loads(command)


def let_through(ignore, path):
    """Whether a .dockerignore of these lines hands a file to the build. The last line that names the file, or a folder
    above it, decides."""
    path, through = PurePosixPath(path), True
    for line in ignore:
        pattern = line.removeprefix("!")
        name = pattern.removeprefix("**/")
        named = path.parts if name != pattern else map(str, (path, *path.parents[:-1]))
        if any(fnmatch(place, name) for place in named):
            through = line.startswith("!")
    return through


def packages(root):
    """The workspace's packages by name, each with its folder."""
    members = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]
    manifests = [manifest for member in members for manifest in sorted(root.glob(f"{member}/Cargo.toml"))]
    return {tomllib.loads(file.read_text())["package"]["name"]: file.parent for file in manifests}


def complaints(root, text):
    """What a Dockerfile of this text names and neither the checkout at `root` has nor the build makes."""
    stages, known = read(text), packages(root)
    ignore = [line for line in (root / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for name, folder in known.items():
        if not let_through(ignore, (folder / "Cargo.toml").relative_to(root).as_posix()):
            yield f".dockerignore does not let the package {name} through"
    commands = " ".join(step.rest for stage in stages.values() for step in stage.all("RUN"))
    built = re.findall(r" -p (\S+)", commands)
    for name in built:
        if name not in known:
            yield f"RUN builds {name}, which is no package of the workspace"
        elif not (known[name] / "src/main.rs").is_file():
            yield f"RUN builds {name}, which is no program"
    for name in sorted(set(re.findall(r"target/dist/(\S+)", commands)) ^ set(built)):
        yield f"RUN either builds {name} and does not copy it to out/, or the other way round"
    made = {f"/src/out/{name}" for name in built} | {f"/src/{path}" for path in re.findall(r"\bout/\w[\w.]+", commands)}
    for stage in stages.values():
        for copy in stage.all("COPY"):
            yield from copied(root, ignore, stages, made, stage, copy)
    for stage in programs(stages):
        program = stage.last("ENTRYPOINT").words()[0]
        if not any(copy.words() == [f"/src/out/{stage.name}", program] for copy in stage.all("COPY")):
            yield f"{stage.name} starts {program}, which is not copied from /src/out/{stage.name}"


def copied(root, ignore, stages, made, stage, copy):
    """What is wrong with the sources of a COPY."""
    *sources, _ = copy.words()
    origin = copy.flags.get("from")
    if origin and origin not in stages:
        yield f"{stage.name}: COPY --from={origin}: there is no such stage"
    for source in sources:
        if origin and source not in made:
            yield f"{stage.name}: COPY {source}: no RUN makes it"
        elif not origin and not (root / source).exists():
            yield f"{stage.name}: COPY {source}: the checkout does not have it"
        elif not origin and source != "." and not let_through(ignore, source):
            yield f"{stage.name}: COPY {source}: .dockerignore does not let it through"
