//! Receivers, batcher and writer, joined.

use std::sync::Arc;

use anyhow::{Context, ensure};
use service::supervise::joined;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::batch::batcher::{Batch, Batcher, Limits};
use crate::receive::delivery::Arrival;
use crate::receive::receivers::Receivers;
use crate::write::writer::BatchWriter;

/// Batches that are written at once: a put is mostly waiting.
const WRITES_AT_ONCE: usize = 4;

/// Arrivals between receivers and batcher; the receivers' budget bounds their memory.
const CHANNEL: usize = 16;

/// Receives, batches and writes until the receivers have ended and all that they brought is written.
///
/// # Errors
///
/// If receiving fails for good, or if a receiver or a write panics: the others then finish what they hold.
pub(crate) async fn work(receivers: Arc<Receivers>, writer: BatchWriter) -> anyhow::Result<()> {
    let (sender, arrivals) = mpsc::channel(CHANNEL);
    let halt = receivers.halt.clone();
    let limits = Limits::from(&receivers.config);
    // Dropping the set ends its tasks, so nothing outlives this function.
    let mut receiving = JoinSet::new();
    for number in 0..receivers.config.receivers {
        let (receivers, sender) = (receivers.clone(), sender.clone());
        receiving.spawn(async move {
            // One that ends, ends all: by the halt, by an error that the others would meet too, or by a panic, after
            // which nobody knows what else is wrong.
            let _end = receivers.halt.clone().drop_guard();
            receivers.run(number, sender).await?;
            ensure!(receivers.halt.is_cancelled(), "a receiver ended by itself");
            Ok(())
        });
    }
    drop(sender);
    let mut writes = Writes {
        writer: Arc::new(writer),
        tasks: JoinSet::new(),
        failure: None,
    };
    batch(arrivals, &mut writes, limits, halt).await;
    while writes.any() {
        writes.one_ended().await;
    }
    let mut received = Ok(());
    while let Some(ended) = receiving.join_next().await {
        received = received.and(joined("receiver", ended).flatten());
    }
    received.context("cannot receive")?;
    writes.failure.map_or(Ok(()), Err).context("cannot write")
}

/// Batches what arrives until there is no more.
async fn batch(
    mut arrivals: mpsc::Receiver<Arrival>,
    writes: &mut Writes,
    limits: Limits,
    halt: CancellationToken,
) {
    let mut batcher = Batcher::new(limits);
    let mut halted = false;
    loop {
        let writing = writes.any();
        let deadline = batcher.deadline(writing);
        let due = sleep_until(deadline.unwrap_or_else(Instant::now));
        tokio::select! {
            biased;
            // What is held now need not wait for the polls in flight.
            () = halt.cancelled(), if !halted => {
                halted = true;
                if let Some(batch) = batcher.take() {
                    writes.start(batch).await;
                }
            }
            () = due, if deadline.is_some() => {
                if let Some(batch) = batcher.close_due(Instant::now(), writing) {
                    writes.start(batch).await;
                }
            }
            () = writes.one_ended(), if writing => {}
            arrival = arrivals.recv() => match arrival {
                Some(Arrival::Receive { messages, full }) => {
                    batcher.expect(messages, full, Instant::now());
                }
                Some(Arrival::Delivery(delivery)) => {
                    for batch in batcher.add(delivery, Instant::now()) {
                        writes.start(batch).await;
                    }
                }
                None => break,
            },
        }
    }
    if let Some(batch) = batcher.take() {
        writes.start(batch).await;
    }
}

/// The batches that are being written.
struct Writes {
    writer: Arc<BatchWriter>,
    tasks: JoinSet<()>,
    /// The first panic of a write.
    failure: Option<anyhow::Error>,
}

impl Writes {
    /// Starts to write the batch, once fewer than [`WRITES_AT_ONCE`] are being written.
    async fn start(&mut self, batch: Batch) {
        while self.tasks.len() >= WRITES_AT_ONCE {
            self.one_ended().await;
        }
        let writer = self.writer.clone();
        self.tasks.spawn(async move { writer.write(batch).await });
    }

    fn any(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits until one batch is written or left; returns at once if there is none. A write that panicked has kept its
    /// messages or leaves them to come again, and ends the consumer.
    async fn one_ended(&mut self) {
        let ended = self.tasks.join_next().await;
        if let Some(Err(failure)) = ended.map(|ended| joined("write", ended)) {
            self.writer.halt.cancel();
            self.failure.get_or_insert(failure);
        }
    }
}
