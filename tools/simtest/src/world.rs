//! What the processes of a run share: the cloud, time, the trace and what has gone wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws::{Aws, Clock};
use local_aws::{Faults, LocalAws};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::attack::Attack;
use crate::life::Life;
use crate::plan::Plan;
use crate::trace::{Keep, Trace};

/// Name of the queue of events.
pub const QUEUE: &str = "events";
/// Name of the dead-letter queue.
pub const DEAD_LETTERS: &str = "events-dlq";
/// Name of the bucket of the lake.
pub const BUCKET: &str = "lake";

/// Requests after which a run is taken to go round in circles.
const MAX_REQUESTS: u64 = 60_000;

/// What the processes of a run share.
#[derive(Debug)]
pub struct World {
    /// What the seed decided.
    pub plan: Plan,
    /// SQS and S3.
    pub cloud: LocalAws,
    /// The cloud's own time.
    pub clock: Clock,
    /// Told when a run cannot go on.
    pub hopeless: Notify,
    /// Cancelled once nothing more goes wrong.
    pub peace: CancellationToken,
    /// Cancelled when all is to end.
    pub over: CancellationToken,
    trace: Mutex<Trace>,
    fired: Mutex<BTreeMap<Attack, u64>>,
    failures: Mutex<Vec<String>>,
    frozen: Mutex<Vec<Life>>,
    unrest: AtomicBool,
    requests: AtomicU64,
}

impl World {
    /// A world at peace, without queues or bucket.
    ///
    /// # Errors
    ///
    /// Never: a cloud in memory touches nothing that can fail.
    pub fn new(plan: Plan, keep: Keep) -> std::io::Result<Arc<World>> {
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
            plan,
        }))
    }

    /// Clients that nothing befalls, once the cloud is at peace.
    pub fn onlooker(&self) -> Aws {
        Aws::emulated_at(self.cloud.http_client(), self.cloud.endpoint(), self.clock)
    }

    /// From now on things go wrong.
    pub fn disturb(&self) {
        self.cloud.set_faults(self.plan.faults());
        self.unrest.store(true, Ordering::Relaxed);
    }

    /// From now on nothing more goes wrong, and who stands still goes on.
    pub fn calm(&self) {
        self.unrest.store(false, Ordering::Relaxed);
        self.cloud.set_faults(Faults::none());
        self.peace.cancel();
        for life in std::mem::take(&mut *lock(&self.frozen)) {
            life.thaw();
        }
    }

    /// Whether things go wrong now.
    pub fn is_disturbed(&self) -> bool {
        self.unrest.load(Ordering::Relaxed)
    }

    /// Lets a process stand still until the time is over or the world is calm.
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

    /// Counts an attack that took place so many times.
    pub fn fire_times(&self, attack: Attack, times: u64) {
        if times > 0 {
            *lock(&self.fired).entry(attack).or_default() += times;
        }
    }

    /// Whether the attack has taken place.
    pub fn has_fired(&self, attack: Attack) -> bool {
        lock(&self.fired).contains_key(&attack)
    }

    /// Notes a law that was broken.
    pub fn fail(&self, what: String) {
        self.tell("FAILURE", format_args!("{what}"));
        lock(&self.failures).push(what);
    }

    /// Counts a request; a run with far too many cannot go on.
    pub fn count_request(&self) {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before == MAX_REQUESTS {
            self.fail(format!("goes round in circles: {MAX_REQUESTS} requests"));
            self.hopeless.notify_one();
        }
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// What broke, what fired, and the trace.
    pub fn take_results(&self) -> (Vec<String>, BTreeMap<Attack, u64>, Trace) {
        let trace = std::mem::replace(&mut *lock(&self.trace), Trace::new(Keep::Hash));
        (
            std::mem::take(&mut *lock(&self.failures)),
            std::mem::take(&mut *lock(&self.fired)),
            trace,
        )
    }
}

/// Locks what is whole at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
