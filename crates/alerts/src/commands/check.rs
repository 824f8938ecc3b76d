//! `alerts check`: whether rule files are taken.

use std::io::Write;
use std::path::{Path, PathBuf};

use contract::Kinds;

use crate::rules::{Complaints, Rules, read_file, read_folder, read_text};

/// Reads each of `paths`, a rule file or a folder of them, and writes what it holds, or what is not taken, to `out`.
/// Gives whether all are taken.
///
/// # Errors
///
/// If `out` cannot be written.
pub fn check(paths: &[PathBuf], kinds: &Kinds, out: &mut impl Write) -> std::io::Result<bool> {
    let mut all_taken = true;
    for path in paths {
        match read(path) {
            Ok(rules) => {
                let count = rules.all.len();
                let word = if count == 1 { "rule" } else { "rules" };
                writeln!(out, "{}: {count} {word}", path.display())?;
                for note in rules.notes.iter().chain(&rules.undeclared(kinds)) {
                    writeln!(out, "  note: {note}")?;
                }
            }
            Err(complaints) => {
                all_taken = false;
                writeln!(out, "{complaints}")?;
            }
        }
    }
    Ok(all_taken)
}

fn read(path: &Path) -> Result<Rules, Complaints> {
    if path.is_dir() {
        return read_folder(path);
    }
    read_file(&path.display().to_string(), &read_text(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_checked_and_all_complaints_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (
            folder.path().join("good.yml"),
            folder.path().join("bad.yml"),
        );
        let rule =
            |expr: &str| format!("groups: [{{name: a, rules: [{{alert: A, expr: '{expr}'}}]}}]");
        std::fs::write(&good, rule("rate(engine_rmp{kind=\"vehicle\"}[1m]) > 1")).unwrap();
        std::fs::write(&bad, rule("x > 1")).unwrap();
        let kinds = Kinds::builtin();
        let check = |paths: &[PathBuf]| {
            let mut out = Vec::new();
            let taken = check(paths, &kinds, &mut out).unwrap();
            (taken, String::from_utf8(out).unwrap())
        };
        let (taken, text) = check(std::slice::from_ref(&good));
        assert!(taken && text.contains("good.yml: 1 rule\n"), "{text}");
        assert!(text.contains("did you mean `engine_rpm`?"), "{text}");
        let missing = folder.path().join("none.yml");
        let (taken, text) = check(&[folder.path().to_owned(), missing]);
        assert!(!taken && text.contains("bad.yml:1:"), "{text}");
        assert!(text.contains("none.yml: cannot be read"), "{text}");
    }
}
