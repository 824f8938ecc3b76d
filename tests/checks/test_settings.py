"""Settings of tools have names of their own: variables such as DATA, COUNT or SEED are other programs' too."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

TOOLS = [
    "crates/headwater/src/config.rs", "crates/headwater/src/cost/settings.rs", "crates/import/src/config.rs",
    *(f"tools/{tool}/src/config.rs" for tool in ("chaos", "judge", "simtest", "simulator")),
]  # fmt: skip

# What the services read by these names too: set once, it is good for all.
SHARED = {"CONTRACTS", "LOG_FORMAT", "METRICS_LISTEN", "PG_LISTEN"}


def variables(text):
    """Field and variable of each setting that can be given as one."""
    for attribute, field in re.findall(r"#\[arg\(([^\]]*)\)\]\s*(?:#\[[^\]]*\]\s*)*pub(?:\([a-z]+\))? (\w+):", text):
        if found := re.search(r"\benv\b(?: = \"(\w+)\")?", attribute):
            yield field.upper(), found[1] or field.upper()


class Settings(unittest.TestCase):
    def test_a_tools_own_settings_begin_with_headwater(self):
        for file in TOOLS:
            found = list(variables((ROOT / file).read_text()))
            self.assertTrue(found, file)
            for field, variable in found:
                wanted = field if field in SHARED else f"HEADWATER_{field}"
                self.assertEqual(variable, wanted, file)


if __name__ == "__main__":
    unittest.main()
