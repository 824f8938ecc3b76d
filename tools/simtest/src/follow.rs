//! A service that follows the new events of `raw/`, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{Event, Hour, Kinds, RAW, parse_line, raw_arrival_of, raw_hour_of};
use lake::tail::{NewObject, Tail, TailSettings};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::forget::is_gone;
use crate::wire::Process;
use crate::world::{BUCKET, World, lock};

/// How far back the sweep lists: further than any part lands behind its name that was received during the run.
const SWEEP: TimeDelta = TimeDelta::hours(6);

/// Kind, event hour and id of an event.
pub type Identity = (String, Hour, String);

/// How often the tail gave each event since its process started.
pub type Followed = Arc<Mutex<BTreeMap<Identity, u32>>>;

/// The time from whose parts on the tail reads.
fn from(world: &World) -> DateTime<Utc> {
    world.plan.start - TimeDelta::hours(3)
}

/// Polls until it is told to stop; when the run is over it reads what is left.
///
/// # Errors
///
/// Never: a poll that fails is made again.
pub async fn run(
    process: Process,
    stop: CancellationToken,
    followed: Followed,
) -> anyhow::Result<()> {
    lock(&followed).clear();
    let (settings, pause) = process.draw(|chance| {
        let settings = TailSettings {
            overlap: TimeDelta::seconds(chance.one_of(&[0, 10, 300])),
            sweep: SWEEP,
            sweep_every: TimeDelta::seconds(chance.one_of(&[5, 60])),
            remember: SWEEP,
            max_bytes: chance.one_of(&[1, 2_000, 64 << 20]),
            max_objects: chance.one_of(&[1, 3, 1_000]),
            in_flight: chance.one_of(&[1, 8]),
            ..TailSettings::default()
        };
        (settings, Duration::from_secs(chance.one_of(&[1, 3, 10])))
    });
    let (world, kinds) = (process.world.clone(), Arc::new(Kinds::builtin()));
    let lake = process.aws().lake(BUCKET);
    let mut tail = Tail::new(lake, kinds, process.clock, settings, from(&world));
    while !stop.is_cancelled() {
        if poll(&process, &mut tail, &followed).await {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }
    if world.over.is_cancelled() {
        // The first time perhaps without a sweep.
        for _ in 0..2 {
            sleep(Duration::from_secs(61)).await;
            while !poll(&process, &mut tail, &followed).await {}
        }
        process.tell(format_args!("{:?}", tail.counts()));
    }
    Ok(())
}

/// One poll; whether it reached the end.
async fn poll(process: &Process, tail: &mut Tail, followed: &Followed) -> bool {
    let polled = tail.poll(|object: NewObject<'_>| {
        for (_, event) in object.events {
            let identity = identity(&event);
            let times = {
                let mut followed = lock(followed);
                let times = followed.entry(identity.clone()).or_default();
                *times += 1;
                *times
            };
            if times > 1 {
                process
                    .world
                    .fail(format!("the tail gave {identity:?} {times} times"));
            }
        }
    });
    match polled.await {
        Ok(progress) => progress.reached_end,
        Err(error) => {
            process.tell(format_args!("a poll fails: {error}"));
            sleep(Duration::from_secs(1)).await;
            false
        }
    }
}

/// The identity of an event.
pub fn identity(event: &Event<'_>) -> Identity {
    let id = event.event_id.as_deref().unwrap_or_default();
    (event.kind.name.clone(), Hour::of(event.time), id.to_owned())
}

/// At the end of a run the tail has given each event of the parts that it was to read, once, and no other.
pub fn hold(world: &World, followed: &Followed) {
    let (kinds, from) = (Kinds::builtin(), from(world));
    let mut there = BTreeSet::new();
    for key in world.cloud.objects(BUCKET) {
        let Some(hour) = raw_hour_of(&key).filter(|_| key.starts_with(RAW)) else {
            continue;
        };
        let wanted = match raw_arrival_of(&key) {
            Some(arrival) => arrival >= from,
            None => hour >= Hour::of(from),
        };
        let body = world.cloud.object(BUCKET, &key).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let events = body.lines().filter(|_| wanted);
        there.extend(events.filter_map(|line| Some(identity(&parse_line(&kinds, line).ok()?))));
    }
    let given: BTreeSet<Identity> = lock(followed).keys().cloned().collect();
    let stays = |event: &&Identity| !is_gone(event);
    for missing in there.difference(&given).filter(stays) {
        world.fail(format!("the tail did not give {missing:?}"));
    }
    for other in given.difference(&there).filter(stays) {
        world.fail(format!("the tail gave {other:?}, which is in no part"));
    }
    world.tell(
        "judge",
        format_args!("the tail gave {} events", given.len()),
    );
}
