//! Runs the program on made-up files.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with files, in which the program runs.
pub(crate) struct Folder(tempfile::TempDir);

/// What the program printed, and its exit code.
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Folder {
    /// With `map.sql` of this text.
    pub(crate) fn new(sql: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.file("map.sql", sql);
        folder
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program with these arguments, its environment empty of its settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_import"));
        command
            .current_dir(self.0.path())
            .args(["--sql", "map.sql"])
            .args(arguments);
        for name in [
            "HEADWATER_API_KEY",
            "HEADWATER_INGEST_URL",
            "CONTRACTS",
            "HEADWATER_RATE",
            "HEADWATER_BATCH",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program for events of vehicles.
    pub(crate) fn import(&self, arguments: &[&str]) -> Ran {
        Ran::of(
            self.command(arguments)
                .args(["--kind", "vehicle"])
                .output()
                .unwrap(),
        )
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Asserts that it ended so and said all of this.
    #[track_caller]
    pub(crate) fn said(&self, code: i32, words: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for word in words {
            assert!(all.contains(word), "`{word}` is not in:\n{all}");
        }
    }
}

/// The declaration of vehicles, which takes recordings of any age.
pub(crate) fn any_age() -> String {
    let declared = include_str!("../../../contract/kinds/vehicle.toml");
    declared.replace("[time]\n", "[time]\nmax_age_days = 10000\n")
}
