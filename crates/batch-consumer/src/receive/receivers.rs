//! Receivers: from the queue to decoded messages, within a bound on memory.

use std::sync::Arc;
use std::time::Duration;

use aws::{CallError, MAX_ENTRIES, Message, Queue};
use backon::{BackoffBuilder, ExponentialBuilder};
use contract::{Kinds, Unpacker};
use metrics::counter;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::batch::batcher::{Arrival, Delivery};
use crate::metrics::{RECEIVE_FAILURES, REDELIVERIES};
use crate::receive::budget::Budget;
use crate::receive::decode::decode;
use crate::receive::held::{HeldDeliveries, Hold};
use crate::receive::outage::Outage;

/// Longest wait of the receivers that help out: they are there for messages that are waiting, and
/// a long poll of several would share out a trickle among them.
const HELPERS_WAIT: Duration = Duration::from_secs(1);

/// Messages are given back in so many shares at once: at the stop there may be hundreds, and
/// little time.
const SHARES: usize = 8;

/// What the receivers share.
#[derive(Debug)]
pub struct Receiving {
    /// The queue.
    pub queue: Queue,
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// Where deliveries are held.
    pub held: HeldDeliveries,
    /// Memory that may be taken.
    pub budget: Budget,
    /// Whether writes fail.
    pub outage: Arc<Outage>,
    /// Wakes the receivers that help out.
    pub flood: Notify,
    /// Wait of the receiver that always polls.
    pub poll_wait: Duration,
    /// Pause after a receive that was not full.
    pub pace: Duration,
    /// Whether that pause ends once all that is held is written.
    pub adaptive: bool,
    /// Visibility timeout of what is received.
    pub visibility_timeout: Duration,
    /// Ends receiving.
    pub halt: CancellationToken,
}

impl Receiving {
    /// Receives until it is halted. Receiver 0 always polls; the others join when one comes back
    /// full, for as long as theirs do.
    ///
    /// # Errors
    ///
    /// A [`CallError`] that is not transient; others are waited out.
    pub async fn run(
        &self,
        number: usize,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<(), CallError> {
        let always = number == 0;
        let wait = if always {
            self.poll_wait
        } else {
            self.poll_wait.min(HELPERS_WAIT)
        };
        let mut streak = Streak::default();
        let mut unpacker = Unpacker::default();
        let mut joined = always;
        while !self.halt.is_cancelled() {
            let ready = async {
                if !joined {
                    self.flood.notified().await;
                }
                self.outage.pause().await;
                self.budget.available().await;
            };
            tokio::select! {
                biased;
                () = self.halt.cancelled() => break,
                () = ready => {}
            }
            // Not raced against the halt: dropping a receive in flight hides its messages until
            // the visibility timeout ends. `wait` bounds the delay.
            let received = self
                .queue
                .receive(MAX_ENTRIES, wait, Some(self.visibility_timeout))
                .await;
            let messages = match received {
                Ok(messages) => messages,
                Err(error) if error.is_transient() => {
                    joined = always;
                    self.sleep(streak.failed(&error)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            streak.succeeded();
            if self.halt.is_cancelled() {
                self.give_back(messages).await;
                break;
            }
            let (full, empty) = (messages.len() == MAX_ENTRIES, messages.is_empty());
            joined = always || full;
            if full {
                self.flood.notify_one();
            }
            let receive = Arrival::Receive {
                messages: messages.len(),
                full,
            };
            if arrivals.send(receive).await.is_err()
                || !self.deliver(messages, &mut unpacker, &arrivals).await
            {
                break;
            }
            if !full && !empty {
                self.rest().await;
            }
        }
        Ok(())
    }

    /// Decodes the messages and passes them on, waiting for room; false if nobody takes them.
    async fn deliver(
        &self,
        messages: Vec<Message>,
        unpacker: &mut Unpacker,
        arrivals: &mpsc::Sender<Arrival>,
    ) -> bool {
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
                permit: self.budget.take(contents.size()).await,
                contents,
                holds: vec![hold],
            };
            if arrivals.send(Arrival::Delivery(delivery)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Makes the messages visible again at once.
    async fn give_back(&self, messages: Vec<Message>) {
        let handles: Vec<String> = messages
            .into_iter()
            .map(|message| message.receipt_handle)
            .collect();
        give_back(&self.queue, &handles).await;
    }

    /// The pause after a receive that was not full.
    async fn rest(&self) {
        let written = async {
            match self.adaptive {
                // What comes meanwhile would wait for the write anyway.
                true => self.held.emptied().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = written => {}
            () = self.sleep(self.pace) => {}
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::select! {
            biased;
            () = self.halt.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

/// Makes the deliveries visible again at once; one that fails comes back by itself, later.
pub(crate) async fn give_back(queue: &Queue, receipt_handles: &[String]) {
    if receipt_handles.is_empty() {
        return;
    }
    let share = receipt_handles.len().div_ceil(SHARES);
    let shares = receipt_handles
        .chunks(share)
        .map(|handles| queue.change_visibility(handles, Duration::ZERO));
    let results = futures::future::join_all(shares).await;
    let failed = results.iter().flatten().filter(|result| result.is_err());
    let failed = failed.count();
    info!(
        event = "given_back",
        messages = receipt_handles.len() - failed,
        failed
    );
}

/// A run of failed receives: logged at its start and at its end.
#[derive(Default)]
struct Streak {
    began: Option<Instant>,
    failures: u64,
    delays: Option<backon::ExponentialBackoff>,
}

impl Streak {
    /// Counts a failure and says how long to wait: 200 ms doubling to 30 s, and up to as
    /// much again by chance.
    fn failed(&mut self, error: &CallError) -> Duration {
        counter!(RECEIVE_FAILURES).increment(1);
        if self.began.is_none() {
            warn!(event = "receive_failed", error = %error, "receiving goes on with pauses");
        }
        self.began.get_or_insert_with(Instant::now);
        self.failures += 1;
        let delays = self.delays.get_or_insert_with(|| {
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(Duration::from_secs(30))
                .without_max_times()
                .with_jitter()
                .build()
        });
        delays.next().unwrap_or(Duration::from_secs(30))
    }

    fn succeeded(&mut self) {
        if let Some(began) = self.began.take() {
            info!(
                event = "receive_recovered",
                failures = self.failures,
                after = %format_args!("{}s", began.elapsed().as_secs())
            );
            *self = Streak::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_wait_longer_and_a_success_starts_anew() {
        let mut streak = Streak::default();
        let error = CallError::NotFound {
            operation: "sqs:ReceiveMessage",
            reason: "any".into(),
        };
        for _ in 0..40 {
            assert!(streak.failed(&error) <= Duration::from_secs(60));
        }
        assert_eq!(streak.failures, 40);
        streak.succeeded();
        assert_eq!(streak.failures, 0);
        assert!(streak.failed(&error) <= Duration::from_millis(400));
    }
}
