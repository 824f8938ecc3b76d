//! Parts that land in any order.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use contract::{Hour, raw_key, raw_part_name};
use lake::tail::{Tail, TailSettings};
use proptest::prelude::*;

use crate::stage::{Stage, lines, pass, polled};

/// A part: seconds from the start to the time in its name, from there to its landing, and the events in it.
type LatePart = (i64, i64, Vec<u8>);

/// Whatever the order in which parts land, each event comes once.
async fn each_event_comes_once(parts: Vec<LatePart>, max_objects: usize, pause: i64) {
    let stage = Stage::new().await;
    let start = stage.now();
    let settings = TailSettings {
        max_objects,
        ..TailSettings::default()
    };
    let mut tail = stage.tail_from(start - TimeDelta::hours(2), settings);
    let mut landings = BTreeMap::<i64, Vec<_>>::new();
    for (named, late, events) in parts {
        let name = start + TimeDelta::seconds(named);
        landings
            .entry(named + late)
            .or_default()
            .push((name, events));
    }
    let (mut sent, mut given) = (BTreeSet::new(), Vec::new());
    let mut number = 0_u128;
    for (landing, parts) in landings {
        for (name, events) in parts {
            number += 1;
            let key = raw_key(Hour::of(name), raw_part_name(name, number));
            let ids: Vec<String> = events.iter().map(u8::to_string).collect();
            sent.extend(ids.iter().cloned());
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let at = start + TimeDelta::seconds(landing);
            while stage.now() + TimeDelta::seconds(pause) < at {
                pass(TimeDelta::seconds(pause)).await;
                poll_to_the_end(&mut tail, &mut given).await;
            }
            pass((at - stage.now()).max(TimeDelta::zero())).await;
            stage.put_at(&key, lines(&ids)).await;
        }
    }
    pass(TimeDelta::seconds(61)).await;
    poll_to_the_end(&mut tail, &mut given).await;
    let once: BTreeSet<String> = given.iter().cloned().collect();
    assert_eq!(given.len(), once.len(), "{given:?}");
    assert_eq!(once, sent);
}

async fn poll_to_the_end(tail: &mut Tail, given: &mut Vec<String>) {
    loop {
        let (_, new, progress) = polled(tail).await;
        given.extend(new);
        if progress.reached_end {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_order_in_which_parts_land_each_event_comes_once(
        parts in prop::collection::vec((0..5_400_i64, prop_oneof![0..10_i64, 0..7_000_i64], prop::collection::vec(0_u8..40, 1..5)), 1..25),
        max_objects in prop_oneof![Just(1_usize), Just(3), Just(1_000)],
        pause in prop_oneof![Just(20_i64), Just(240), Just(1_700)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(each_event_comes_once(parts, max_objects, pause));
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_the_tail_have_their_derived_signals() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    let time = "2025-10-04T12:00:00.000Z";
    let chat = format!(
        r#"{{"kind":"chat","event_id":"a","ingest_received_at":"{time}","timestamp":"{time}","stream_id":"s","message_id":"m","user":"ann","message":{{"text":"worst lag ever"}}}}"#
    );
    let hour = Hour::of(stage.now());
    stage
        .put_at(&raw_key(hour, raw_part_name(stage.now(), 1)), chat)
        .await;
    let mut values = Vec::new();
    let polled = tail.poll(|object| {
        for (_, event) in object.events {
            let sentiment = event.signals.iter().find(|(name, _)| name == "sentiment");
            values.push(sentiment.unwrap().1.as_number());
        }
    });
    polled.await.unwrap();
    assert_eq!(values, [Some(-0.7579)]);
}
