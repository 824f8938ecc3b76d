//! Receivers: from the queue to decoded messages, within a bound on memory.

use std::sync::Arc;
use std::time::Duration;

use aws::{CallError, MAX_ENTRIES, Message, Queue};
use contract::{Kinds, Unpacker};
use metrics::counter;
use service::metrics::Ready;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::REDELIVERIES;
use crate::receive::budget::Budget;
use crate::receive::decode::decode;
use crate::receive::delivery::{Arrival, Delivery};
use crate::receive::failures::FailuresInARow;
use crate::receive::give_back::give_back;
use crate::receive::held::{HeldDeliveries, Hold};
use crate::receive::outage::Outage;

/// Longest long poll of the helpers, which are there for messages that wait already: several long
/// polls would share out a trickle among them.
const HELPERS_WAIT: Duration = Duration::from_secs(1);

/// What the readiness of the consumer depends on here.
const RECEIVE: &str = "sqs:ReceiveMessage";

/// What the receivers share.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(crate) config: Config,
    pub(crate) queue: Queue,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) held: HeldDeliveries,
    pub(crate) budget: Budget,
    pub(crate) outage: Arc<Outage>,
    /// Told how the last receive went.
    pub(crate) ready: Ready,
    /// Wakes a helper.
    pub(crate) flood: Notify,
    /// Ends receiving.
    pub(crate) halt: CancellationToken,
}

impl Receivers {
    /// Receives until `halt`. Receiver 0 always polls; the others are helpers, which join when a
    /// receive comes back full and stay for as long as their own do.
    ///
    /// # Errors
    ///
    /// A [`CallError`] that is not transient; transient ones are waited out.
    pub(crate) async fn run(
        &self,
        number: usize,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<(), CallError> {
        let always = number == 0;
        let wait = if always {
            self.config.poll_wait
        } else {
            self.config.poll_wait.min(HELPERS_WAIT)
        };
        let mut failures = FailuresInARow::default();
        let mut unpacker = Unpacker::default();
        let mut joined = always;
        loop {
            let ready = async {
                if !joined {
                    self.flood.notified().await;
                }
                self.outage.pause().await;
                self.budget.available().await;
            };
            self.halt.run_until_cancelled(ready).await;
            if self.halt.is_cancelled() {
                break;
            }
            // Not raced against the halt: dropping a receive in flight hides its messages until
            // the visibility timeout ends. `wait` bounds the delay.
            let visibility = Some(self.config.visibility_timeout);
            let messages = match self.queue.receive(MAX_ENTRIES, wait, visibility).await {
                Ok(messages) => messages,
                Err(error) if error.is_transient() => {
                    joined = always;
                    self.ready.failed(RECEIVE, "receive_failed", Duration::MAX);
                    self.sleep(failures.failed(&error)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            failures.succeeded();
            self.ready.succeeded(RECEIVE);
            if self.halt.is_cancelled() {
                let handles = messages.into_iter().map(|message| message.receipt_handle);
                give_back(&self.queue, &handles.collect::<Vec<_>>()).await;
                break;
            }
            let (full, empty) = (messages.len() == MAX_ENTRIES, messages.is_empty());
            joined = always || full;
            if full {
                self.flood.notify_one();
            }
            if !self.pass_on(messages, full, &mut unpacker, &arrivals).await {
                break;
            }
            if !full && !empty {
                self.rest().await;
            }
        }
        Ok(())
    }

    /// Decodes the messages and passes them on, waiting for memory; false if nobody takes them.
    async fn pass_on(
        &self,
        messages: Vec<Message>,
        full: bool,
        unpacker: &mut Unpacker,
        arrivals: &mpsc::Sender<Arrival>,
    ) -> bool {
        let receive = Arrival::Receive {
            messages: messages.len(),
            full,
        };
        if arrivals.send(receive).await.is_err() {
            return false;
        }
        let redelivered = messages.iter().filter(|one| one.receive_count > 1).count();
        counter!(REDELIVERIES).increment(redelivered as u64);
        // All are held from now on, also those that wait for their turn here.
        let held: Vec<(Hold, Message)> = messages
            .into_iter()
            .map(|message| (self.held.hold(message.receipt_handle.clone()), message))
            .collect();
        for (hold, message) in held {
            let contents = decode(&self.kinds, unpacker, &message);
            let delivery = Delivery {
                id: message.id,
                _permit: self.budget.take(contents.size()).await,
                contents,
                holds: vec![hold],
            };
            if arrivals.send(Arrival::Delivery(delivery)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The pause after a receive that was not full.
    async fn rest(&self) {
        let pause = self.sleep(self.config.receive_pace);
        if !self.config.batch_adaptive {
            return pause.await;
        }
        tokio::select! {
            biased;
            // What comes while something is being written would wait for that write anyway.
            () = self.held.emptied() => {}
            () = pause => {}
        }
    }

    async fn sleep(&self, time: Duration) {
        let slept = tokio::time::sleep(time);
        self.halt.run_until_cancelled(slept).await;
    }
}
