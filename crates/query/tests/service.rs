//! The service around the snapshot: its start, its probes and its stop.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::process::Command;

use aws::Aws;
use clap::Parser;
use local_aws::LocalAws;
use query::Config;
use service::health;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn config() -> Config {
    Config::parse_from(["query", "--read-keys=a-read-key", "--lake-bucket=lake"])
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn it_is_ready_once_the_lake_is_read_and_ends_when_told_to() {
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    aws::setup::create_bucket(&aws, "lake").await.unwrap();
    let ((listener, listen), (admin, admin_listen)) = (listener().await, listener().await);
    let stop = CancellationToken::new();
    let running = query::run(config(), aws, listener, Some(admin), None, stop.clone());
    let running = tokio::spawn(running);
    while health::check(admin_listen, "/readyz").await.is_err() {
        assert!(!running.is_finished(), "{:?}", running.await);
        tokio::task::yield_now().await;
    }
    health::check(listen, "/health").await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(health::check(listen, "/health").await.is_err());
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named() {
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    let (listener, _) = listener().await;
    let run = query::run(
        config(),
        aws,
        listener,
        None,
        None,
        CancellationToken::new(),
    );
    let error = format!("{:#}", run.await.unwrap_err());
    assert!(error.contains("cannot read the lake `lake`"), "{error}");
}

#[test]
fn wrong_settings_end_the_process_with_2_and_say_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_query"))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("query: no read key: set READ_KEYS"),
        "{said}"
    );
    let help = Command::new(env!("CARGO_BIN_EXE_query"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for part in [
        "Snapshot:",
        "Limits:",
        "Observation:",
        "[env: HOT_LIMIT=]",
        "health",
    ] {
        assert!(help.contains(part), "{help}");
    }
}
