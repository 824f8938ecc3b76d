//! The folder with the files of a run. The demo empties its own before each run, and no other.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use contract::CURATED;

use crate::configs::BUCKET;

/// File that marks a folder as made by a demo.
const MARKER: &str = ".headwater-demo";

/// The emulation's own files, and the lock that it holds while it runs.
const EMULATION: &str = ".local-aws";
const LOCK: &str = ".local-aws/lock";

/// The file with the demo's ledger of accepted events.
pub(crate) const LEDGER: &str = "ledger.ndjson";

/// The page that the demo leaves.
pub(crate) const REPORT: &str = "report.html";

/// Makes the folder ready for a new demo: removes the files of an earlier demo, and no others.
///
/// # Errors
///
/// If the folder is not empty and not marked as a demo's, if a demo is running in it, or if files cannot
/// be removed or written.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot make the folder `{}` ready", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let is_empty = fs::read_dir(folder).with_context(failed)?.next().is_none();
    let marker = folder.join(MARKER);
    if !is_empty {
        if !marker.is_file() {
            bail!(
                "`{}` is not empty and not from an earlier demo: name another folder with --data",
                folder.display()
            );
        }
        if is_in_use(&folder.join(LOCK)).with_context(failed)? {
            bail!(
                "another demo is running in `{}`: wait for it, or name another folder with --data",
                folder.display()
            );
        }
        for made in [BUCKET, EMULATION] {
            missing_is_fine(fs::remove_dir_all(folder.join(made))).with_context(failed)?;
        }
        for made in [LEDGER, REPORT] {
            missing_is_fine(fs::remove_file(folder.join(made))).with_context(failed)?;
        }
    }
    let words = format!(
        "Made by `headwater demo`. The next demo removes `{BUCKET}`, `{EMULATION}`, `{LEDGER}` and `{REPORT}` here.\n"
    );
    fs::write(&marker, words).with_context(failed)
}

fn is_in_use(lock: &Path) -> io::Result<bool> {
    match File::open(lock) {
        Ok(lock) => Ok(lock.try_lock().is_err()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn missing_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The folder of the lake's objects as files.
pub(crate) fn lake(folder: &Path) -> PathBuf {
    folder.join(BUCKET)
}

/// A line for a shell that asks the Parquet files of the lake with DuckDB: events of each kind. It works from any
/// folder, once there is a file.
pub(crate) fn duckdb_line(lake: &Path) -> String {
    // The folder is there unless somebody has just removed it.
    let lake = lake.canonicalize().unwrap_or_else(|_| lake.to_owned());
    let files = format!("{}**/*.parquet", pattern_of(&lake.join(CURATED)));
    let statement = format!(
        "SELECT kind, count(*) AS events, max(event_time) AS newest FROM read_parquet('{}', union_by_name = true, \
         hive_partitioning = true) GROUP BY kind",
        files.replace('\'', "''")
    );
    format!("duckdb -c \"{}\"", in_double_quotes(&statement))
}

/// The path as a pattern that matches it alone.
fn pattern_of(path: &Path) -> String {
    let mut pattern = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            '*' | '?' | '[' => pattern.extend(['[', c, ']']),
            c => pattern.push(c),
        }
    }
    pattern
}

/// The text as a shell reads it between double quotes.
fn in_double_quotes(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_duckdb_names_the_files_whatever_the_folder_is_called() {
        let root = tempfile::tempdir().unwrap();
        let lake = root.path().join("it's [1] $HOME");
        fs::create_dir(&lake).unwrap();
        let root = root.path().canonicalize().unwrap();
        assert_eq!(
            duckdb_line(&lake),
            format!(
                "duckdb -c \"SELECT kind, count(*) AS events, max(event_time) AS newest FROM \
                 read_parquet('{}/it''s [[]1] \\$HOME/curated/**/*.parquet', union_by_name = true, \
                 hive_partitioning = true) GROUP BY kind\"",
                root.display()
            )
        );
    }

    #[test]
    fn an_earlier_demo_is_removed_and_what_else_is_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data/demo");
        prepare(&folder).unwrap();
        fs::create_dir_all(folder.join(BUCKET).join("raw")).unwrap();
        fs::create_dir_all(folder.join(EMULATION)).unwrap();
        fs::write(folder.join(LEDGER), "x").unwrap();
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        prepare(&folder).unwrap();
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [MARKER, "notes.txt"]);
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join(BUCKET);
        fs::create_dir(&theirs).unwrap();
        let error = prepare(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--data"), "{error}");
        assert!(theirs.is_dir());
        assert!(!folder.path().join(MARKER).exists());
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).unwrap();
        let running = local_aws::LocalAws::builder()
            .folder(folder.path())
            .build()
            .unwrap();
        let error = prepare(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another demo is running"), "{error}");
        drop(running);
        prepare(folder.path()).unwrap();
    }
}
