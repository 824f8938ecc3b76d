//! The service: receivers, batcher and commits, from start to drain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use aws::{Aws, CallError, Lake, Queue, setup};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::batch::batcher::{Arrival, Batch, Batcher, Limits};
use crate::config::Config;
use crate::metrics::describe;
use crate::receive::budget::Budget;
use crate::receive::held::HeldDeliveries;
use crate::receive::outage::Outage;
use crate::receive::receivers::{Receiving, give_back};
use crate::write::BatchWriter;

/// Batches that are written at once: a put is mostly waiting.
const COMMITS_AT_ONCE: usize = 4;

/// Decoded messages between receivers and batcher; their memory is bounded by [`Budget`].
const CHANNEL: usize = 16;

/// How often what the request meter counts becomes metrics.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);

/// Consumes until `stop`: [`Consumer::connect`] and [`Consumer::run`].
///
/// # Errors
///
/// As those two.
pub async fn run(config: Config, aws: Aws, stop: CancellationToken) -> anyhow::Result<()> {
    let consumer = tokio::select! {
        biased;
        connected = Consumer::connect(config, aws) => connected?,
        () = stop.cancelled() => return Ok(()),
    };
    consumer.run(stop).await
}

/// A consumer that has found its queues and its lake.
#[derive(Debug)]
pub struct Consumer {
    config: Config,
    aws: Aws,
    kinds: Arc<contract::Kinds>,
    queue: Queue,
    dead_letters: Queue,
    lake: Lake,
}

impl Consumer {
    /// Reads the declarations of kinds and finds queues and bucket; makes them first where that is
    /// wanted.
    ///
    /// # Errors
    ///
    /// If a setting is wrong, or one of them is missing or cannot be reached.
    pub async fn connect(config: Config, aws: Aws) -> anyhow::Result<Consumer> {
        config.check()?;
        let kinds = Arc::new(config.kinds()?);
        let (queue_name, dlq_name) = (&config.queue.queue_name, &config.dlq.dlq_name);
        let bucket = &config.lake.lake_bucket;
        let explain = |error: CallError| {
            let advice = aws.advice(&error);
            anyhow::Error::new(error).context(advice)
        };
        if config.create.wanted(&aws) {
            patiently(|| setup::create_queues(&aws, queue_name, dlq_name))
                .await
                .map_err(explain)
                .context("cannot make the queues")?;
            patiently(|| setup::create_bucket(&aws, bucket))
                .await
                .map_err(explain)
                .context("cannot make the bucket")?;
        }
        let queue = patiently(|| aws.queue(queue_name))
            .await
            .map_err(explain)
            .context("cannot find the queue of events")?;
        let dead_letters = patiently(|| aws.queue(dlq_name))
            .await
            .map_err(explain)
            .context("cannot find the dead-letter queue")?;
        let lake = aws.lake(bucket);
        // Says now rather than at the first write that there is no bucket. Listing may be
        // forbidden where writing is not: other errors are for the writes to show.
        if let Err(missing @ CallError::NotFound { .. }) = lake.list("raw/year=0000/", None).await {
            return Err(missing).context("cannot find the lake");
        }
        Ok(Consumer {
            config,
            aws,
            kinds,
            queue,
            dead_letters,
            lake,
        })
    }

    /// Consumes until `stop`, then writes and deletes what is held, within `SHUTDOWN_GRACE`; what
    /// is left by then is given back to the queue, and what was left to come again before.
    ///
    /// # Errors
    ///
    /// If receiving fails for good, as where the queue is gone.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        describe();
        let halt = stop.child_token();
        let held = HeldDeliveries::default();
        let outage = Arc::new(Outage::default());
        let config = &self.config;
        let receiving = Arc::new(Receiving {
            queue: self.queue.clone(),
            kinds: self.kinds.clone(),
            held: held.clone(),
            budget: Budget::for_batches_of(config.max_bytes()),
            outage: outage.clone(),
            flood: Notify::new(),
            poll_wait: config.poll_wait,
            pace: config.receive_pace,
            adaptive: config.batch_adaptive,
            visibility_timeout: config.visibility_timeout,
            halt: halt.clone(),
        });
        let writer = BatchWriter {
            queue: self.queue.clone(),
            dead_letters: self.dead_letters.clone(),
            lake: self.lake.clone(),
            outage,
            halt: halt.clone(),
        };
        info!(
            event = "consuming",
            queue = self.queue.name(),
            lake = self.lake.bucket(),
            endpoint = self.aws.endpoint().unwrap_or("AWS"),
            dead_letters = self.dead_letters.name(),
            batch_max_messages = config.batch_max_messages,
            batch_max_wait = %humantime::format_duration(config.batch_max_wait),
            batch_max_bytes = %config.batch_max_bytes,
            batch_adaptive = config.batch_adaptive,
            receivers = config.receivers,
            visibility_timeout = %humantime::format_duration(config.visibility_timeout),
        );
        let work = work(receiving, writer, Limits::from(config), config.receivers);
        let overdue = async {
            halt.cancelled().await;
            info!(event = "stopping", held = held.len());
            tokio::time::sleep(config.shutdown_grace * 17 / 20).await;
            // Asked for while the work is still there: dropping it lets go of its messages.
            held.receipt_handles()
        };
        let outcome = tokio::select! {
            biased;
            result = work => Ok(result),
            left = overdue => Err(left),
            never = held.keep_hidden(&self.queue, config.visibility_timeout) => match never {},
            never = publish(&self.aws) => match never {},
        };
        let mut back = held.left(config.visibility_timeout);
        let result = outcome.unwrap_or_else(|held| {
            warn!(
                event = "stop_overdue",
                messages = held.len(),
                grace = %humantime::format_duration(config.shutdown_grace),
                "these messages are not written; they come again"
            );
            back.extend(held);
            Ok(())
        });
        // Ends before the grace does: what stops us may look at its clock too.
        let time = config.shutdown_grace / 10;
        let _ = tokio::time::timeout(time, give_back(&self.queue, &back)).await;
        self.aws.meter().publish();
        info!(event = "stopped", dollars = self.aws.meter().dollars());
        result
    }
}

