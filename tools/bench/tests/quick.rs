//! A small try of one scenario, with the services as processes.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::path::Path;
use std::process::Command;

#[test]
fn a_small_try_measures_ingest_and_leaves_no_process_behind() {
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    for name in ["ingest", "local-aws"] {
        // `cargo test --workspace` builds them.
        assert!(
            program.with_file_name(name).is_file(),
            "`{name}` is missing beside `bench`: build it with `cargo build --workspace --bins`"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let done = Command::new(program)
        .args(["ingest-bulk", "--quick", "--no-build", "--json"])
        .arg(&json)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    // 1 where a bar does not hold, as may be on a machine that does other things too.
    assert!(matches!(done.status.code(), Some(0 | 1)), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["scenario"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ingest-bulk", "ingest-bulk-cpu", "ingest-memory"]);
    assert!(rows[0]["value"].as_f64().unwrap() > 0.1);
    assert!(rows[0]["ratio"].as_f64().unwrap() > 0.5);
    assert_eq!(rows[0]["details"]["events"], 100_000);
    let all_hold = rows.iter().all(|row| row["holds"] == true);
    assert_eq!(done.status.success(), all_hold);
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let wanted = format!("TMPDIR={}", folder.path().display());
            environment
                .split(|byte| *byte == 0)
                .any(|set| set == wanted.as_bytes())
        });
    assert_eq!(left.count(), 0);
}
