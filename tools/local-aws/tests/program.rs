//! The program: its messages, its exits, and what a kill leaves.
//!
//! In a test binary of its own: a process that is being started holds the open files of the one
//! that starts it for a moment, and with them the lock of a folder that a test has let go of.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::primitives::ByteStream;

/// The program as it runs; ended with the test.
struct Program {
    child: Child,
    /// Kept open: whoever prints to a closed pipe dies of it.
    output: BufReader<ChildStdout>,
    printed: String,
    endpoint: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program on a free port; its endpoint is in a line it prints.
fn start(data: Option<&Path>) -> Program {
    start_with(data, &[])
}

fn start_with(data: Option<&Path>, arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-aws"));
    command.args(arguments);
    if let Some(folder) = data {
        command.arg("--data").arg(folder);
    }
    start_command(&mut command)
}

fn start_command(command: &mut Command) -> Program {
    command
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut program = Program {
        output: BufReader::new(child.stdout.take().unwrap()),
        child,
        printed: String::new(),
        endpoint: String::new(),
    };
    while program.endpoint.is_empty() {
        let mut line = String::new();
        let read = program.output.read_line(&mut line).unwrap();
        assert!(read > 0, "it should print where it listens");
        if let Some(endpoint) = line.strip_prefix("export AWS_ENDPOINT_URL=") {
            program.endpoint = endpoint.trim().to_owned();
        }
        program.printed.push_str(&line);
    }
    program
}

fn s3(endpoint: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

fn sqs(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None));
    aws_sdk_sqs::Client::from_conf(config.build())
}

#[tokio::test]
async fn a_killed_program_has_lost_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start(Some(folder.path()));
    let warning = "for development and tests only";
    assert!(program.printed.contains(warning), "{}", program.printed);
    let (sqs_client, s3_client) = (sqs(&program.endpoint), s3(&program.endpoint));
    s3_client
        .create_bucket()
        .bucket("lake")
        .send()
        .await
        .unwrap();
    let created = sqs_client
        .create_queue()
        .queue_name("q")
        .send()
        .await
        .unwrap();
    let url = created.queue_url.unwrap();
    let (answered, mut heard) = tokio::sync::watch::channel(0_u32);
    let write = async {
        for n in 0_u32.. {
            let put = s3_client
                .put_object()
                .bucket("lake")
                .key(format!("raw/{n}"));
            let put = put
                .body(ByteStream::from(n.to_string().into_bytes()))
                .send()
                .await;
            let send = sqs_client
                .send_message()
                .queue_url(&url)
                .message_body(n.to_string());
            if put.is_err() || send.send().await.is_err() {
                return;
            }
            answered.send_replace(n + 1);
        }
    };
    // The kill comes in the middle of writing; what is not answered may go either way.
    tokio::select! {
        () = write => panic!("the program should not have failed"),
        _ = heard.wait_for(|answered| *answered >= 50) => {
            program.child.kill().unwrap();
            program.child.wait().unwrap();
        }
    }
    let answered = *answered.borrow();
    let cloud = local_aws::LocalAws::builder()
        .folder(folder.path())
        .build()
        .unwrap();
    let bodies: Vec<_> = cloud
        .messages("q")
        .into_iter()
        .map(|message| message.body)
        .collect();
    for n in 0..answered {
        let body = n.to_string();
        assert_eq!(
            cloud.object("lake", &format!("raw/{n}")).unwrap(),
            body.as_bytes()
        );
        assert!(bodies.contains(&body), "message {n} of {answered}");
    }
}

#[tokio::test]
async fn sigterm_ends_the_program_with_success() {
    let mut program = start(None);
    s3(&program.endpoint).list_buckets().send().await.unwrap();
    let pid = program.child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(killed.success());
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_variable_that_holds_nothing_counts_as_not_set() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-aws"));
    command.env("LATENCY", "").env("DATA_DIR", "");
    let program = start_command(&mut command);
    assert!(program.printed.contains("memory"), "{}", program.printed);
}

#[test]
fn a_port_in_use_is_named_and_exits_with_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-aws"));
    command.env("LISTEN", &address).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(errors.contains(&address), "{errors}");
}

#[tokio::test]
async fn with_a_latency_every_request_takes_that_long() {
    let program = start_with(None, &["--latency", "80ms"]);
    let (sqs, s3) = (sqs(&program.endpoint), s3(&program.endpoint));
    let started = tokio::time::Instant::now();
    sqs.list_queues().send().await.unwrap();
    s3.list_buckets().send().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(160));
}

#[tokio::test]
async fn its_log_says_who_calls_what_on_which_resource() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let program = start_command(
        Command::new(env!("CARGO_BIN_EXE_local-aws"))
            .env("RUST_LOG", "local_aws=debug")
            .stderr(std::fs::File::create(&path).unwrap()),
    );
    let (sqs, s3) = (sqs(&program.endpoint), s3(&program.endpoint));
    let queue = sqs.create_queue().queue_name("q").send().await.unwrap();
    let purge = sqs.purge_queue().queue_url(queue.queue_url.unwrap());
    purge.send().await.unwrap();
    s3.list_buckets().send().await.unwrap();
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let put = s3.put_object().bucket("lake").key("raw/a b");
    put.send().await.unwrap();
    let list = s3.list_objects_v2().bucket("lake").prefix("raw/");
    list.send().await.unwrap();
    let log = std::fs::read_to_string(&path).unwrap();
    let requests: Vec<_> = log
        .lines()
        .filter_map(|line| line.split_once(r#"event="request" "#))
        .map(|(_, fields)| fields)
        .collect();
    let queue = r#"resource="arn:aws:sqs:us-east-1:000000000000:q""#;
    assert_eq!(
        requests,
        [
            &format!(r#"caller="test" service="sqs" operation="CreateQueue" {queue}"#),
            &format!(r#"caller="test" service="sqs" operation="PurgeQueue" {queue}"#),
            r#"caller="test" service="s3" operation="ListBuckets""#,
            r#"caller="test" service="s3" operation="CreateBucket" resource="arn:aws:s3:::lake""#,
            r#"caller="test" service="s3" operation="PutObject" resource="arn:aws:s3:::lake/raw/a b""#,
            r#"caller="test" service="s3" operation="ListObjectsV2" resource="arn:aws:s3:::lake" prefix="raw/""#,
        ]
    );
}
