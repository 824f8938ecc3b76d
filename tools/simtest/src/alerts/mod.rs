//! Alerts in simulation: devices send through the queue and real consumers, one or two processes of `alerts` look at
//! rules over what lands, and tell receivers that are often not well. Then all faults end, and what the receivers were
//! told is held against a reference evaluation of the events that were accepted.

pub mod laws;
pub mod load;
pub mod log;
pub mod plan;
pub mod receivers;
pub mod refusal;
pub mod rules;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use alerts::Config;
use chrono::{DateTime, Utc};
use clap::Parser;
use local_aws::FaultKind;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::attack::{Attack, GENERAL_FAULTS, Moment, Role};
use crate::chance::Chance;
use crate::processes::Processes;
use crate::run::{drain, strike_now_and_then};
use crate::wire::Process;
use crate::world::{BUCKET, DEAD_LETTERS, QUEUE, World, lock};

use load::Sent;
use log::Log;
use plan::AlertsPlan;
use receivers::{RECEIVERS, Told, Way};
use refusal::Refusal;

/// Longest time in which the first window end is evaluated without faults.
const BEGIN_WITHIN: Duration = Duration::from_secs(300);

/// Longest simulated time from peace until everybody is told.
const SETTLE_WITHIN: Duration = Duration::from_secs(3 * 3_600);

/// How long nothing must be recorded, in milliseconds: longer than a group waits for news.
const QUIET: i64 = 60_000;

/// Everything that a run with alerts has beside the processes.
#[derive(Debug)]
pub struct Town {
    /// Emulated AWS, time, trace and failures.
    pub world: Arc<World>,
    /// The decisions of the seed.
    pub plan: AlertsPlan,
    /// When each receiver goes away for an hour.
    away: [Option<DateTime<Utc>>; 2],
    /// Random choices of each receiver.
    receivers: [Mutex<Chance>; 2],
    log: Mutex<Log>,
    told: Mutex<Vec<Told>>,
    sent: Mutex<BTreeMap<String, Sent>>,
    /// Whether a message became a dead letter: then it is not in the queue while it waits.
    had_letters: AtomicBool,
}

/// Every attack of these runs: each should take place in a campaign of many seeds.
pub fn attacks() -> Vec<Attack> {
    let mut all = Vec::new();
    for kind in GENERAL_FAULTS {
        let operations = [
            "PutObject",
            "GetObject",
            "ListObjectsV2",
            "GetQueueAttributes",
        ];
        all.extend(operations.map(|operation| Attack::Cloud(kind, operation)));
    }
    all.push(Attack::Cloud(FaultKind::Conflict, "PutObject"));
    all.push(Attack::Cloud(
        FaultKind::DuplicateDelivery,
        "ReceiveMessage",
    ));
    for role in [Role::Alerts, Role::Consumer] {
        for moment in Moment::ALL {
            all.extend([Attack::Kill(role, moment), Attack::Freeze(role, moment)]);
        }
        all.push(Attack::Stop(role));
    }
    all.extend(Refusal::ALL.map(Attack::Receiver));
    all.extend([
        Attack::AnotherLeads,
        Attack::FastClock,
        Attack::Outage,
        Attack::LateEvent,
        Attack::RepeatedEvent,
        Attack::SlowRequest,
        Attack::SlowAnswer,
        Attack::LateEffect,
        Attack::Redelivery,
        Attack::ClockApart,
    ]);
    all
}

