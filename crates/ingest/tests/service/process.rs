//! The binary: exit codes, messages and signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use local_aws::LocalAws;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{KEY, VEHICLE, queued};

/// The binary with none of this process's settings.
fn ingest(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingest"));
    command.env_clear().envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A cloud on a port of its own.
async fn cloud() -> (LocalAws, String) {
    let cloud = LocalAws::in_process();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(local_aws::serve(
        cloud.clone(),
        listener,
        CancellationToken::new(),
    ));
    (cloud, endpoint)
}

/// Ends the process with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_keys_it_refuses_to_start_and_says_how_to_set_one() {
    for keys in [None, Some(""), Some("short"), Some("long-enough,")] {
        let settings: Vec<_> = keys.map(|keys| ("API_KEYS", keys)).into_iter().collect();
        let output = ingest(&settings).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{keys:?}");
        assert!(
            complaint(&output)
                .contains("set API_KEYS, for example API_KEYS=$(openssl rand -hex 16)"),
            "{keys:?}"
        );
    }
}

#[test]
fn help_shows_no_key() {
    let output = ingest(&[("API_KEYS", "a-secret-key")])
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        help.contains("API_KEYS") && !help.contains("a-secret-key"),
        "{help}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_an_endpoint_that_is_down_are_said_and_end_in_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = ingest(&[("API_KEYS", KEY), ("LISTEN", &address)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complaint(&output).contains("set LISTEN to a free address"),
        "{}",
        complaint(&output)
    );

    let nobody = format!("http://{address}");
    drop(taken);
    let settings = [
        ("API_KEYS", KEY),
        ("LISTEN", "127.0.0.1:0"),
        ("METRICS_LISTEN", "127.0.0.1:0"),
        ("AWS_ENDPOINT_URL", nobody.as_str()),
    ];
    let output = ingest(&settings).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complaint(&output).contains("is LocalStack or local-aws up"),
        "{}",
        complaint(&output)
    );

    let output = ingest(&[("METRICS_LISTEN", &address)])
        .arg("health")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_makes_its_queue_serves_and_exits_0_at_sigterm() {
    let (cloud, endpoint) = cloud().await;
    let settings = [
        ("API_KEYS", KEY),
        ("LISTEN", "127.0.0.1:0"),
        ("METRICS_LISTEN", "127.0.0.1:0"),
        // Off, as without it.
        ("TLS_CLIENT_ENTITY", "false"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let mut running = Running(ingest(&settings).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap());
    let mut started = String::new();
    lines.read_line(&mut started).unwrap();
    assert!(
        started.contains("event=started") && !started.contains(KEY),
        "{started}"
    );
    let field = |name: &str| {
        let rest = started.split(name).nth(1).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let address: SocketAddr = field(" listen=").parse().unwrap();
    let admin = field(" metrics_listen=");

    let http = reqwest::Client::new();
    let post = http
        .post(format!("http://{address}/v1/events"))
        .header("x-api-key", KEY)
        .body(VEHICLE.replace(
            "2025-10-04T12:34:56.123Z",
            &contract::format_millis(chrono::Utc::now()),
        ));
    let again = post.try_clone().unwrap();
    assert_eq!(post.send().await.unwrap().status(), 202);
    assert_eq!(queued(&cloud).len(), 1);
    for arguments in [&["health"][..], &["health", "--live"]] {
        let health = ingest(&[("METRICS_LISTEN", &admin)])
            .args(arguments)
            .output()
            .unwrap();
        assert!(health.status.success(), "{}", complaint(&health));
    }

    // Who sends it means the keys, and there is no file of them.
    let id = running.0.id().to_string();
    let signalled = Command::new("kill").args(["-HUP", &id]).status();
    assert!(signalled.unwrap().success());
    assert_eq!(again.send().await.unwrap().status(), 202);

    // The client's connection stays open and idle: it must not hold the stop up.
    let asked = tokio::time::Instant::now();
    let signalled = Command::new("kill").args(["-TERM", &id]).status();
    assert!(signalled.unwrap().success());
    let code = tokio::task::spawn_blocking(move || running.0.wait().unwrap().code())
        .await
        .unwrap();
    assert_eq!(code, Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("event=stopping") && rest.contains("event=stopped"),
        "{rest}"
    );
    assert!(rest.contains("event=nothing_reloaded"), "{rest}");
    assert!(
        rest.contains("event=ingest_rate count=2 unit=per_minute"),
        "{rest}"
    );
}
