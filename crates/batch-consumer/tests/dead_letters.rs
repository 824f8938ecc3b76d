//! Listing, showing, replaying and purging dead letters.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers may panic as the test itself may"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws::Outgoing;
use batch_consumer::dlq::{self, Filter, Listing, OfEntity};
use contract::Kinds;
use local_aws::FaultKind;
use support::*;
use tokio_util::sync::CancellationToken;

fn letter(body: &str, reason: &str) -> Outgoing {
    let attributes = [
        ("reason", reason),
        ("detail", "because"),
        ("source_message_id", "m-1"),
        ("received_at", "2025-10-04T12:00:00.000Z"),
        ("colour", "red"),
    ];
    Outgoing {
        body: body.to_owned(),
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

/// A bench with 25 letters of broken events, 3 undecodable ones and a pack by redrive.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    let mut letters: Vec<Outgoing> = (0..25)
        .map(|id| letter(&sent(&name(id)), "wrong_type"))
        .collect();
    letters.extend((0..3).map(|n| letter(&format!("poison {n}"), "undecodable")));
    letters.extend(packs(&[stored("x"), stored("y")]));
    for result in bench.dlq.send(&letters).await {
        result.unwrap();
    }
    bench
}

async fn list(bench: &Bench, filter: Filter) -> Listing {
    let stop = CancellationToken::new();
    let listing = dlq::list(&bench.dlq, &Kinds::builtin(), &filter, &stop).await;
    all_visible(bench);
    listing.unwrap()
}

fn all_visible(bench: &Bench) {
    let counts = bench.cloud.queue_counts(bench.dlq.name()).unwrap();
    assert_eq!(counts.in_flight, 0, "every letter is visible again");
}

fn with_reason(reason: &str) -> Filter {
    Filter {
        reason: Some(reason.to_owned()),
        ..Filter::default()
    }
}

async fn replay(bench: &Bench, filter: Filter, dry_run: bool) -> dlq::Replayed {
    let stop = CancellationToken::new();
    let mut told = (0, 0);
    let replayed = dlq::replay(
        &bench.dlq,
        &bench.queue,
        &filter,
        dry_run,
        &stop,
        |done, all| {
            told = (done, all);
        },
    );
    let replayed = replayed.await.unwrap();
    assert_eq!(told.0, replayed.matched);
    all_visible(bench);
    replayed
}

#[tokio::test(start_paused = true)]
async fn a_listing_sees_every_letter_once_and_hides_none() {
    let bench = bench().await;
    for _ in 0..3 {
        let listing = list(&bench, Filter::default()).await;
        assert_eq!(
            (listing.letters.len(), listing.looked.seen, listing.partial),
            (29, 29, false)
        );
        let mut ids: Vec<_> = listing.letters.iter().map(|one| &one.message_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 29);
    }
    let by_redrive = list(&bench, with_reason("max_receives")).await;
    let summary = &by_redrive.letters[0];
    assert_eq!((by_redrive.letters.len(), by_redrive.looked.seen), (1, 29));
    assert_eq!(
        (summary.events, summary.kind.as_deref()),
        (2, Some("vehicle"))
    );
    let broken = list(&bench, with_reason("wrong_type")).await;
    assert_eq!(broken.letters.len(), 25);
    assert_eq!(broken.letters[0].detail.as_deref(), Some("because"));
    assert_eq!(broken.letters[0].entity.as_deref(), Some("veh-1"));
    assert!(broken.letters[0].receives >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_listing_ends_at_its_limit_and_says_so() {
    let bench = bench().await;
    let filter = Filter {
        limit: Some(5),
        ..Filter::default()
    };
    let listing = list(&bench, filter).await;
    assert_eq!((listing.letters.len(), listing.partial), (5, true));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_interrupted_hides_nothing() {
    let bench = bench().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let listing = dlq::list(&bench.dlq, &Kinds::builtin(), &Filter::default(), &stop).await;
    assert!(listing.unwrap().partial);
    all_visible(&bench);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_lists_nothing() {
    let bench = Bench::new().await;
    assert_eq!(list(&bench, Filter::default()).await, Listing::default());
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_shown_with_its_pack_unfolded() {
    let bench = bench().await;
    let stop = CancellationToken::new();
    let id = list(&bench, with_reason("max_receives")).await.letters[0]
        .message_id
        .clone();
    let shown = dlq::show(&bench.dlq, &Kinds::builtin(), &id, &stop)
        .await
        .unwrap()
        .letter
        .unwrap();
    assert_eq!(shown.body, format!("{}\n{}\n", stored("x"), stored("y")));
    assert_eq!(shown.attributes["codec"], "ndjson+zstd+base64");
    all_visible(&bench);
    let none = dlq::show(&bench.dlq, &Kinds::builtin(), "no-such-id", &stop).await;
    assert_eq!(none.unwrap().letter, None);
    all_visible(&bench);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_and_changes_nothing() {
    let bench = bench().await;
    let replayed = replay(&bench, with_reason("undecodable"), true).await;
    assert_eq!((replayed.matched, replayed.sent), (3, 0));
    assert_eq!((bench.queued(), bench.letters().len()), (0, 29));
}

#[tokio::test(start_paused = true)]
async fn a_replay_sends_each_letter_as_it_was_and_deletes_it() {
    let bench = bench().await;
    let replayed = replay(&bench, Filter::default(), false).await;
    assert_eq!(
        (
            replayed.matched,
            replayed.sent,
            replayed.unsent,
            replayed.undeleted
        ),
        (29, 29, 0, 0)
    );
    assert_eq!((bench.queued(), bench.letters().len()), (29, 0));
    let messages = bench.cloud.messages(bench.queue.name());
    let of = |body: &str| -> BTreeMap<String, String> {
        let found = messages.iter().find(|one| one.body.contains(body));
        found.unwrap().attributes.clone()
    };
    // What the letter added is gone; the time of receipt and what was there before stay.
    assert_eq!(
        of("poison 1"),
        [
            ("colour", "red"),
            ("received_at", "2025-10-04T12:00:00.000Z")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    );
    let pack = messages
        .iter()
        .find(|one| one.attributes.contains_key("codec"))
        .unwrap();
    let names: Vec<&str> = pack.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["codec", "events", "version"]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_takes_only_letters_that_match() {
    let bench = bench().await;
    let replayed = replay(&bench, with_reason("undecodable"), false).await;
    assert_eq!((replayed.sent, bench.letters().len()), (3, 26));
    let limited = Filter {
        limit: Some(12),
        ..with_reason("wrong_type")
    };
    assert_eq!(replay(&bench, limited, false).await.sent, 12);
    assert_eq!(bench.letters().len(), 14);
    let ids: Vec<String> = list(&bench, Filter::default()).await.letters[..2]
        .iter()
        .map(|letter| letter.message_id.clone())
        .collect();
    let chosen = Filter {
        ids: ids.clone(),
        ..Filter::default()
    };
    assert_eq!(replay(&bench, chosen, false).await.sent, 2);
    let left: Vec<String> = bench
        .letters()
        .into_iter()
        .map(|one| one.message_id)
        .collect();
    assert_eq!(left.len(), 12);
    assert!(ids.iter().all(|id| !left.contains(id)));
}

#[tokio::test(start_paused = true)]
async fn letters_that_come_while_a_replay_runs_are_left_for_the_next() {
    let bench = bench().await;
    let filter = Filter {
        sent_before: Some((std::time::SystemTime::UNIX_EPOCH + START).into()),
        ..Filter::default()
    };
    assert_eq!(replay(&bench, filter, false).await.sent, 0);
    assert_eq!(bench.letters().len(), 29);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_cannot_send_keeps_the_letters() {
    let bench = bench().await;
    bench
        .cloud
        .fail_next("SendMessageBatch", 4, FaultKind::InternalError);
    let replayed = replay(&bench, Filter::default(), false).await;
    assert_eq!((replayed.sent, replayed.unsent), (19, 10));
    assert!(replayed.failure.is_some());
    assert_eq!((bench.queued(), bench.letters().len()), (19, 10));
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_cannot_delete_says_so_and_loses_nothing() {
    let bench = bench().await;
    bench
        .cloud
        .fail_next("DeleteMessageBatch", 4, FaultKind::InternalError);
    let replayed = replay(&bench, Filter::default(), false).await;
    assert_eq!((replayed.sent, replayed.undeleted), (29, 10));
    assert_eq!((bench.queued(), bench.letters().len()), (29, 10));
}

#[tokio::test(start_paused = true)]
async fn replayed_events_are_written_and_those_still_broken_are_letters_again() {
    let bench = bench().await;
    let running = bench.start();
    let replayed = replay(&bench, Filter::default(), false).await;
    assert!(replayed.sent >= 29);
    bench.drained().await;
    let mut expected = names(0..25);
    expected.extend(["x".to_owned(), "y".to_owned()]);
    assert_eq!(bench.ids(), expected);
    until("poison again", || bench.letters().len() == 3).await;
    assert!(
        bench
            .letters()
            .iter()
            .all(|one| one.attributes["reason"] == "undecodable")
    );
    // The events that were received at 12:00 stand in that hour's lines.
    let lines = bench.raw().into_values().flatten();
    assert_eq!(
        lines.filter(|line| line.contains("T12:00:00.000Z")).count(),
        25
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_purge_deletes_the_letters_that_match_and_only_counts_in_a_dry_run() {
    let bench = bench().await;
    let stop = CancellationToken::new();
    let counted = dlq::purge(&bench.dlq, &with_reason("undecodable"), true, &stop)
        .await
        .unwrap();
    assert_eq!(
        (counted.matched, counted.deleted, bench.letters().len()),
        (3, 0, 29)
    );
    let purged = dlq::purge(&bench.dlq, &with_reason("undecodable"), false, &stop)
        .await
        .unwrap();
    assert_eq!(
        (purged.deleted, purged.undeleted, bench.letters().len()),
        (3, 0, 26)
    );
    all_visible(&bench);
    let purged = dlq::purge(&bench.dlq, &Filter::default(), false, &stop)
        .await
        .unwrap();
    assert_eq!((purged.deleted, bench.letters().len()), (26, 0));
}

#[tokio::test(start_paused = true)]
async fn a_purge_of_an_entity_leaves_letters_that_have_events_of_others() {
    let bench = Bench::new().await;
    let of = |vehicle: &str| format!("{{\"vehicle_id\":\"{vehicle}\",\"payload\":3}}");
    let lines = [("veh-1", "veh-1"), ("veh-1", "veh-2"), ("veh-2", "veh-2")];
    let bodies = lines.map(|(one, two)| format!("{}\n{}", of(one), of(two)));
    let letters = bodies.map(|body| letter(&body, "wrong_type"));
    for result in bench.dlq.send(&letters).await {
        result.unwrap();
    }
    let of_entity = |all| Filter {
        entity: Some(OfEntity {
            kinds: Arc::new(Kinds::builtin()),
            kind: "vehicle".to_owned(),
            entity: "veh-1".to_owned(),
            all,
        }),
        ..Filter::default()
    };
    assert_eq!(list(&bench, of_entity(false)).await.letters.len(), 2);
    let stop = CancellationToken::new();
    let purged = dlq::purge(&bench.dlq, &of_entity(true), false, &stop).await;
    assert_eq!((purged.unwrap().deleted, bench.letters().len()), (1, 2));
}