/// Faults under load, then peace, then the laws. Gives the number of accepted events.
///
/// # Errors
///
/// If the queue cannot be asked, or a task of the load panics.
pub async fn ordeal(world: &Arc<World>) -> anyhow::Result<u64> {
    let plan = AlertsPlan::of(world.plan.seed);
    world.tell("seed", format_args!("{plan:?}"));
    let queue = world.onlooker().queue(QUEUE).await?;
    let now = world.clock.now();
    let town = Arc::new(Town {
        away: plan.away.map(|from| from.map(|from| now + from)),
        receivers: RECEIVERS.map(|name| Mutex::new(Chance::new(world.plan.seed, name))),
        log: Mutex::default(),
        told: Mutex::default(),
        sent: Mutex::default(),
        had_letters: AtomicBool::new(false),
        world: world.clone(),
        plan,
    });
    let processes = Processes::of_alerts(world, town.plan.processes, {
        let town = town.clone();
        move |process, stop| serve(process, stop, town.clone())
    });
    // What comes before the first record is not promised: without a log, evaluation begins at the time of its start.
    if !town.until(BEGIN_WITHIN, |log| log.first.is_some()).await {
        world.fail("no window end is evaluated, though there are no faults".to_owned());
    }
    tokio::spawn(watch_letters(town.clone()));
    world.disturb();
    let loaded = tokio::spawn(load::send_all(town.clone(), queue));
    let outage = outage(&town, &processes);
    let unrest = async {
        tokio::join!(outage, sleep(town.plan.load));
    };
    tokio::select! {
        biased;
        () = strike_now_and_then(world, &processes, &[Role::Alerts, Role::Alerts, Role::Consumer]) => {}
        () = unrest => {}
    }
    world.calm();
    world.tell("world", format_args!("is calm"));
    loaded.await?;
    let settled = async {
        drain(world).await?;
        settle(&town).await;
        Ok(())
    };
    processes.end(world, settled).await?;
    laws::hold(&town).await;
    let sent = lock(&town.sent);
    Ok(sent.values().filter(|sent| sent.accepted.is_some()).count() as u64)
}

/// A process of `alerts`.
async fn serve(process: Process, stop: CancellationToken, town: Arc<Town>) -> anyhow::Result<()> {
    static DEFAULTS: OnceLock<Config> = OnceLock::new();
    let mut config = DEFAULTS
        .get_or_init(|| {
            let bucket = format!("--lake-bucket={BUCKET}");
            let queue = format!("--queue-name={QUEUE}");
            let rules = format!("--rules={}", rules::FOLDER);
            let fixed = [
                "alerts",
                "--read-keys=simulated-key",
                "--flap-quiet=0s",
                "--anomaly-threshold=0",
            ];
            Config::parse_from(fixed.into_iter().chain([&*bucket, &*queue, &*rules]))
        })
        .clone();
    config.poll = town.plan.poll;
    config.lateness = town.plan.lateness;
    config.snapshot_every = town.plan.snapshot_every;
    let aws = process.aws();
    let way = Arc::new(Way { process, town });
    let starting = alerts::start(config, &aws, way);
    match stop.run_until_cancelled(starting).await {
        Some(started) => started?.lead(&stop).await,
        None => Ok(()),
    }
}

/// Lets all consumers stand still for minutes, if the seed says so: events wait in the queue.
async fn outage(town: &Town, processes: &Processes) {
    let Some((from, time)) = town.plan.outage else {
        return;
    };
    sleep(from).await;
    town.world.fire(Attack::Outage);
    for process in processes.running() {
        if process.role == Role::Consumer && town.world.freeze(&process.life, time) {
            process.tell(format_args!("freezes for {} ms: outage", time.as_millis()));
        }
    }
}

/// Notes whether there are dead letters, until the world is over.
async fn watch_letters(town: Arc<Town>) {
    while !town.world.over.is_cancelled() {
        if town.world.cloud.queue_depth(DEAD_LETTERS) > 0 {
            town.had_letters.store(true, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until all window ends of the load are evaluated, and everybody is told.
async fn settle(town: &Town) {
    let end = town.world.clock.now().timestamp_millis();
    let is_settled = |log: &Log| {
        let is_evaluated = log.evaluated_to.is_some_and(|to| to >= end + 2 * QUIET);
        let now = town.world.clock.now().timestamp_millis();
        is_evaluated && log.open.is_empty() && now - log.told_at >= QUIET
    };
    if !town.until(SETTLE_WITHIN, is_settled).await {
        let log = lock(&town.log);
        town.world.fail(format!(
            "after {SETTLE_WITHIN:?} of peace {} notifications are open, and evaluation has come to {:?}",
            log.open.len(),
            log.evaluated_to
        ));
    }
}

impl Town {
    /// Reads the log until it is as it should be, or for `most`; whether it is.
    async fn until(&self, most: Duration, is_well: impl Fn(&Log) -> bool) -> bool {
        let start = Instant::now();
        loop {
            {
                let mut log = lock(&self.log);
                log.read_on(&self.world);
                if is_well(&log) {
                    return true;
                }
            }
            if start.elapsed() > most {
                return false;
            }
            sleep(Duration::from_secs(5)).await;
        }
    }
}
