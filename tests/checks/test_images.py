"""How the Dockerfile is read and followed: this one, and small ones with something wrong in them.

tests/python -m unittest discover -s tests/checks
"""

import shutil
import tempfile
import tomllib
import unittest
from pathlib import Path

import images
import recipe

ROOT = Path(__file__).resolve().parents[2]

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


class Checkout(unittest.TestCase):
    """Tests with a small checkout and a folder to build in."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source, self.work = Path(folder.name) / "source", Path(folder.name) / "work"
        self.work.mkdir()
        for path in ("crates/a", "crates/target/b", "LICENSE", "notes.md", "Dockerfile"):
            file = self.source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
        (self.source / ".dockerignore").write_text("# all but\n*\n!crates\n!LICENSE\n**/target\n")

    def build(self, text, stage="a"):
        return images.Builder(self.source, self.work, recipe.read(text)).root(stage)


class Recipe(Checkout):
    def test_stages_steps_and_health_checks_are_read(self):
        stages = recipe.read(SMALL)
        self.assertEqual([stage.base for stage in stages.values()], ["example/builder:1", "example/base:1", "runtime"])
        self.assertEqual([stage.name for stage in recipe.programs(stages)], ["a"])
        self.assertEqual(stages["builder"].last("RUN").flags, {"mount": ["type=cache,target=/src/target"]})
        self.assertEqual(stages["builder"].last("RUN").words(), ["mkdir", "out", "&&", "cp", "crates/a", "out/a"])
        self.assertEqual(recipe.health(stages["a"]), ["/usr/bin/a", "health"])

    def test_what_is_not_known_is_not_passed_over(self):
        for line in ("VOLUME /data", "COPY --chown=1:1 LICENSE /", "RUN --network=none true", "FROM runtime"):
            with self.subTest(line), self.assertRaises(recipe.NotUnderstood):
                recipe.read(SMALL + line + "\n")

    def test_the_context_is_what_dockerignore_lets_through(self):
        self.assertEqual(recipe.context(self.source), ["LICENSE", "crates/a"])

    def test_every_member_of_the_workspace_reaches_the_build(self):
        context = recipe.context(ROOT)
        self.assertIn("Cargo.lock", context)
        members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
        for member in members:
            for manifest in ROOT.glob(f"{member}/Cargo.toml"):
                self.assertIn(str(manifest.relative_to(ROOT)), context)
        self.assertFalse([path for path in context if "/target/" in path])


class Building(Checkout):
    def test_files_take_the_way_through_the_stages(self):
        root = self.build(SMALL)
        self.assertEqual((root / "usr/bin/a").read_text(), "crates/a")
        self.assertEqual((root / "usr/share/doc/LICENSE").read_text(), "LICENSE")
        self.assertFalse((self.work / "builder/src/notes.md").exists())

    def test_a_path_that_is_not_there_is_found(self):
        for old, new, said in (
            ("/src/out/a", "/out/a", "there is no a"),
            ("cp crates/a out/a", "cp crates/b out/a", "RUN ended with 1"),
            ("COPY LICENSE", "COPY notes.md", "does not let notes.md through"),
            ("type=cache", "type=secret", "only caches"),
        ):
            with self.subTest(new), self.assertRaisesRegex(images.Failed, said):
                shutil.rmtree(self.work)
                self.work.mkdir()
                self.build(SMALL.replace(old, new))

    def test_programs_that_are_built_already_take_the_place_of_the_build(self):
        (self.work / "built").mkdir()
        (self.work / "built/a").write_text("a program")
        text = SMALL.replace("mkdir out", "cargo build --profile dist -p a && mkdir out")
        text = text.replace("cp crates/a", "cp target/dist/a")
        builder = images.Builder(self.source, self.work, recipe.read(text), programs=self.work / "built")
        self.assertEqual((builder.root("a") / "usr/bin/a").read_text(), "a program")

    @unittest.skipUnless(Path("/bin/bash").exists(), "needs a program with another library than libc's")
    def test_a_library_that_the_base_does_not_have_is_found(self):
        with self.assertRaisesRegex(images.Failed, "bash needs libtinfo"):
            images.add_base(self.work, Path("/bin/bash"))


if __name__ == "__main__":
    unittest.main()
