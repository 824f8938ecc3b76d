"""How the Dockerfile is read and held against the workspace: this one, and copies of it with something wrong in them.

tests/python -m unittest discover -s tests/checks
"""

import unittest
from pathlib import Path

import dockerfile

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()

SMALL = """
ARG BASE=example/base:1
FROM example/builder:1 AS builder
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/src/target \\
    mkdir out \\
    # a comment within
    && cp crates/a out/a
FROM ${BASE} AS runtime
USER 1:1
FROM runtime AS a
COPY --from=builder /src/out/a /usr/bin/a
COPY LICENSE /usr/share/doc/
HEALTHCHECK --timeout=6s CMD ["/usr/bin/a", "health"]
ENTRYPOINT ["/usr/bin/a"]
"""


class Dockerfile(unittest.TestCase):
    def test_stages_steps_and_health_checks_are_read(self):
        stages = dockerfile.read(SMALL)
        self.assertEqual([stage.base for stage in stages.values()], ["example/builder:1", "${BASE}", "runtime"])
        self.assertEqual([stage.name for stage in dockerfile.programs(stages)], ["a"])
        self.assertEqual(stages["builder"].last("RUN").flags, {"mount": "type=cache,target=/src/target"})
        self.assertEqual(stages["builder"].last("RUN").words(), ["mkdir", "out", "&&", "cp", "crates/a", "out/a"])
        self.assertEqual(dockerfile.health(stages["a"]), ["/usr/bin/a", "health"])

    def test_what_is_not_known_is_not_passed_over(self):
        for line in ("STOPSIGNAL 9", "COPY --link LICENSE /", "RUN --network=none true", "FROM runtime"):
            with self.subTest(line), self.assertRaises(dockerfile.NotUnderstood):
                dockerfile.read(SMALL + line + "\n")

    def test_the_last_line_of_dockerignore_that_names_a_file_decides(self):
        ignore = ["*", "!crates", "!LICENSE", "**/target"]
        for path, through in (("LICENSE", True), ("crates/a", True), ("notes.md", False), ("crates/target/b", False)):
            self.assertEqual(dockerfile.let_through(ignore, path), through, path)

    def test_everything_that_this_dockerfile_names_is_there(self):
        self.assertEqual(list(dockerfile.complaints(ROOT, TEXT)), [])
        self.assertEqual(len(dockerfile.programs(dockerfile.read(TEXT))), 10)

    def test_what_is_not_there_is_found(self):
        for old, new, said in (
            ("-p judge", "-p jury", "builds jury, which is no package"),
            ("-p judge", "-p contract", "builds contract, which is no program"),
            ("target/dist/judge ", "", "either builds judge"),
            ("COPY LICENSE", "COPY LICENCE", "COPY LICENCE: the checkout does not have it"),
            ("COPY LICENSE", "COPY README.md", "COPY README.md: .dockerignore does not let it through"),
            ("COPY --from=builder", "COPY --from=build", "there is no such stage"),
            ("/src/out/ingest ", "/src/out/intake ", "COPY /src/out/intake: no RUN makes it"),
            ('ENTRYPOINT ["/usr/local/bin/judge"]', 'ENTRYPOINT ["/judge"]', "judge starts /judge"),
        ):
            with self.subTest(new):
                self.assertIn(old, TEXT)
                found = list(dockerfile.complaints(ROOT, TEXT.replace(old, new, 1)))
                self.assertTrue(any(said in complaint for complaint in found), found)


if __name__ == "__main__":
    unittest.main()
