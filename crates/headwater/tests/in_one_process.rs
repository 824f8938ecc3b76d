//! The demo and `serve`, as a user runs them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aws::Aws;
use clap::Parser;
use headwater::{Cli, Command, DemoConfig, ServeConfig};
use service::terminal::ProgressBar;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

fn demo_config(arguments: &[&str]) -> DemoConfig {
    match Cli::parse_from([&["headwater", "demo"], arguments].concat()).command() {
        Command::Demo(config) => config,
        other => panic!("not the demo: {other:?}"),
    }
}

fn serve_config(arguments: &[&str]) -> ServeConfig {
    let any_ports = [
        "--listen=127.0.0.1:0",
        "--aws-listen=127.0.0.1:0",
        "--metrics-listen=127.0.0.1:0",
        #[cfg(feature = "sql")]
        "--pg-listen=127.0.0.1:0",
    ];
    match Cli::parse_from([&["headwater", "serve"], &any_ports[..], arguments].concat()).command() {
        Command::Serve(config) => config,
        other => panic!("not serve: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_loses_nothing_and_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let config = demo_config(&[
        "--data",
        data.to_str().unwrap(),
        "--count",
        "1500",
        "--seed",
        "7",
    ]);
    for _ in 0..2 {
        let report = headwater::demo(&config, &CancellationToken::new())
            .await
            .unwrap();
        assert!(report.is_fine(), "{report:?}");
        let verdict = &report.verdict;
        assert_eq!(report.first.events, verdict.accepted);
        assert!(report.first.duplicates > 0 && report.sent.total_refused() > 0);
        assert!(
            verdict
                .latency
                .is_some_and(|latency| latency.events == verdict.accepted)
        );
        assert!(
            verdict
                .cost
                .as_ref()
                .is_some_and(|cost| cost.dollars() > 0.0)
        );
        assert!(data.join("headwater-lake/raw").is_dir());
        assert!(data.join("headwater-lake/aggregates").is_dir());
    }
}

/// Serves until the lake's keys under `aggregates/` are `enough` and alerts has begun its log, then stops; gives back
/// those keys.
/// An hour's files are put side by side, so that a listing may meet any of them first.
async fn serve_until(config: ServeConfig, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let stop = CancellationToken::new();
    let (started, addresses) = oneshot::channel();
    let until = stop.clone();
    let server = tokio::spawn(async move {
        let told = |ingest, aws| started.send((ingest, aws)).unwrap();
        headwater::serve(&config, &ProgressBar::hidden(), &until, told).await
    });
    let (_, aws_listen) = addresses.await.unwrap();
    // Through the port, as any other client would.
    let http = local_http();
    let lake = Aws::emulated(http, &format!("http://{aws_listen}")).lake("headwater-lake");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    loop {
        let listed = lake.list("aggregates/", None).await.unwrap();
        let keys: Vec<String> = listed.into_iter().map(|object| object.key).collect();
        let log = lake.list("_alerts/log/", None).await.unwrap();
        if enough(&keys) && !log.is_empty() {
            stop.cancel();
            server.await.unwrap().unwrap();
            return keys;
        }
        assert!(tokio::time::Instant::now() < deadline, "{keys:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn local_http() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_fills_the_lake_stops_when_told_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("serve");
    let arguments = [
        "--data",
        data.to_str().unwrap(),
        "--rate",
        "200",
        "--interval",
        "1s",
    ];
    let both_formats = ["vehicle.jsonl", "vehicle.parquet"];
    let first = serve_until(serve_config(&arguments), |keys| {
        let there = |name: &&str| keys.iter().any(|key| key.ends_with(*name));
        both_formats.iter().all(there)
    })
    .await;
    // What was there before is all that the second start, which has no fleet, can find.
    let without_fleet = ["--data", data.to_str().unwrap(), "--rate", "0"];
    serve_until(serve_config(&without_fleet), |keys| {
        first.iter().all(|key| keys.contains(key))
    })
    .await;
}
