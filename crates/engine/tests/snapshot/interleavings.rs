//! Objects, commits and reads in any order.

use std::collections::BTreeMap;

use engine::snapshot::Snapshot;
use proptest::prelude::*;

use crate::committer::Committer;
use crate::stage::{Stage, once};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// An object lands: seconds from now to its receipt, and its events. The value of an event is the object's number.
    Land(i64, Vec<u8>),
    /// A commit of those objects begins that are in this mask, counted among those that no commit names.
    Begin(u16),
    /// The commit under way writes its next object.
    Commit,
    /// The keeper looks.
    Refresh,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = 0_u8..10;
    let land = (-200_i64..200, prop::collection::vec(event, 1..6));
    let step = prop_oneof![
        3 => land.prop_map(|(received, events)| Step::Land(received, events)),
        2 => any::<u16>().prop_map(Step::Begin),
        4 => Just(Step::Commit),
        4 => Just(Step::Refresh),
    ];
    prop::collection::vec(step, 1..40)
}

/// The values that an event with this id may have: those of the objects that had landed.
type Landed = BTreeMap<String, Vec<i64>>;

async fn hold(stage: &Stage, snapshot: &Snapshot, landed: &Landed) {
    let seen = once(stage.rows(snapshot).await);
    let ids: Vec<&String> = seen.keys().collect();
    assert_eq!(ids, landed.keys().collect::<Vec<_>>());
    for (id, value) in seen {
        assert!(landed[&id].contains(&value), "{id} is {value}");
    }
}

async fn each_event_counts_once(steps: Vec<Step>, without_hours: bool, max_bytes: u64) {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots_with(engine::snapshot::SnapshotSettings {
        log_every: std::time::Duration::ZERO,
        max_bytes,
        ..Default::default()
    });
    let mut committer = Committer::default();
    committer.without_hours = without_hours;
    let (mut landed, mut free) = (Landed::new(), Vec::new());
    let mut given: Vec<(Snapshot, Landed)> = Vec::new();
    let end = [
        Step::Begin(u16::MAX),
        Step::Refresh,
        Step::Commit,
        Step::Refresh,
    ];
    let end = end
        .into_iter()
        .chain(vec![Step::Commit; 3])
        .chain([Step::Refresh]);
    for (number, step) in (0..).zip(steps.into_iter().chain(end)) {
        match step {
            Step::Land(received, events) => {
                let events: Vec<String> = events.iter().map(u8::to_string).collect();
                for id in &events {
                    landed.entry(id.clone()).or_default().push(number);
                }
                let events: Vec<_> = events.iter().map(|id| (id.as_str(), number)).collect();
                free.push(stage.land(received, &events).await);
            }
            Step::Begin(mask) => {
                let (mut taken, mut left) = (Vec::new(), Vec::new());
                for (at, key) in free.iter().enumerate() {
                    let list = if mask >> (at % 16) & 1 == 1 {
                        &mut taken
                    } else {
                        &mut left
                    };
                    list.push(key.clone());
                }
                if committer.begin(&stage, taken).await {
                    free = left;
                }
            }
            Step::Commit => committer.step(&stage).await,
            Step::Refresh => {
                while !snapshots.refresh().await.unwrap().is_complete {}
                let snapshot = snapshots.newest();
                assert_eq!(snapshot.commit(), committer.done);
                hold(&stage, &snapshot, &landed).await;
                given.push((snapshot, landed.clone()));
            }
        }
        tokio::time::advance(std::time::Duration::from_millis(300)).await;
    }
    // Snapshots that were given out stay as they were.
    for (snapshot, landed) in given {
        hold(&stage, &snapshot, &landed).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_lands_and_is_committed_meanwhile_each_event_counts_once(
        steps in steps(),
        without_hours in prop::bool::weighted(0.2),
        max_bytes in prop_oneof![Just(1_u64), Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(each_event_counts_once(steps, without_hours, max_bytes));
    }
}
