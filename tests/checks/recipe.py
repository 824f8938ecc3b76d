"""The Dockerfile, read: its stages with their instructions, and what .dockerignore lets through to them."""

import io
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser

# All that the stages may have: another instruction, or another flag, would be left out by who follows this.
FLAGS = {
    "WORKDIR": set(),
    "COPY": {"from"},
    "RUN": {"mount"},
    "USER": set(),
    "ENV": set(),
    "EXPOSE": set(),
    "HEALTHCHECK": {"interval", "timeout", "retries", "start-period"},
    "ENTRYPOINT": set(),
}


class NotUnderstood(Exception):
    """The Dockerfile has something that is not known here."""


@dataclass
class Step:
    """An instruction: `flags` by name, each with its values, and what stands behind them."""

    instruction: str
    flags: dict
    rest: str

    def words(self):
        """What stands behind the flags, as words; the exec form, `["a", "b"]`, is the same."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass
class Stage:
    """A stage: its name, what it is built on (another stage's name, or an image), and its steps."""

    name: str
    base: str
    steps: list = field(default_factory=list)

    def last(self, instruction):
        """The step that holds of those that replace each other; none where there is none."""
        return next((step for step in reversed(self.steps) if step.instruction == instruction), None)


def read(text):
    """The stages of a Dockerfile, by name, in their order."""
    parsed = DockerfileParser(fileobj=io.BytesIO(text.encode())).structure
    arguments, stages = {}, {}
    for entry in parsed:
        instruction, value = entry["instruction"], entry["value"]
        if instruction == "COMMENT":
            continue
        if instruction == "ARG" and not stages:
            name, _, default = value.partition("=")
            arguments[name] = default
        elif instruction == "FROM":
            stage = re.fullmatch(r"(\S+) AS (\S+)", value)
            if not stage:
                raise NotUnderstood(f"a stage has no name: FROM {value}")
            base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found.group(1)], stage.group(1))
            stages[stage.group(2)] = Stage(stage.group(2), base)
        elif stages and instruction in FLAGS:
            list(stages.values())[-1].steps.append(step(instruction, value))
        else:
            raise NotUnderstood(f"{instruction} {value}")
    return stages


def step(instruction, value):
    flags, rest = {}, value
    while found := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        flags.setdefault(found.group(1), []).append(found.group(2))
        rest = rest[found.end() :]
    if rest.startswith("--") or set(flags) - FLAGS[instruction]:
        raise NotUnderstood(f"{instruction} {value}")
    return Step(instruction, flags, rest)


def programs(stages):
    """The stages that are a program each: those with an entry point."""
    return [stage for stage in stages.values() if stage.last("ENTRYPOINT")]


def health(stage):
    """The command of a stage's health check; none where it says NONE or nothing."""
    check = stage.last("HEALTHCHECK")
    if check is None or check.rest == "NONE":
        return None
    word, _, command = check.rest.partition(" ")
    if word != "CMD" or not command.startswith("["):
        raise NotUnderstood(f"{stage.name}: no shell could run HEALTHCHECK {check.rest}")
    return json.loads(command)


def context(root):
    """The files that are handed to the build, relative to `root`: those that .dockerignore lets through."""
    lines = (Path(root) / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    # These two are named by `exclude_paths` whatever the patterns say, and Docker does not copy them either.
    found = set(exclude_paths(str(root), patterns)) - {"Dockerfile", ".dockerignore"}
    return sorted(path for path in found if (Path(root) / path).is_file())
