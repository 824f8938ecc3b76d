//! The emulated cloud: one handle, two services, and what tests ask of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use crate::faults::{FaultKind, FaultState, Faults};
use crate::s3::{self, S3};
use crate::sqs::{QueueCounts, QueuedMessage, Sqs};
use crate::wall_clock::WallClock;

/// The endpoint of clients in process: a name of this machine that says in log lines that nothing listens.
pub(crate) const ENDPOINT: &str = "http://in-process.localhost";

/// An emulated SQS and S3. Clones are the same cloud, and cheap.
#[derive(Debug, Clone)]
pub struct LocalAws {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) sqs: Sqs,
    pub(crate) s3: S3,
    pub(crate) faults: Arc<Mutex<FaultState>>,
    pub(crate) requests: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) request_ids: AtomicU64,
    /// Names by which clients may call the server, beside those that nobody else can have.
    pub(crate) hosts: Vec<String>,
    /// The lock on the folder's lock file, held while this value lives.
    _lock: Option<File>,
}

/// Settings of a [`LocalAws`]; made by [`LocalAws::builder`].
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    folder: Option<PathBuf>,
    faults: Faults,
    seed: Option<u64>,
    start_time: Option<SystemTime>,
    hosts: Vec<String>,
}

impl Builder {
    /// Keeps everything in a folder, so that a later process finds it again: objects as plain files
    /// `<folder>/<bucket>/<key>`, the rest under `<folder>/.local-aws/`. Without a folder everything is
    /// in memory. The folder is in use until the last handle and the last SDK client made with
    /// [`LocalAws::http_client`] are gone.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// Faults to happen, and how often. The plan's seed is also the seed of the message ids unless
    /// [`Self::seed`] gives another.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.seed = self.seed.or(Some(faults.seed()));
        self.faults = faults;
        self
    }

    /// Makes message ids the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The wall-clock time at the start, now by default. From there on time passes by tokio's clock.
    pub fn start_time(mut self, time: SystemTime) -> Self {
        self.start_time = Some(time);
        self
    }

    /// Names with dots by which clients of [`serve`](crate::serve) may call it; they hold for names below them too.
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(names);
        self
    }

    /// Makes the cloud, with the queues and objects that its folder holds.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or written, holds a file that cannot be understood, or is in use by
    /// another process. Without a folder, never.
    pub fn build(self) -> io::Result<LocalAws> {
        let clock = WallClock::starting_at(self.start_time.unwrap_or_else(SystemTime::now));
        let lock = self.folder.as_deref().map(lock_folder).transpose()?;
        let journal = self
            .folder
            .as_ref()
            .map(|folder| folder.join(s3::HIDDEN).join("sqs.jsonl"));
        let faults = Arc::new(Mutex::new(FaultState::new(self.faults)));
        let sqs = Sqs::new(clock, Arc::clone(&faults), self.seed, journal.as_deref())?;
        Ok(LocalAws {
            inner: Arc::new(Inner {
                sqs,
                s3: S3::new(clock, self.folder.as_deref())?,
                faults,
                requests: Mutex::default(),
                request_ids: AtomicU64::new(1),
                hosts: self.hosts,
                _lock: lock,
            }),
        })
    }
}

/// Locks the folder for this process; the lock ends with the process.
fn lock_folder(folder: &Path) -> io::Result<File> {
    let hidden = folder.join(s3::HIDDEN);
    std::fs::create_dir_all(&hidden)?;
    let lock = File::create(hidden.join("lock"))?;
    lock.try_lock().map_err(|_| {
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "the folder `{}` is in use by another local-aws",
                folder.display()
            ),
        )
    })?;
    Ok(lock)
}

impl LocalAws {
    /// A cloud in memory without queues, buckets or faults.
    #[must_use]
    pub fn in_process() -> Self {
        let built = Self::builder().build();
        built.expect("a cloud in memory touches nothing that can fail")
    }

    /// Settings for a cloud with a folder, faults or a seed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The endpoint to give to SDK clients that use [`Self::http_client`].
    #[must_use]
    pub fn endpoint(&self) -> &'static str {
        ENDPOINT
    }

    /// How many messages a queue holds: visible, in flight and delayed together. Zero also without such a
    /// queue.
    #[must_use]
    pub fn queue_depth(&self, name: &str) -> usize {
        let counts = self.queue_counts(name).unwrap_or_default();
        counts.visible + counts.in_flight + counts.delayed
    }

    /// How many messages a queue holds by state; None without such a queue.
    #[must_use]
    pub fn queue_counts(&self, name: &str) -> Option<QueueCounts> {
        self.inner.sqs.counts(name)
    }

    /// The messages of a queue in the order of their arrival, in whatever state, without receiving them.
    #[must_use]
    pub fn messages(&self, queue: &str) -> Vec<QueuedMessage> {
        self.inner.sqs.messages(queue)
    }

    /// All keys of a bucket in order; empty without such a bucket.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        self.inner.s3.keys(bucket)
    }

    /// The bytes of an object, if it is there.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.inner.s3.bytes(bucket, key)
    }

    /// Requests so far by operation (`SendMessageBatch`, `PutObject`), including those that failed.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let requests = lock(&self.inner.requests);
        requests
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    /// Deliveries so far of messages that were delivered before: the visibility timeout ended, the
    /// message was given back, or the plan of faults delivered it twice.
    #[must_use]
    pub fn redeliveries(&self) -> u64 {
        self.inner.sqs.redeliveries()
    }

    /// Faults so far by kind and operation, such as `cut_after:PutObject`.
    #[must_use]
    pub fn faults_fired(&self) -> BTreeMap<String, u64> {
        lock(&self.inner.faults).fired()
    }

    /// Replaces the plan of faults, for instance by [`Faults::none`] so that a test can drain what is
    /// left.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.inner.faults).replace(faults);
    }

    /// Lets the next `count` requests of an operation meet this fault, whatever the plan says;
    /// [`FaultKind::EntryFailure`] counts entries instead. Not for [`FaultKind::Slow`], whose delay only
    /// a plan gives.
    pub fn fail_next(&self, operation: &str, count: u64, kind: FaultKind) {
        lock(&self.inner.faults).fail_next(operation, count, kind);
    }
}

/// Locks counters or plans, which are whole at any time, also after a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
