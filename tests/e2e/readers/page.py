"""The Python blocks of docs/readers.md: what the page shows is what is run."""

import re


def sections(path):
    """Each section's Python blocks, by the section's heading."""
    found = {}
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", path.read_text(), re.S | re.M):
        blocks = re.findall(r"^```python\n(.*?)^```$", body, re.S | re.M)
        if blocks:
            found[heading] = blocks
    return found


class Page:
    """A section's blocks: the first says how to read, the second is an example that uses the first."""

    def __init__(self, path, heading):
        self.where = f"{path.name}: {heading}"
        blocks = sections(path).get(heading, [])
        if len(blocks) != 2:
            raise SystemExit(f"readers failed: {self.where} has {len(blocks)} Python blocks, not 2")
        self.reading, self.example = blocks

    def read(self):
        """Runs the first block, and gives the names it leaves: `curated`, `aggregates` and what they need."""
        names = {}
        exec(compile(self.reading, self.where, "exec"), names)
        return names

    def speed(self, names):
        """Runs the example and gives its result."""
        exec(compile(self.example, f"{self.where}, example", "exec"), names)
        return names["speed"]
