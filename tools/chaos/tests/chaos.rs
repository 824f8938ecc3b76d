//! `chaos` as a command: what it refuses, and that it leaves no process behind.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const CHAOS: &str = env!("CARGO_BIN_EXE_chaos");

/// The command without the caller's settings.
fn chaos(arguments: &[&str]) -> Command {
    let mut command = Command::new(CHAOS);
    command
        .env_clear()
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .args(arguments);
    command
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_runs_against_an_endpoint_on_this_machine_alone() {
    for endpoint in [None, Some("https://sqs.us-east-1.amazonaws.com")] {
        let mut command = chaos(&[]);
        command.envs(endpoint.map(|endpoint| ("AWS_ENDPOINT_URL", endpoint)));
        let said = refused(&command.output().unwrap());
        assert!(
            said.contains("will not run against") && said.contains("--local-aws"),
            "{said}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_named() {
    for (wrong, named) in [
        (&["--rounds=0", "--outages=0"][..], "HEADWATER_ROUNDS"),
        (&["--consumers=0"], "HEADWATER_CONSUMERS"),
        (&["--aggregators=9"], "HEADWATER_AGGREGATORS"),
        (&["--rate=0"], "HEADWATER_RATE"),
        (&["--round-time=1s"], "HEADWATER_ROUND_TIME"),
        (&["alerts", "--kills=0"], "KILLS"),
        (&["alerts", "--notifications=30"], "NOTIFICATIONS"),
    ] {
        let said = refused(&chaos(wrong).output().unwrap());
        assert!(said.contains(named), "{said}");
    }
}

/// Processes whose command begins with a path in that folder.
fn running_from(folder: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let commands =
        processes.filter_map(|entry| std::fs::read_link(entry.ok()?.path().join("exe")).ok());
    commands.filter(|exe| exe.starts_with(folder)).collect()
}

/// Needs the services' binaries beside its own, as `cargo test --workspace` builds them.
#[tokio::test]
async fn told_to_stop_it_kills_its_processes_and_gives_no_verdict() {
    const NEEDED: [&str; 5] = [
        "chaos",
        "ingest",
        "batch-consumer",
        "aggregator",
        "local-aws",
    ];
    // In a folder of their own, so that nobody else's processes are looked at.
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for name in NEEDED {
        let built = Path::new(CHAOS).with_file_name(name);
        assert!(
            built.is_file(),
            "`{}` is missing: build it with `cargo build --workspace --bins`",
            built.display()
        );
        let own = folder.join(name);
        if std::fs::hard_link(&built, &own).is_err() {
            std::fs::copy(&built, &own).unwrap();
        }
    }
    let mut command = chaos(&["--local-aws", "--rounds=20", "--outages=0"]);
    let mut moved = Command::new(folder.join("chaos"));
    moved.args(command.get_args());
    moved.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    moved.env("TMPDIR", &folder);
    command = moved;
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // One ingest, three consumers, two aggregators, local-aws and `chaos` itself.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while running_from(&folder).len() < 8 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{:?}",
            running_from(&folder)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = Command::new("kill").arg(child.id().to_string()).status();
    assert!(told.unwrap().success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stopped before a verdict"), "{said}");
    assert_eq!(running_from(&folder), Vec::<PathBuf>::new());
}
