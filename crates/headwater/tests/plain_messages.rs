//! Without packing: each event a message of its own, which lands like any other.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aws::Aws;
use clap::Parser;
use local_aws::LocalAws;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "headwater-events";

fn event(n: usize) -> String {
    let minute = chrono::Utc::now().format("%FT%H:%M");
    format!(
        r#"{{"timestamp":"{minute}:00.{n:03}Z","vehicle_id":"veh-{n}","can_id":"0x1F0","payload":{{"engine_rpm":{n}}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_a_plain_message_and_stands_in_raw() {
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let flags = [
        "ingest",
        "--api-keys=the-first-key",
        "--packing=none",
        "--create",
    ];
    let config = ingest::Config::parse_from(flags);
    let ingest = tokio::spawn(ingest::run(
        config,
        aws.clone(),
        listener,
        None,
        Default::default(),
        stop.clone(),
    ));

    let body: String = (0..25).map(|n| event(n) + "\n").collect();
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: ingest\r\nx-api-key: the-first-key\r\nconnection: close\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");

    let messages = cloud.messages(QUEUE);
    assert_eq!(messages.len(), 25);
    let mut sent: Vec<String> = messages.into_iter().map(|message| message.body).collect();
    assert!(sent.iter().all(|line| line.contains(r#""event_id":"#)));
    assert!(
        cloud
            .messages(QUEUE)
            .iter()
            .all(|message| message.attributes.is_empty())
    );
    let usage = aws.meter().usage()["sqs:SendMessageBatch"];
    assert_eq!(usage.requests, 3, "ten messages a call");

    let config =
        batch_consumer::Config::parse_from(["batch-consumer", "--create", "--poll-wait=1s"]);
    let consumer = tokio::spawn(batch_consumer::run(config, aws.clone(), stop.clone()));
    let lake = aws.lake("headwater-lake");
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut landed = Vec::new();
    while landed.len() < sent.len() {
        assert!(Instant::now() < deadline, "{} lines landed", landed.len());
        sleep(Duration::from_millis(100)).await;
        landed.clear();
        for object in lake.list("raw/", None).await.unwrap_or_default() {
            let object = lake.get(&object.key).await.unwrap().unwrap();
            let text = String::from_utf8(object.body.to_vec()).unwrap();
            landed.extend(text.lines().map(str::to_owned));
        }
    }
    landed.sort();
    sent.sort();
    assert_eq!(landed, sent, "each line as it was sent");
    stop.cancel();
    ingest.await.unwrap().unwrap();
    consumer.await.unwrap().unwrap();
}
