"""The files of a checkout as text, and how to find in them what two of them must agree on."""

import re
from pathlib import Path

# The crates with settings that several services share.
SHARED_SETTINGS = (
    "crates/aws/src",
    "crates/service/src",
    "crates/query/src/http",
    "crates/query/src",
    "crates/sql/src",
    "crates/console/src",
    "crates/sender/src",
)


class Missing(Exception):
    """Something that is compared is not where it is looked for."""


def part(text, pattern, place):
    """The first group of the first match in a text, which stands at `place`."""
    match = re.search(pattern, text, re.S | re.M)
    if not match:
        raise Missing(f"{place}: found nothing like `{pattern}`")
    return match.group(1)


def code_like(sample):
    """A pattern for Rust code like `sample`, however rustfmt breaks it into lines. Each `…` is a group: what is looked for."""
    pattern, before = r"(?<!\w)", ""
    for word in re.findall(r"\w+|[^\w\s]", sample):
        if re.match(r"\w", before) and re.match(r"\w", word):
            pattern += r"\s+"
        elif before:
            pattern += r"\s*,?\s*" if word in ")]" else r"\s*"
        pattern += r'([^";]+?)' if word == "…" else re.escape(word)
        before = word
    return pattern


def blocks(text, header, place):
    """Each match of `header` in a text, which stands at `place`, with what stands between the brackets that open at its
    end."""
    for match in re.finditer(header, text, re.M):
        depth, start = 1, match.end()
        for at in range(start, len(text)):
            depth += text[at] in "([{"
            depth -= text[at] in ")]}"
            if depth == 0:
                yield match, text[start:at]
                break
        else:
            raise Missing(f"{place}: `{match.group().strip()}` does not end")


class Settings(dict):
    """A service's settings: environment variable to default, none where there is none."""

    def __missing__(self, name):
        raise Missing(f"the code has no setting {name}")


class Repo:
    """The files of a checkout, and how to find things in them."""

    def __init__(self, root):
        self.root = Path(root)

    def text(self, path, without=()):
        """A file's text; that of a folder is the text of its Rust files but those named in `without`."""
        place = self.root / path
        files = sorted(place.rglob("*.rs")) if place.is_dir() else [place]
        files = [file for file in files if file.name not in without]
        try:
            return "\n".join(file.read_text() for file in files)
        except OSError as error:
            raise Missing(f"cannot read {path}: {error.strerror}") from error

    def found(self, path, pattern):
        """The first group of the first match in a file."""
        return part(self.text(path), pattern, path)

    def code(self, path, sample):
        """What stands for `…` in the first line like `sample` in the Rust files of a folder."""
        return self.all_code(path, sample)[0]

    def all_code(self, path, sample):
        """What stands for `…` in each line like `sample` in the Rust files of a folder: texts, or tuples of them where
        there is more than one `…`."""
        found = re.findall(code_like(sample), self.text(path))
        if not found:
            raise Missing(f"{path}: no line is like `{sample}`; where it has changed, so must the check")
        return found

    def block(self, path, header):
        """What stands between the brackets that open at the end of the first match of `header`."""
        for _, body in blocks(self.text(path), header, path):
            return body
        raise Missing(f"{path}: found nothing like `{header}`")

    def default(self, path, variable):
        """The default of a Terraform variable, as it stands there; texts without their quotes."""
        body = self.block(path, rf'^variable "{variable}" \{{')
        return part(body, r"^  default\s*=\s*([^\n]+)$", f"{path}: {variable}").strip('"')

    def settings(self, service):
        """The settings that a service knows."""
        path = f"crates/{service}/src"
        return self._settings(path, self.block(path, r"^pub struct Config \{"))

    def _settings(self, path, body):
        settings = Settings()
        for kind, said, field, of in re.findall(
            r"#\[(arg|command)\((.*?)\)\]\s*pub(?:\(\w+\))? (\w+): ([\w:<>]+)", body, re.S
        ):
            if kind == "command":
                if "flatten" in said:
                    header = rf"^pub struct {of.rsplit('::', 1)[-1]} \{{"
                    holding = [file for file in SHARED_SETTINGS if re.search(header, self.text(file), re.M)]
                    shared = (holding or SHARED_SETTINGS)[0]
                    settings |= self._settings(shared, self.block(shared, header))
                continue
            env = re.search(r'\benv(?: = "(\w+)")?', said)
            if env:
                default = re.search(r'default_value(?:_t)? = "?([^",)]+)', said)
                settings[env.group(1) or field.upper()] = default and default.group(1)
        if not settings:
            raise Missing(f"{path}: found no settings")
        return settings


def product(text):
    """`14 * 24 * 3600` as a number."""
    value = 1
    for factor in text.split("*"):
        value *= int(factor)
    return value


def seconds(text):
    """`20s`, `500ms` or `1m` as a number."""
    match = re.fullmatch(r"(\d+)(ms|s|m)", text or "")
    if not match:
        raise Missing(f"`{text}` is no time such as `20s`")
    return int(match.group(1)) * {"ms": 0.001, "s": 1, "m": 60}[match.group(2)]
