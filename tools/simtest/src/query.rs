//! A service that answers queries from snapshots of the lake, and what must hold of each snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use aws::{Clock, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, RAW, parse_line};
use engine::snapshot::{Snapshot, SnapshotSettings, Snapshots};
use lake::{ReadError, parts};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::attack::Attack;
use crate::follow::{Identity, identity};
use crate::forget::is_gone;
use crate::wire::Process;
use crate::world::{BUCKET, Rebuild, World};

/// A snapshot, and the keys of the raw objects whose events it must have.
type Given = (Snapshot, BTreeSet<String>);

/// Refreshes until it is told to stop, and now and then reads all events through a snapshot.
///
/// # Errors
///
/// Never: a refresh that fails is made again.
pub async fn run(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    let (settings, pause) = process.draw(|chance| {
        let settings = SnapshotSettings {
            log_every: Duration::from_secs(chance.one_of(&[0, 5])),
            overlap: TimeDelta::seconds(chance.one_of(&[0, 10, 300])),
            sweep: TimeDelta::hours(chance.one_of(&[2, 6])),
            sweep_every: TimeDelta::seconds(chance.one_of(&[5, 60])),
            max_bytes: chance.one_of(&[1, 2_000, 64 << 20]),
            in_flight: chance.one_of(&[1, 8]),
            ..SnapshotSettings::default()
        };
        (settings, Duration::from_secs(chance.one_of(&[2, 5, 10])))
    });
    let lake = process.aws().lake(BUCKET);
    let mut reader = Reader::new(lake, process.clock, settings);
    let mut older: Option<Given> = None;
    while !stop.is_cancelled() {
        let refreshed = reader.refresh(&process.world).await;
        let looks = process.draw(|chance| chance.hits(0.4));
        let looked = match refreshed {
            Ok(()) if looks => {
                let given = reader.given();
                let now = hold(&process.world, &reader.lake, &given).await;
                // A snapshot stays as it was, whatever was committed since.
                let before = match older.replace(given) {
                    Some(older) => hold(&process.world, &reader.lake, &older).await,
                    None => Ok(()),
                };
                now.and(before)
            }
            refreshed => refreshed,
        };
        if let Err(error) = looked {
            process.tell(format_args!("cannot read: {error}"));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    Ok(())
}

/// A keeper of snapshots, and the objects that it must have seen.
struct Reader {
    lake: Lake,
    snapshots: Snapshots,
    sure: BTreeSet<String>,
}

impl Reader {
    fn new(lake: Lake, clock: Clock, settings: SnapshotSettings) -> Reader {
        let kinds = Arc::new(Kinds::builtin());
        Reader {
            snapshots: Snapshots::new(lake.clone(), kinds, clock, settings),
            lake,
            sure: BTreeSet::new(),
        }
    }

    /// One refresh, and others until all that it has found is read.
    async fn refresh(&mut self, world: &World) -> Result<(), ReadError> {
        loop {
            let landed = raw_objects(world);
            let refreshed = self.snapshots.refresh().await?;
            if refreshed.is_complete {
                let after = refreshed.listed_after.unwrap_or_default();
                self.sure
                    .extend(landed.into_iter().filter(|key| *key > after));
                return Ok(());
            }
        }
    }

    fn given(&self) -> Given {
        (self.snapshots.newest(), self.sure.clone())
    }
}

fn raw_objects(world: &World) -> Vec<String> {
    let mut keys = world.cloud.objects(BUCKET);
    keys.retain(|key| key.starts_with(RAW));
    keys
}

/// The snapshot has each event of the objects that it must have once, and no event that is in no object.
async fn hold(world: &World, lake: &Lake, (snapshot, sure): &Given) -> Result<(), ReadError> {
    let mut seen = BTreeMap::<Identity, u32>::new();
    let (from, until) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    for kind in snapshot.kinds().iter() {
        for hour in snapshot.hours(&kind.name, from, until).await? {
            let mut count = |rows: &RecordBatch| {
                let ids = rows.column_by_name("event_id");
                for id in ids
                    .into_iter()
                    .flat_map(|ids| ids.as_string::<i32>())
                    .flatten()
                {
                    let identity = (kind.name.clone(), hour.hour, id.to_owned());
                    *seen.entry(identity).or_default() += 1;
                }
            };
            hour.hot.iter().for_each(|rows| count(rows));
            for part in &hour.parts {
                count(&parts::read(lake, &part.key).await?);
            }
        }
    }
    world.fire(Attack::Query);
    let at = format!("a query at commit {}", snapshot.commit());
    for (identity, times) in &seen {
        if *times > 1 {
            world.fail(format!("{at} counts {identity:?} {times} times"));
        }
    }
    let stays = |event: &&Identity| !is_gone(event);
    let given = seen.keys().cloned().collect();
    for missing in events(world, sure.iter()).difference(&given).filter(stays) {
        world.fail(format!("{at} lacks {missing:?}"));
    }
    let all = raw_objects(world);
    let all = events(world, all.iter());
    for invented in given.difference(&all).filter(stays) {
        world.fail(format!("{at} has {invented:?}, which is in no part"));
    }
    Ok(())
}

fn events<'k>(world: &World, keys: impl Iterator<Item = &'k String>) -> BTreeSet<Identity> {
    let kinds = Kinds::builtin();
    let mut events = BTreeSet::new();
    for key in keys {
        let body = world.cloud.object(BUCKET, key).unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        let lines = body.lines();
        events.extend(lines.filter_map(|line| Some(identity(&parse_line(&kinds, line).ok()?))));
    }
    events
}

/// At the end of a run a service that starts counts every event of `raw/` once.
pub async fn hold_at_end(world: &World) {
    let aws = world.onlooker();
    let settings = SnapshotSettings::default();
    let mut reader = Reader::new(aws.lake(BUCKET), aws.clock(), settings);
    let ended = async {
        reader.refresh(world).await?;
        let (snapshot, _) = reader.given();
        let all = raw_objects(world).into_iter().collect();
        hold(world, &reader.lake, &(snapshot, all)).await
    };
    if let Err(error) = ended.await {
        world.fail(format!("the lake cannot be queried: {error}"));
    }
}

/// Rebuilds all hours of the run once, while the aggregators go on. If that fails it is run again, as operators do.
pub async fn rebuild(world: &World) {
    let mut chance = crate::chance::Chance::new(world.plan.seed, "rebuild");
    if !chance.hits(0.25) {
        return;
    }
    sleep(chance.time(Duration::from_secs(2)..world.plan.unrest + Duration::from_secs(30))).await;
    let (config, aws) = (crate::processes::aggregator_config(), world.onlooker());
    let from = Hour::of(world.plan.start - TimeDelta::hours(50));
    let to = Hour::of(world.plan.start + TimeDelta::hours(3));
    world.note_rebuild(Rebuild::UnderWay);
    loop {
        match aggregator::rebuild(&config, &aws, from, to, &()).await {
            Ok(summary) => {
                world.fire(Attack::Rebuild);
                world.note_rebuild(Rebuild::Over);
                world.tell("rebuild", format_args!("{summary:?}"));
                return;
            }
            Err(error) => world.tell("rebuild", format_args!("fails: {error:#}")),
        }
        sleep(Duration::from_secs(1)).await;
    }
}
