//! Everything that the processes of a run share: emulated AWS, time, trace, failures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws::{Aws, Clock};
use chrono::{DateTime, Utc};
use local_aws::{Faults, LocalAws};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::attack::Attack;
use crate::life::Life;
use crate::plan::RunPlan;
use crate::trace::{Keep, Trace};

/// Name of the queue of events.
pub const QUEUE: &str = "events";
/// Name of the dead-letter queue.
pub const DEAD_LETTERS: &str = "events-dlq";
/// Name of the bucket of the lake.
pub const BUCKET: &str = "lake";

/// Number of requests after which a run is given up: it goes round in circles.
const MAX_REQUESTS: u64 = 60_000;

/// Everything that the processes of a run share.
#[derive(Debug)]
pub struct World {
    /// The decisions of the seed.
    pub plan: RunPlan,
    /// The emulated SQS and S3.
    pub cloud: LocalAws,
    /// The clock of the emulated AWS, which is right.
    pub clock: Clock,
    /// Notified when the run is to be given up.
    pub hopeless: Notify,
    /// Cancelled when the faults end.
    pub peace: CancellationToken,
    /// Cancelled when the processes are to end.
    pub over: CancellationToken,
    trace: Mutex<Trace>,
    fired: Mutex<BTreeMap<Attack, u64>>,
    failures: Mutex<Vec<String>>,
    frozen: Mutex<Vec<Life>>,
    unrest: AtomicBool,
    requests: AtomicU64,
    landed: Mutex<Vec<(DateTime<Utc>, String)>>,
    rebuild: Mutex<Rebuild>,
}

/// How far the one rebuild of a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rebuild {
    /// It has not begun, and perhaps never will.
    #[default]
    NotYet,
    /// Parts may be those of now, and the aggregates those of before.
    UnderWay,
    /// It has ended.
    Over,
}

impl World {
    /// A world without faults, queues or bucket.
    ///
    /// # Errors
    ///
    /// Never: a cloud in memory touches nothing that can fail.
    pub fn new(plan: RunPlan, keep: Keep) -> std::io::Result<Arc<World>> {
        let cloud = LocalAws::builder()
            .seed(plan.seed)
            .start_time(plan.start.into())
            .build()?;
        Ok(Arc::new(World {
            clock: Clock::starting_at(plan.start),
            cloud,
            hopeless: Notify::new(),
            peace: CancellationToken::new(),
            over: CancellationToken::new(),
            trace: Mutex::new(Trace::new(keep)),
            fired: Mutex::default(),
            failures: Mutex::default(),
            frozen: Mutex::default(),
            unrest: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            landed: Mutex::default(),
            rebuild: Mutex::default(),
            plan,
        }))
    }

    /// AWS clients that are no process: they are never struck, and meet faults of AWS alone.
    pub fn onlooker(&self) -> Aws {
        Aws::emulated_at(self.cloud.http_client(), self.cloud.endpoint(), self.clock)
    }

    /// Starts the faults.
    pub fn disturb(&self) {
        self.cloud.set_faults(self.plan.faults());
        self.unrest.store(true, Ordering::Relaxed);
    }

    /// Ends the faults, and lets frozen processes go on.
    pub fn calm(&self) {
        self.unrest.store(false, Ordering::Relaxed);
        self.cloud.set_faults(Faults::none());
        self.peace.cancel();
        for life in std::mem::take(&mut *lock(&self.frozen)) {
            life.thaw();
        }
    }

    /// How far the rebuild is.
    pub fn rebuild(&self) -> Rebuild {
        *lock(&self.rebuild)
    }

    /// Notes how far the rebuild is.
    pub fn note_rebuild(&self, now: Rebuild) {
        *lock(&self.rebuild) = now;
    }

    /// Whether faults happen now.
    pub fn is_disturbed(&self) -> bool {
        self.unrest.load(Ordering::Relaxed)
    }

    /// Freezes a process until `time` is over or the faults end; whether it was running.
    pub fn freeze(&self, life: &Life, time: std::time::Duration) -> bool {
        let freezes = life.freeze();
        if freezes {
            lock(&self.frozen).push(life.clone());
            let life = life.clone();
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                life.thaw();
            });
        }
        freezes
    }

    /// Adds a line to the trace.
    pub fn tell(&self, who: &str, what: std::fmt::Arguments<'_>) {
        lock(&self.trace).add(who, what);
    }

    /// Counts an attack that took place.
    pub fn fire(&self, attack: Attack) {
        self.fire_times(attack, 1);
    }

    /// Counts an attack that took place `times` times.
    pub fn fire_times(&self, attack: Attack, times: u64) {
        if times > 0 {
            *lock(&self.fired).entry(attack).or_default() += times;
        }
    }

    /// Whether the attack has taken place.
    pub fn has_fired(&self, attack: Attack) -> bool {
        lock(&self.fired).contains_key(&attack)
    }

    /// Records a broken law, in words.
    pub fn fail(&self, what: String) {
        self.tell("FAILURE", format_args!("{what}"));
        lock(&self.failures).push(what);
    }

    /// Counts a request, and gives up a run with too many.
    pub fn count_request(&self) {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before == MAX_REQUESTS {
            self.fail(format!("goes round in circles: {MAX_REQUESTS} requests"));
            self.hopeless.notify_one();
        }
    }

    /// Number of requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Notes that a consumer has put an object, whatever it was answered.
    pub fn landed_at(&self, key: &str) {
        // As in the address, where `=` is escaped.
        let key = key
            .split(' ')
            .next()
            .unwrap_or_default()
            .replace("%3D", "=");
        if self.cloud.object(BUCKET, &key).is_some() {
            lock(&self.landed).push((self.clock.now(), key));
        }
    }

    /// The objects that consumers have put, in the order in which they landed; some of them again and again.
    pub fn landed(&self) -> Vec<(DateTime<Utc>, String)> {
        lock(&self.landed).clone()
    }

    /// The failures, the attacks with their counts, and the trace.
    pub fn take_results(&self) -> (Vec<String>, BTreeMap<Attack, u64>, Trace) {
        let trace = std::mem::replace(&mut *lock(&self.trace), Trace::new(Keep::Hash));
        (
            std::mem::take(&mut *lock(&self.failures)),
            std::mem::take(&mut *lock(&self.fired)),
            trace,
        )
    }
}

/// Locks data that is whole at any time, also after a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
