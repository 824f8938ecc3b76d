//! The binary itself, against an emulation on a port: its log line, its probes, its exit codes.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers may panic as the test itself may"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use aws::{Aws, Outgoing, setup};
use local_aws::{Faults, LocalAws};
use support::{name, packs, plain, stored};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct Server {
    cloud: LocalAws,
    aws: Aws,
    endpoint: String,
    stop: CancellationToken,
}

impl Server {
    async fn start() -> Server {
        let cloud = LocalAws::in_process();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(local_aws::serve(cloud.clone(), listener, stop.clone()));
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        setup::create_queues(&aws, "headwater-events", "headwater-events-dlq")
            .await
            .unwrap();
        Server {
            cloud,
            aws,
            endpoint,
            stop,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batch-consumer"));
        command
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn send(&self, queue: &str, messages: &[Outgoing]) {
        let queue = self.aws.queue(queue).await.unwrap();
        for result in queue.send(messages).await {
            result.unwrap();
        }
    }

    async fn until(&self, what: &str, condition: impl Fn(&LocalAws) -> bool) {
        for _ in 0..600 {
            if condition(&self.cloud) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never came: {what}");
    }
}

/// Waits until the metrics that are served at `listen` have all of these lines, or what begins so.
async fn until_metrics_have(listen: SocketAddr, lines: &[&str]) {
    let mut page = String::new();
    for _ in 0..600 {
        page = tokio::task::spawn_blocking(move || scrape(listen))
            .await
            .unwrap();
        if lines.iter().all(|line| page.contains(line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let missing = lines.iter().find(|line| !page.contains(*line));
    panic!("no `{}` in\n{page}", missing.unwrap());
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn terminate(child: &Child) {
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_program_at_once_and_its_messages_come_again() {
    let server = Server::start().await;
    let hang = Duration::from_secs(60)..Duration::from_secs(61);
    server
        .cloud
        .set_faults(Faults::seeded(1).slow("PutObject", 1.0, hang));
    let mut child = server
        .command(&["--metrics-listen=127.0.0.1:0", "--visibility-timeout=5s"])
        .spawn()
        .unwrap();
    server.send("headwater-events", &[plain(stored("a"))]).await;
    server
        .until("the put under way", |cloud| {
            cloud.faults_fired().contains_key("slow:PutObject")
        })
        .await;
    terminate(&child);
    let ended = tokio::task::spawn_blocking(move || {
        // The first signal must have arrived as one of its own.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let stopping = lines.find(|line| line.as_ref().unwrap().contains("event=stopping"));
        assert!(stopping.is_some(), "it ended without a word");
        terminate(&child);
        lines.for_each(drop);
        child.wait().unwrap()
    });
    assert_eq!(ended.await.unwrap().code(), Some(130));
    assert!(server.cloud.objects("headwater-lake").is_empty());
    server
        .until("the message is back", |cloud| {
            cloud
                .queue_counts("headwater-events")
                .is_some_and(|counts| counts.visible == 1)
        })
        .await;
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_logs_a_line_a_batch_answers_its_probe_and_drains_on_sigterm() {
    let server = Server::start().await;
    let address = free_address();
    let listen = address.to_string();
    let child = server
        .command(&["--metrics-listen", &listen, "--poll-wait", "1s"])
        .spawn()
        .unwrap();
    let lines: Vec<String> = (0..1000).map(|id| stored(&name(id))).collect();
    server.send("headwater-events", &packs(&lines)).await;
    server
        .until("the write", |cloud| {
            cloud.objects("headwater-lake").len() == 1 && cloud.queue_depth("headwater-events") == 0
        })
        .await;
    let health = server
        .output(&["health", "--metrics-listen", &listen])
        .await;
    assert!(health.status.success(), "{}", text(&health.stderr));
    // Held when the stop comes, for its batch is not full.
    server
        .send(
            "headwater-events",
            &[plain(stored("last")), plain("poison")],
        )
        .await;
    until_metrics_have(address, &["headwater_consumer_held_messages 2"]).await;
    terminate(&child);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert_eq!(server.cloud.queue_depth("headwater-events"), 0, "{log}");
    assert_eq!(server.cloud.objects("headwater-lake").len(), 2, "{log}");
    assert_eq!(server.cloud.queue_depth("headwater-events-dlq"), 1, "{log}");
    let line = log.lines().find(|line| line.contains("event=write_batch"));
    let words: Vec<&str> = line.unwrap().split(' ').collect();
    assert_eq!(words[0], "INFO");
    assert!(
        words[1].starts_with("time=20") && words[1].ends_with('Z'),
        "{words:?}"
    );
    assert_eq!(words[2..4], ["event=write_batch", "size=1000"]);
    let names = ["latency_p50=", "latency_p95=", "queue_p50=", "queue_p95="];
    for (word, name) in words[4..8].iter().zip(names) {
        let value = word
            .strip_prefix(name)
            .and_then(|rest| rest.strip_suffix("ms"));
        assert!(
            value.is_some_and(|digits| digits.parse::<u64>().is_ok()),
            "{word}"
        );
    }
    let bytes = format!(
        "bytes={}",
        lines.iter().map(|line| line.len() + 1).sum::<usize>()
    );
    assert_eq!(words[8..], ["objects=1", "messages=1", bytes.as_str()]);
    let health = server
        .output(&["health", "--metrics-listen", &listen])
        .await;
    assert_eq!(health.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_count_what_was_written_and_what_it_cost() {
    let server = Server::start().await;
    let listen = free_address();
    let mut child = server
        .command(&["run", "--metrics-listen", &listen.to_string()])
        .spawn()
        .unwrap();
    server
        .send("headwater-events", &[plain(stored("a")), plain("poison")])
        .await;
    server
        .until("the write", |cloud| {
            cloud.objects("headwater-lake").len() == 1 && cloud.queue_depth("headwater-events") == 0
        })
        .await;
    let lines = [
        "headwater_consumer_events_total 1",
        "headwater_consumer_messages_total 2",
        "headwater_consumer_objects_total 1",
        "headwater_consumer_dead_letters_total{reason=\"undecodable\"} 1",
        "headwater_consumer_write_failures_total 0",
        "headwater_consumer_latency_seconds_bucket{le=\"600\"} 0",
        "headwater_consumer_latency_seconds_bucket{le=\"+Inf\"} 1",
        "headwater_consumer_latency_seconds_count 1",
        // The event is of years ago.
        "headwater_consumer_latency_seconds_sum 3600",
        "headwater_consumer_queue_latency_seconds_count 1",
        "headwater_consumer_held_messages 0",
        "headwater_aws_requests_total{operation=\"s3:PutObject\"} 1",
        "headwater_aws_dollars_total 0.0000",
    ];
    until_metrics_have(listen, &lines).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

fn scrape(listen: SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(listen).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dlq_commands_print_what_they_find_and_exit_as_they_should() {
    let server = Server::start().await;
    let mut letter = plain(stored("a").replace("2150", "\"fast\""));
    for (name, value) in [
        ("reason", "wrong_type"),
        ("detail", "`payload.engine_rpm` is a string"),
    ] {
        letter.attributes.insert(name.into(), value.into());
    }
    server
        .send("headwater-events-dlq", &[letter, plain("moved by redrive")])
        .await;

    let listed = server.output(&["dlq", "list"]).await;
    let table = text(&listed.stdout);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("MESSAGE ID"), "{table}");
    assert!(
        table.contains("wrong_type") && table.contains("max_receives") && table.contains("veh-1")
    );
    assert!(text(&listed.stderr).contains("2 letters listed of 2 looked at"));

    let json = server
        .output(&["dlq", "list", "--json", "--reason", "wrong_type"])
        .await;
    let line: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(line["kind"], "vehicle");
    let id = line["message_id"].as_str().unwrap();

    let shown = server.output(&["dlq", "show", id]).await;
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("wrong_type") && shown.contains("\"engine_rpm\":\"fast\""),
        "{shown}"
    );
    let none = server.output(&["dlq", "show", "none"]).await;
    assert_eq!(none.status.code(), Some(1));

    let dry = server.output(&["dlq", "replay", "--dry-run"]).await;
    assert_eq!(
        text(&dry.stdout),
        "2 letters would be sent to `headwater-events`\n"
    );
    let replayed = server.output(&["dlq", "replay", "--id", id]).await;
    assert_eq!(
        text(&replayed.stdout),
        "1 letter sent to `headwater-events`, 0 failed, 0 sent but not deleted\n"
    );
    assert_eq!(server.cloud.queue_depth("headwater-events"), 1);

    let asked = server.output(&["dlq", "purge"]).await;
    assert_eq!(asked.status.code(), Some(2));
    assert!(text(&asked.stderr).contains("would delete 1 letter for good: add `--yes`"));
    let purged = server.output(&["dlq", "purge", "--yes"]).await;
    assert_eq!(text(&purged.stdout), "1 letter deleted, 0 failed\n");
    assert_eq!(server.cloud.queue_depth("headwater-events-dlq"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_exit_with_2_and_missing_queues_with_1() {
    let server = Server::start().await;
    for arguments in [
        ["--poll-wait", "30s"].as_slice(),
        &["--batch-max-bytes", "many"],
        &["dlq", "list", "--contracts", "/does/not/exist"],
        &["--no-such-flag"],
        &["dlq", "forget"],
    ] {
        let output = server.output(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let arguments = [
        "--create=false",
        "--queue-name=nowhere",
        "--metrics-listen=127.0.0.1:0",
    ];
    let output = server.output(&arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("there is no queue `nowhere`") && said.contains("--create"),
        "{said}"
    );
}
