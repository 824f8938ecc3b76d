"""What licences.py finds wrong with the list of crates and their licence texts.

tests/python -m unittest discover -s tests/checks
"""

import unittest

import dockerfile
import licences

TREE = """ingest v0.1.0 (/src/crates/ingest)|Apache-2.0
serde v1.0.2|MIT OR Apache-2.0
zstd-sys v2.1.2+zstd.1.5.7|BSD-3-Clause

batch-consumer v0.1.0 (/src/crates/batch-consumer)|Apache-2.0
serde v1.0.2|MIT OR Apache-2.0 (*)
"""

CRATES = [("serde", "1.0.2", "MIT OR Apache-2.0"), ("zstd-sys", "2.1.2+zstd.1.5.7", "BSD-3-Clause")]

TEXTS = "MIT License (MIT)\n- serde 1.0.2 https://example.com\n\n- zstd-sys 2.1.2+zstd.1.5.7\n"


class Licences(unittest.TestCase):
    def test_each_crate_is_listed_once_and_ours_are_not(self):
        self.assertEqual(licences.parse(TREE), CRATES)

    def test_what_is_of_today_passes(self):
        self.assertEqual(list(licences.about(CRATES, licences.listed(CRATES), TEXTS)), [])

    def test_what_is_missing_or_old_is_found(self):
        page = licences.listed(CRATES)
        for crates, page, texts, said in (
            (CRATES, page, TEXTS.replace("serde 1.0.2", "serde 1.0.20"), "no licence of serde 1.0.2"),
            (CRATES, page.replace("1.0.2 |", "1.0.1 |"), TEXTS, "not of today"),
            ([("serde", "1.0.2", ""), CRATES[1]], page, TEXTS, "declares no licence"),
            ([], licences.listed([]), TEXTS, "found no crates"),
        ):
            with self.subTest(said):
                found = list(licences.about(crates, page, texts))
                self.assertTrue(any(said in complaint for complaint in found), found)

    def test_the_list_is_of_what_the_images_run(self):
        stages = dockerfile.read((licences.ROOT / "Dockerfile").read_text())
        self.assertEqual(sorted(licences.programs()), sorted(stage.name for stage in dockerfile.programs(stages)))


if __name__ == "__main__":
    unittest.main()
