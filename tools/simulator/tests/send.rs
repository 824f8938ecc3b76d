//! Whole runs against a stand-in for ingest.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::FakeIngest;
use simulator::{Class, Client, ClientConfig, DueEvent, SendError, SendOptions, Summary, send};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn client(url: &str) -> Arc<Client> {
    let timeout = Duration::from_secs(1_000_000);
    Arc::new(
        Client::new(&ClientConfig {
            timeout,
            ..ClientConfig::new(url, "key".into())
        })
        .unwrap(),
    )
}

fn event(n: u64, class: Class, due: Option<Duration>) -> Result<DueEvent, Infallible> {
    Ok(DueEvent {
        body: format!("{{\"n\":{n}}}"),
        class,
        due,
    })
}

async fn run(
    url: &str,
    events: impl Iterator<Item = Result<DueEvent, Infallible>> + Send + 'static,
    options: SendOptions,
    stop: &CancellationToken,
) -> Summary {
    let mut summary = Summary::default();
    let (ended, source) = send(client(url), events, &options, stop, |posted| {
        summary.add(posted);
    })
    .await;
    assert!(source.is_some());
    summary.ended = ended;
    summary
}

#[tokio::test]
async fn every_event_is_posted_once_in_posts_of_the_asked_size() {
    let (fake, url) = FakeIngest::start([]).await;
    let options = SendOptions {
        batch: 100,
        connections: 4,
        ..SendOptions::default()
    };
    let events = (0..1_050).map(|n| event(n, Class::Good, None));
    let summary = run(&url, events, options, &CancellationToken::new()).await;
    assert_eq!(
        (
            summary.total_sent(),
            summary.total_accepted(),
            summary.ended.requests.requests
        ),
        (1_050, 1_050, 11)
    );
    assert!(summary.is_fine() && !summary.ended.stopped);
    let mut seen = fake.events();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1_050);
}

#[tokio::test(start_paused = true)]
async fn events_go_out_when_they_are_due_and_do_not_wait_for_distant_neighbours() {
    let (fake, url) = FakeIngest::start([]).await;
    let start = Instant::now();
    let events = [0, 10, 20, 3_600_000].into_iter().enumerate();
    let events =
        events.map(|(n, due)| event(n as u64, Class::Good, Some(Duration::from_millis(due))));
    let options = SendOptions {
        batch: 500,
        ..SendOptions::default()
    };
    let summary = run(&url, events, options, &CancellationToken::new()).await;
    assert_eq!(
        (summary.total_accepted(), summary.ended.requests.requests),
        (4, 2)
    );
    assert!(start.elapsed() >= Duration::from_secs(3_600));
    assert_eq!(
        fake.received()[0]
            .body
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        3
    );
}

#[tokio::test]
async fn refusals_count_by_code_and_only_sound_ones_are_a_failure() {
    let body = r#"{"accepted":1,"rejected":[{"index":1,"code":"missing_field","message":"m"},{"index":2,"code":"wrong_type","message":"w"}]}"#;
    for (last, fine) in [(Class::Broken, true), (Class::Late, false)] {
        let (_, url) = FakeIngest::start([(202, None, body.to_owned())]).await;
        let classes = [Class::Good, Class::Broken, last];
        let events = classes.into_iter().map(|class| event(1, class, None));
        let options = SendOptions {
            batch: 3,
            ..SendOptions::default()
        };
        let summary = run(&url, events, options, &CancellationToken::new()).await;
        assert_eq!(summary.rejected["missing_field"], (1, "m".to_owned()));
        assert_eq!(
            (
                summary.total_accepted(),
                summary.total_rejected(),
                summary.is_fine()
            ),
            (1, 2, fine)
        );
    }
}

#[tokio::test]
async fn a_wrong_key_ends_the_run_at_once() {
    let (fake, url) =
        FakeIngest::start((0..1_000).map(|_| (401, None, r#"{"message":"wrong key"}"#.to_owned())))
            .await;
    let options = SendOptions {
        connections: 2,
        ..SendOptions::default()
    };
    let summary = run(
        &url,
        (0..).map(|n| event(n, Class::Good, None)),
        options,
        &CancellationToken::new(),
    )
    .await;
    assert!(
        matches!(&summary.ended.failure, Some(SendError::Post(error)) if error.to_string().contains("wrong key"))
    );
    assert!(fake.received().len() < 20, "{}", fake.received().len());
    // ingest has answered: they are refused, not unknown.
    assert_eq!(summary.total_rejected(), summary.total_sent());
    assert_eq!(summary.unanswered, 0);
}

#[tokio::test]
async fn a_post_that_is_too_large_is_refused_and_the_run_goes_on() {
    let (_, url) = FakeIngest::start([(413, None, r#"{"message":"too large"}"#.to_owned())]).await;
    let options = SendOptions {
        batch: 10,
        connections: 1,
        ..SendOptions::default()
    };
    let summary = run(
        &url,
        (0..30).map(|n| event(n, Class::Good, None)),
        options,
        &CancellationToken::new(),
    )
    .await;
    assert_eq!(
        (
            summary.total_accepted(),
            summary.sound_refused,
            summary.unanswered
        ),
        (20, 10, 0)
    );
    assert!(summary.ended.failure.is_none() && !summary.is_fine());
}

#[tokio::test]
async fn a_stop_finishes_the_posts_under_way_and_sends_no_more() {
    let (fake, url) = FakeIngest::start([]).await;
    let stop = CancellationToken::new();
    let endless = (0..).map(|n| event(n, Class::Good, Some(Duration::from_millis(n))));
    let options = SendOptions::default();
    let most_under_way = options.connections as u64 + 1;
    let (summary, there) = tokio::join!(run(&url, endless, options, &stop), async {
        while fake.events().len() < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        fake.events().len() as u64
    });
    assert!(summary.ended.stopped && summary.is_fine());
    assert!(
        (there..=there + most_under_way).contains(&summary.total_sent()),
        "{} of {there}",
        summary.total_sent()
    );
    assert_eq!(summary.total_accepted(), fake.events().len() as u64);
}
