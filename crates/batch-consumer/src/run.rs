//! The service from start to drain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, CallError, setup};
use humantime::format_duration as shown;
use service::metrics::Ready;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::batch::buffers::Buffers;
use crate::config::Config;
use crate::metrics::describe;
use crate::pipeline::work;
use crate::receive::budget::Budget;
use crate::receive::give_back::give_back;
use crate::receive::held::HeldDeliveries;
use crate::receive::outage::Outage;
use crate::receive::receivers::Receivers;
use crate::write::writer::BatchWriter;

/// How often the metrics of requests to AWS are brought up to date.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);

/// Consumes until `stop`: [`Consumer::connect`], then [`Consumer::run`].
///
/// # Errors
///
/// If one of the two fails.
pub async fn run(config: Config, aws: Aws, stop: CancellationToken) -> anyhow::Result<()> {
    let connecting = Consumer::connect(config, aws, &stop);
    match stop.run_until_cancelled(connecting).await {
        Some(consumer) => consumer?.run(&Ready::default()).await,
        None => Ok(()),
    }
}

/// A consumer that has found its queues and its lake.
#[derive(Debug)]
pub struct Consumer {
    aws: Aws,
    receivers: Receivers,
    writer: BatchWriter,
}

impl Consumer {
    /// Reads the declarations of kinds and finds queues and bucket, and makes them first if `CREATE`
    /// says so. The consumer then runs until `stop`.
    ///
    /// # Errors
    ///
    /// If a setting is wrong, or a queue or the bucket is missing or cannot be reached.
    pub async fn connect(
        config: Config,
        aws: Aws,
        stop: &CancellationToken,
    ) -> anyhow::Result<Consumer> {
        config.check()?;
        let kinds = Arc::new(config.kinds()?);
        let (queue_name, dlq_name) = (&config.queue.queue_name, &config.dlq.dlq_name);
        let bucket = &config.lake.lake_bucket;
        let explain = |error| aws.explain(error);
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
        if let Err(missing @ CallError::NotFound { .. }) = lake.probe().await {
            return Err(missing).context("cannot find the lake");
        }
        let (outage, halt) = (Arc::new(Outage::default()), stop.child_token());
        Ok(Consumer {
            writer: BatchWriter {
                queue: queue.clone(),
                dead_letters,
                lake,
                buffers: Buffers::default(),
                outage: outage.clone(),
                ready: Ready::default(),
                halt: halt.clone(),
            },
            receivers: Receivers {
                queue,
                kinds,
                held: HeldDeliveries::default(),
                budget: Budget::for_batches_of(config.max_bytes()),
                outage,
                ready: Ready::default(),
                flood: Notify::new(),
                halt,
                config,
            },
            aws,
        })
    }

    /// Consumes until the stop, then receives no more and writes and deletes what is held, within
    /// `SHUTDOWN_GRACE`. Messages that are not written by then, and messages whose write failed
    /// earlier, are made visible again, so that another consumer need not wait for them.
    ///
    /// `ready` follows the last answers of SQS and S3, and is no longer ready once the stop has begun.
    ///
    /// # Errors
    ///
    /// If receiving fails for good, for example because the queue was deleted, or if a part of the consumer panics.
    pub async fn run(mut self, ready: &Ready) -> anyhow::Result<()> {
        describe();
        self.receivers.ready = ready.clone();
        self.writer.ready = ready.clone();
        ready.set(true);
        let receivers = Arc::new(self.receivers);
        let (config, queue, held) = (&receivers.config, &receivers.queue, &receivers.held);
        info!(
            event = "consuming", queue = queue.name(), lake = self.writer.lake.bucket(),
            endpoint = self.aws.endpoint().unwrap_or("AWS"), dead_letters = self.writer.dead_letters.name(),
            batch_max_messages = config.batch_max_messages, batch_max_wait = %shown(config.batch_max_wait),
            batch_max_bytes = %config.batch_max_bytes, batch_adaptive = config.batch_adaptive,
            receivers = config.receivers, visibility_timeout = %shown(config.visibility_timeout),
            "writing the queue's messages to the lake"
        );
        let overdue = async {
            receivers.halt.cancelled().await;
            ready.set(false);
            info!(
                event = "stopping",
                held = held.len(),
                "receiving no more, writing what is held"
            );
            tokio::time::sleep(config.shutdown_grace * 17 / 20).await;
            // Read before the work is dropped, which lets go of its messages.
            held.receipt_handles()
        };
        let mut back = Vec::new();
        let result = tokio::select! {
            biased;
            result = work(receivers.clone(), self.writer) => result,
            unwritten = overdue => {
                warn!(
                    event = "stop_overdue", messages = unwritten.len(), grace = %shown(config.shutdown_grace),
                    "these messages are not written; they come again"
                );
                back = unwritten;
                Ok(())
            }
            never = held.keep_hidden(queue, config.visibility_timeout) => match never {},
            never = publish(&self.aws) => match never {},
        };
        back.extend(held.left(config.visibility_timeout));
        // Ends before the grace does: whoever stops the process may kill it then.
        let time = config.shutdown_grace / 10;
        let _ = tokio::time::timeout(time, give_back(queue, &back)).await;
        self.aws.meter().publish();
        info!(
            event = "stopped",
            dollars = self.aws.meter().dollars(),
            "the requests to AWS have cost this much"
        );
        result
    }
}

/// Makes the call, and again for a few seconds while it fails in passing: services that start
/// together are not all ready at once.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut delays = aws::retry_delays();
    loop {
        match (call().await, delays.next()) {
            (Err(error), Some(delay)) if error.is_transient() => {
                warn!(event = "connect_retried", error = %error, "asking again");
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
