//! A tail on a lake in memory, in simulated time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod landings;
mod stage;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use contract::{Hour, RAW, raw_key, raw_part_name};
use lake::tail::{TailCounts, TailSettings};
use local_aws::{FaultKind, Faults};
use uuid::Uuid;

use crate::stage::{Stage, ids, line, pass, polled};

#[tokio::test(start_paused = true)]
async fn new_objects_come_once_in_the_order_of_their_arrival() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    let empty = polled(&mut tail).await.2;
    assert_eq!((empty.objects, empty.newest, empty.lag()), (0, None, None));
    assert!(empty.reached_end);
    let second = stage.put(-20, &["c", "d"]).await;
    let first = stage.put(-50, &["a", "b"]).await;
    let (keys, given, progress) = polled(&mut tail).await;
    assert_eq!(
        (keys, given),
        (
            vec![first, second],
            ["a", "b", "c", "d"].map(String::from).to_vec()
        )
    );
    assert!(progress.reached_end);
    assert_eq!(progress.lag(), Some(TimeDelta::seconds(20)));
    pass(TimeDelta::seconds(1)).await;
    let third = stage.put(-1, &["e"]).await;
    assert_eq!(polled(&mut tail).await.0, [third]);
    assert!(polled(&mut tail).await.0.is_empty());
    let expected = TailCounts {
        objects: 3,
        events: 5,
        ..TailCounts::default()
    };
    assert_eq!(tail.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_late_part_comes_with_the_next_poll_or_the_next_sweep_or_never() {
    let stage = Stage::new().await;
    let mut tail = stage.tail_from(DateTime::UNIX_EPOCH, TailSettings::default());
    stage.put(0, &["newest"]).await;
    polled(&mut tail).await;
    // The first sweep.
    polled(&mut tail).await;
    pass(TimeDelta::seconds(10)).await;
    stage
        .put(-4 * 60, &["within the overlap"].map(|id| &id[..6]))
        .await;
    stage.put(-100 * 60, &["swept"]).await;
    stage.put(-26 * 60 * 60, &["too-late"]).await;
    assert_eq!(ids(&mut tail).await, ["within"]);
    assert!(ids(&mut tail).await.is_empty());
    pass(TimeDelta::seconds(51)).await;
    assert_eq!(ids(&mut tail).await, ["swept"]);
    pass(TimeDelta::minutes(30)).await;
    assert!(ids(&mut tail).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_part_comes_also_if_the_tail_could_not_list_for_longer_than_the_sweep_reaches_back()
{
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    // The first poll is no sweep, the second is one.
    for [newest, late, after] in [["a", "b", "c"], ["d", "e", "f"]] {
        stage.put(0, &[newest]).await;
        polled(&mut tail).await;
        pass(TimeDelta::seconds(10)).await;
        stage.put(-20 * 60, &[late]).await;
        pass(TimeDelta::hours(4)).await;
        stage.put(0, &[after]).await;
        assert_eq!(ids(&mut tail).await, [late, after]);
        assert!(ids(&mut tail).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_once_and_the_first_of_two_with_one_id_stays() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    stage.put(-3, &["a", "b", "a"]).await;
    stage.put(-2, &["b", "c"]).await;
    let arrival = stage.now();
    let key = raw_key(Hour::of(arrival), raw_part_name(arrival, 9));
    let body = format!(
        "\nno json\n{}\r\n{{\"kind\":\"vehicle\"}}\n{}",
        line("a", 2),
        line("d", 1)
    );
    stage.put_at(&key, body + "{\"kind\":\"no-such\"}").await;
    assert_eq!(ids(&mut tail).await, ["a", "b", "c", "d"]);
    let expected = TailCounts {
        objects: 3,
        events: 4,
        duplicates: 2,
        conflicts: 1,
        refused: 3,
        ..TailCounts::default()
    };
    assert_eq!(tail.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn events_that_a_reader_does_not_take_count_as_taken() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    stage.put(-3, &["a", "b"]).await;
    tail.poll(|_| {}).await.unwrap();
    stage.put(-2, &["b", "c"]).await;
    assert_eq!(ids(&mut tail).await, ["c"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_past_the_bound_is_passed_over_once_and_counted() {
    let stage = Stage::new().await;
    let most = line("a", 1).len() as u64;
    let mut tail = stage.tail(TailSettings {
        max_object_bytes: most,
        ..TailSettings::default()
    });
    stage.put(-3, &["a"]).await;
    stage.put(-2, &["b", "c"]).await;
    stage.put(-1, &["d"]).await;
    let (keys, given, progress) = polled(&mut tail).await;
    assert_eq!(
        (keys.len(), given),
        (2, ["a", "d"].map(String::from).to_vec())
    );
    assert!(progress.reached_end);
    assert!(ids(&mut tail).await.is_empty());
    let expected = TailCounts {
        objects: 2,
        events: 2,
        too_large: 1,
        ..TailCounts::default()
    };
    assert_eq!(tail.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_tail_gives_what_arrived_from_the_time_asked_for() {
    let stage = Stage::new().await;
    for (seconds, id) in [(-7200, "a"), (-1800, "b"), (-600, "c"), (-599, "d")] {
        stage.put(seconds, &[id]).await;
    }
    let old = Uuid::new_v5(&Uuid::nil(), b"old");
    let hour_of_c = Hour::of(stage.now() - TimeDelta::seconds(600));
    stage.put_at(&raw_key(hour_of_c, old), line("old", 1)).await;
    let from = stage.now() - TimeDelta::seconds(600);
    let mut tail = stage.tail_from(from, TailSettings::default());
    for _ in 0..3 {
        let mut given = ids(&mut tail).await;
        given.sort();
        // The name of the old part tells its hour alone.
        let new = ["c", "d", "old"];
        assert!(
            given == new || given.is_empty() && tail.counts().events == 3,
            "{given:?}"
        );
        pass(TimeDelta::minutes(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_asks_for_it_gives_what_landed_lately_however_old_its_name() {
    let stage = Stage::new().await;
    stage.put(-3_600, &["a"]).await;
    pass(TimeDelta::minutes(10)).await;
    let from = stage.now();
    for (seconds, id) in [(-3_600, "b"), (-10, "c"), (1, "d"), (-3 * 3_600, "e")] {
        stage.put(seconds, &[id]).await;
    }
    let mut by_names = stage.tail_from(from, TailSettings::default());
    assert_eq!(ids(&mut by_names).await, ["d"]);
    let tail = stage.tail_from(from, TailSettings::default());
    let mut by_landing = tail.and_landed_from(from);
    // What has the oldest name lies further back than a sweep.
    assert_eq!(ids(&mut by_landing).await, ["b", "c", "d"]);
    pass(TimeDelta::minutes(1)).await;
    stage.put(-3_600, &["f"]).await;
    assert_eq!(ids(&mut by_landing).await, ["f"]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_comes_in_steps_the_oldest_first() {
    let stage = Stage::new().await;
    for (at, id) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        stage.put(at as i64 - 1000, &[id]).await;
    }
    let mut by_objects = stage.tail(TailSettings {
        max_objects: 2,
        ..TailSettings::default()
    });
    // Two lines fit, a third does not; a step of one byte still takes an object.
    let two = 2 * line("a", 1).len() as u64;
    let mut by_bytes = stage.tail(TailSettings {
        max_bytes: two,
        ..TailSettings::default()
    });
    for (step, end) in [
        (vec!["a", "b"], false),
        (vec!["c", "d"], false),
        (vec!["e"], true),
    ] {
        for tail in [&mut by_objects, &mut by_bytes] {
            let (_, given, progress) = polled(tail).await;
            assert_eq!(
                (&given, progress.reached_end),
                (&step.iter().map(|id| (*id).to_owned()).collect(), end)
            );
        }
    }
    let mut smallest = stage.tail(TailSettings {
        max_bytes: 1,
        ..TailSettings::default()
    });
    assert_eq!(ids(&mut smallest).await, ["a"]);
    // What lands behind the place that was reached comes once the end is.
    stage.put(-1100, &["late"]).await;
    let mut rest = Vec::new();
    while !polled(&mut by_objects).await.0.is_empty() {}
    for _ in 0..7 {
        rest.extend(ids(&mut smallest).await);
    }
    assert_eq!(rest, ["b", "c", "d", "e", "late"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_listing_is_read_page_by_page() {
    let stage = Stage::new().await;
    let start = stage.now() - TimeDelta::minutes(20);
    for number in 0..2_345_u32 {
        let arrival = start + TimeDelta::milliseconds(i64::from(number) * 100);
        let key = raw_key(Hour::of(arrival), raw_part_name(arrival, number.into()));
        stage.put_at(&key, line(&number.to_string(), 1)).await;
    }
    let mut tail = stage.tail(TailSettings::default());
    let mut given = Vec::new();
    for _ in 0..3 {
        given.extend(ids(&mut tail).await);
    }
    assert_eq!(
        given,
        (0..2_345)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
    assert!(polled(&mut tail).await.2.reached_end);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_after_the_listing_is_counted() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    let gone = stage.put(-2, &["a"]).await;
    stage.put(-1, &["b"]).await;
    let second = Duration::from_secs(1);
    stage
        .cloud
        .set_faults(Faults::seeded(1).slow("*", 1.0, second..second));
    let delete = async {
        tokio::time::sleep(second / 2).await;
        stage.lake.delete(&[gone]).await.unwrap();
    };
    let (given, ()) = tokio::join!(ids(&mut tail), delete);
    assert_eq!(given, ["b"]);
    assert_eq!((tail.counts().vanished, tail.counts().objects), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn parts_with_other_names_are_found_by_the_sweep_and_other_objects_are_left_alone() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    stage.put(-1, &["newest"]).await;
    polled(&mut tail).await;
    polled(&mut tail).await;
    let hour = Hour::of(stage.now());
    // Sorts before all names by arrival, as half of the old names do.
    let old = Uuid::from_u128(0x0000_0000_1111_5222_8333_4444_5555_6666);
    stage.put_at(&raw_key(hour, old), line("old", 1)).await;
    stage
        .put_at(&format!("{RAW}{hour}/by-hand.jsonl"), line("by-hand", 1))
        .await;
    for key in ["notes.txt", "part-1.jsonl.tmp"] {
        stage
            .put_at(&format!("{RAW}{hour}/{key}"), line("no", 1))
            .await;
    }
    stage.put_at("raw/zzz.jsonl", line("no", 1)).await;
    assert!(ids(&mut tail).await.is_empty());
    pass(TimeDelta::minutes(1)).await;
    let (_, given, progress) = polled(&mut tail).await;
    assert_eq!(
        given.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["by-hand", "old"])
    );
    assert_eq!(progress.lag(), Some(TimeDelta::seconds(61)));
}

#[tokio::test(start_paused = true)]
async fn a_name_from_the_future_does_not_hide_the_present() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    stage.put(3600, &["ahead"]).await;
    let (_, given, progress) = polled(&mut tail).await;
    assert_eq!(
        (given, progress.lag()),
        (vec!["ahead".to_owned()], Some(TimeDelta::zero()))
    );
    polled(&mut tail).await;
    stage.put(-2, &["present"]).await;
    assert_eq!(ids(&mut tail).await, ["present"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_leaves_the_rest_to_the_next_poll() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings {
        in_flight: 1,
        ..TailSettings::default()
    });
    for (seconds, id) in [(-3, "a"), (-2, "b"), (-1, "c")] {
        stage.put(seconds, &[id]).await;
    }
    let mut given = Vec::new();
    let failed = tail.poll(|object| {
        // The second read, with its retries.
        stage
            .cloud
            .fail_next("GetObject", 4, FaultKind::InternalError);
        given.extend(
            object
                .events
                .map(|(_, event)| event.event_id.unwrap().into_owned()),
        );
    });
    assert!(failed.await.is_err());
    assert_eq!(given, ["a"]);
    assert_eq!(ids(&mut tail).await, ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_on_keys_no_object_comes_twice_and_past_that_on_ids_events_do() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings {
        max_keys: 2,
        max_ids: 2,
        ..TailSettings::default()
    });
    for (seconds, id) in [(-40, "a"), (-30, "b"), (-20, "c")] {
        stage.put(seconds, &[id]).await;
    }
    assert_eq!(ids(&mut tail).await, ["a", "b", "c"]);
    // No longer looked for: its key sorts before the oldest key that is remembered.
    stage.put(-41, &["late"]).await;
    stage.put(-10, &["a", "c"]).await;
    assert_eq!(ids(&mut tail).await, ["a"]);
    pass(TimeDelta::minutes(2)).await;
    assert!(ids(&mut tail).await.is_empty());
    let counts = tail.counts();
    assert_eq!((counts.forgotten_keys, counts.forgotten_ids), (2, 2));
    assert_eq!((counts.objects, counts.duplicates), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_the_horizon_is_forgotten_and_never_given_again() {
    let stage = Stage::new().await;
    let mut tail = stage.tail(TailSettings::default());
    let mut given = Vec::new();
    for hour in 0..12 {
        for part in 0..5 {
            stage.put(-part, &[&format!("{hour}-{part}")]).await;
        }
        for _ in 0..4 {
            given.extend(ids(&mut tail).await);
            pass(TimeDelta::minutes(15)).await;
        }
    }
    assert_eq!(given.len(), 60);
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 60);
    assert_eq!(tail.counts().forgotten_ids, 0);
    // Out of the horizon, an id that comes again is a new event.
    stage.put(0, &["0-0", "11-0"]).await;
    assert_eq!(ids(&mut tail).await, ["0-0"]);
}
