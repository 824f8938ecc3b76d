//! The client against a stand-in for ingest. The clock is paused: waits pass at once and to the
//! millisecond, while sockets are real.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::io::Read;
use std::time::Duration;

use common::FakeIngest;
use simulator::{Client, ClientConfig, Compression, PostError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const EVENT: &str = r#"{"vehicle_id":"veh-00001"}"#;

/// Attempts have no time limit here: a paused clock would jump to it.
fn config(url: &str) -> ClientConfig {
    ClientConfig {
        timeout: Duration::from_secs(1_000_000),
        ..ClientConfig::new(url, "key-1".into())
    }
}

fn client(url: &str) -> Client {
    Client::new(&config(url)).unwrap()
}

fn refusal(code: &str) -> String {
    format!(r#"{{"accepted":0,"rejected":[{{"index":0,"code":"{code}","message":"why"}}]}}"#)
}

#[tokio::test]
async fn one_event_goes_as_json_and_several_as_ndjson_with_the_key() {
    let (fake, url) = FakeIngest::start([]).await;
    let client = client(&url);
    assert_eq!(client.post(&[EVENT]).await.unwrap().accepted, [0]);
    assert_eq!(
        client
            .post(&[EVENT.to_owned(), EVENT.to_owned()])
            .await
            .unwrap()
            .accepted,
        [0, 1]
    );
    let received = fake.received();
    assert_eq!(received[0].headers["x-api-key"], "key-1");
    assert_eq!(received[0].headers["content-type"], "application/json");
    assert_eq!(received[0].body, EVENT.as_bytes());
    assert_eq!(received[1].headers["content-type"], "application/x-ndjson");
    assert_eq!(received[1].body, format!("{EVENT}\n{EVENT}\n").as_bytes());
}

#[tokio::test]
async fn nothing_to_post_is_no_request() {
    let (fake, url) = FakeIngest::start([]).await;
    assert!(
        client(&url)
            .post::<&str>(&[])
            .await
            .unwrap()
            .accepted
            .is_empty()
    );
    assert!(fake.received().is_empty());
}

#[tokio::test]
async fn bodies_are_compressed_as_asked() {
    let accepted = || (202, None, r#"{"accepted":2}"#.to_owned());
    let (fake, url) = FakeIngest::start([accepted(), accepted()]).await;
    for compress in [Compression::Zstd, Compression::Gzip] {
        Client::new(&ClientConfig {
            compress,
            ..config(&url)
        })
        .unwrap()
        .post(&[EVENT, EVENT])
        .await
        .unwrap();
    }
    let received = fake.received();
    let text = format!("{EVENT}\n{EVENT}\n");
    assert_eq!(received[0].headers["content-encoding"], "zstd");
    assert_eq!(
        zstd::decode_all(received[0].body.as_slice()).unwrap(),
        text.as_bytes()
    );
    assert_eq!(received[1].headers["content-encoding"], "gzip");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(received[1].body.as_slice())
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text);
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_out_as_long_as_it_asks() {
    let busy = |wait| (429, Some(wait), String::new());
    let (fake, url) = FakeIngest::start([busy("7"), busy("2")]).await;
    let (client, start) = (client(&url), Instant::now());
    let answer = client.post(&[EVENT]).await.unwrap();
    assert_eq!((answer.accepted, answer.attempts), (vec![0], 3));
    assert!(
        start.elapsed() >= Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        (
            client.counts().throttled,
            client.counts().retries,
            client.counts().requests
        ),
        (2, 2, 3)
    );
    let bodies: Vec<_> = fake
        .received()
        .into_iter()
        .map(|received| received.body)
        .collect();
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "a retry is the same post"
    );
}

#[tokio::test(start_paused = true)]
async fn a_503_is_retried_until_it_ends() {
    let down = || (503, None, String::new());
    let (fake, url) = FakeIngest::start([down(), down(), down()]).await;
    let answer = client(&url).post(&[EVENT]).await.unwrap();
    assert_eq!((answer.attempts, fake.received().len()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_time_that_was_given_them() {
    let (fake, url) = FakeIngest::start((0..1_000).map(|_| {
        (
            503,
            None,
            r#"{"error":{"code":"unavailable","message":"queue is down"}}"#.to_owned(),
        )
    }))
    .await;
    let start = Instant::now();
    let client = Client::new(&ClientConfig {
        retry_for: Duration::from_secs(20),
        ..config(&url)
    })
    .unwrap();
    let error = client.post(&[EVENT]).await.unwrap_err();
    assert!(
        matches!(&error, PostError::Overloaded { status: 503, message, .. } if message == "queue is down"),
        "{error}"
    );
    assert!(fake.received().len() > 5);
    // Idle connections have timers too, which the paused clock may jump to.
    assert!(start.elapsed() >= Duration::from_secs(14));
}

#[tokio::test]
async fn what_was_refused_is_never_sent_again() {
    for status in [401, 403, 404, 409, 415] {
        let (fake, url) = FakeIngest::start([(
            status,
            None,
            r#"{"error":{"code":"refused","message":"no"}}"#.to_owned(),
        )])
        .await;
        let error = client(&url).post(&[EVENT]).await.unwrap_err();
        assert!(
            matches!(&error, PostError::Refused { status: got, message } if *got == status && message == "no"),
            "{error}"
        );
        assert_eq!(fake.received().len(), 1);
    }
}

#[tokio::test]
async fn a_partial_refusal_names_the_events_by_their_position() {
    let body = r#"{"accepted":2,"rejected":[{"index":1,"code":"missing_field","message":"`can_id` is missing"}]}"#;
    let (_, url) = FakeIngest::start([(202, None, body.to_owned())]).await;
    let answer = client(&url).post(&[EVENT, EVENT, EVENT]).await.unwrap();
    assert_eq!(answer.accepted, [0, 2]);
    assert_eq!(
        (answer.rejected[0].index, answer.rejected[0].code.as_str()),
        (1, "missing_field")
    );
}

#[tokio::test]
async fn a_single_event_that_is_refused_is_an_answer_whatever_the_status() {
    let script = [
        (422, None, refusal("wrong_type")),
        (
            400,
            None,
            r#"{"error":{"code":"invalid_json","message":"truncated"}}"#.to_owned(),
        ),
        (413, None, String::new()),
    ];
    let (_, url) = FakeIngest::start(script).await;
    let client = client(&url);
    for code in ["wrong_type", "invalid_json", "http_413"] {
        let answer = client.post(&[EVENT]).await.unwrap();
        assert_eq!(
            (answer.accepted.len(), answer.rejected[0].code.as_str()),
            (0, code)
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_not_ingests_is_an_error() {
    let (_, url) = FakeIngest::start([
        (202, None, "<html>".to_owned()),
        (202, None, r#"{"accepted":1}"#.to_owned()),
    ])
    .await;
    let client = client(&url);
    for _ in 0..2 {
        assert!(matches!(
            client.post(&[EVENT, EVENT]).await,
            Err(PostError::Unreadable { status: 202, .. })
        ));
    }
}

#[tokio::test]
async fn an_ingest_that_is_not_there_is_reported_with_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&ClientConfig {
        retry_for: Duration::from_millis(300),
        ..config(&url)
    })
    .unwrap();
    let error = client.post(&[EVENT]).await.unwrap_err();
    assert!(
        matches!(error, PostError::Unreachable { .. }) && error.to_string().contains(&url),
        "{error}"
    );
}

#[tokio::test]
async fn once_stopped_no_post_is_tried_again() {
    let (fake, url) = FakeIngest::start((0..10).map(|_| (503, Some("30"), String::new()))).await;
    let stop = CancellationToken::new();
    let client = client(&url).stopped_by(stop.clone());
    let (error, ()) = tokio::join!(client.post(&[EVENT]), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
    });
    assert!(matches!(error, Err(PostError::Overloaded { .. })));
    assert_eq!(fake.received().len(), 1);
}