/// Makes the call, and again for a few seconds where it fails in passing: services that start
/// together need not be ready together.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut delays = aws::retry_delays();
    loop {
        match (call().await, delays.next()) {
            (Err(error), Some(delay)) if error.is_transient() => {
                warn!(event = "connect_retried", error = %error);
                tokio::time::sleep(delay).await;
            }
            (result, _) => return result,
        }
    }
}

async fn publish(aws: &Aws) -> Infallible {
    loop {
        aws.meter().publish();
        tokio::time::sleep(PUBLISH_EVERY).await;
    }
}

/// Receives, batches and commits until the receivers have ended and all they brought is committed.
async fn work(
    receiving: Arc<Receiving>,
    writer: BatchWriter,
    limits: Limits,
    receivers: usize,
) -> anyhow::Result<()> {
    let (sender, mut arrivals) = mpsc::channel(CHANNEL);
    let halt = receiving.halt.clone();
    // Dropping the set ends its tasks, so nothing outlives this function.
    let mut receiver_tasks = JoinSet::new();
    for number in 0..receivers {
        let (receiving, sender) = (receiving.clone(), sender.clone());
        receiver_tasks.spawn(async move {
            let result = receiving.run(number, sender).await;
            // One that ends, ends all: by the halt, or by an error that the others would meet too.
            receiving.halt.cancel();
            result
        });
    }
    drop(sender);
    let mut commits = Commits::new(writer);
    batch(&mut arrivals, &mut commits, limits, halt).await;
    commits.finish().await;
    let mut first_error = None;
    while let Some(joined) = receiver_tasks.join_next().await {
        if let Err(error) = flatten(joined) {
            first_error.get_or_insert(error);
        }
    }
    match first_error {
        Some(error) => Err(error).context("cannot receive"),
        None => Ok(()),
    }
}

/// Batches what arrives until there is no more.
async fn batch(
    arrivals: &mut mpsc::Receiver<Arrival>,
    commits: &mut Commits,
    limits: Limits,
    halt: CancellationToken,
) {
    let mut batcher = Batcher::new(limits);
    let mut halted = false;
    loop {
        let writing = commits.run();
        let deadline = batcher.deadline(writing);
        let due = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // What is held now need not wait for the polls in flight.
            () = halt.cancelled(), if !halted => {
                halted = true;
                if let Some(batch) = batcher.take() {
                    commits.start(batch).await;
                }
            }
            () = due => {
                if let Some(batch) = batcher.close_due(Instant::now(), writing) {
                    commits.start(batch).await;
                }
            }
            () = commits.one_ended(), if writing => {}
            arrival = arrivals.recv() => match arrival {
                Some(Arrival::Receive { messages, full }) => {
                    batcher.expect(messages, full, Instant::now());
                }
                Some(Arrival::Delivery(delivery)) => {
                    for batch in batcher.add(delivery, Instant::now()) {
                        commits.start(batch).await;
                    }
                }
                None => break,
            },
        }
    }
    if let Some(batch) = batcher.take() {
        commits.start(batch).await;
    }
}

/// The commits that run.
struct Commits {
    writer: Arc<BatchWriter>,
    tasks: JoinSet<()>,
    slots: Arc<Semaphore>,
}

impl Commits {
    fn new(writer: BatchWriter) -> Commits {
        Commits {
            writer: Arc::new(writer),
            tasks: JoinSet::new(),
            slots: Arc::new(Semaphore::new(COMMITS_AT_ONCE)),
        }
    }

    /// Starts a commit as soon as fewer than the most run.
    async fn start(&mut self, batch: Batch) {
        // The semaphore is never closed.
        let slot = self.slots.clone().acquire_owned().await.ok();
        let writer = self.writer.clone();
        self.tasks.spawn(async move {
            writer.commit(batch).await;
            drop(slot);
        });
    }

    /// Whether any runs.
    fn run(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits until one ends; at once where none runs.
    async fn one_ended(&mut self) {
        if let Some(ended) = self.tasks.join_next().await {
            note(ended);
        }
    }

    async fn finish(&mut self) {
        while self.run() {
            self.one_ended().await;
        }
    }
}

/// A commit that panicked has kept or left its messages; they come again.
fn note(ended: Result<(), JoinError>) {
    if let Err(failure) = ended {
        error!(event = "commit_panicked", error = %failure, "its messages come again");
    }
}

fn flatten(joined: Result<Result<(), CallError>, JoinError>) -> anyhow::Result<()> {
    match joined {
        Ok(result) => Ok(result?),
        Err(failure) => bail!("a receiver panicked: {failure}"),
    }
}
