//! Sends, and books each answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use contract::{Kinds, SentReader};
use simulator::{Class, Client, DueEvent, PostError, Posted};
use tokio_util::sync::CancellationToken;

use super::sent::Sent;
use crate::ledger::{Certainty, Ledger, LedgerError};

/// How events are sent.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// The most events in one post; at least 1.
    pub batch: usize,
    /// The most posts under way at once; at least 1.
    pub connections: usize,
    /// Events a second; `None` is as fast as ingest takes them.
    pub rate: Option<f64>,
}

/// Sends events and keeps the ledger.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Posts to ingest.
    pub client: Arc<Client>,
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// Ends the sending early; posts under way are finished.
    pub stop: CancellationToken,
}

impl Sender {
    /// Sends what `events` yields, until it ends, it is stopped, or a post fails in a way that the next
    /// would too; what was accepted or may have been is in the ledger then. `progress` is told how
    /// many events are done with.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Write`] if the ledger's file cannot be written.
    pub async fn send<I>(
        &self,
        events: I,
        options: &SendOptions,
        ledger: &mut Ledger,
        progress: impl Fn(u64),
    ) -> Result<Sent, LedgerError>
    where
        I: Iterator<Item = (String, Class)> + Send + 'static,
    {
        let rate = options.rate;
        let events = events.enumerate().map(move |(at, (body, class))| {
            // From the event's number rather than step by step: rounding does not add up.
            let due = |rate| Duration::try_from_secs_f64((at + 1) as f64 / rate).ok();
            Ok::<_, Infallible>(DueEvent {
                body,
                class,
                due: rate.and_then(due),
            })
        });
        let options = simulator::SendOptions {
            batch: options.batch,
            connections: options.connections,
            linger: Duration::MAX,
        };
        // Cancelled too where the ledger cannot be written.
        let stop = self.stop.child_token();
        let (mut sent, mut booked) = (Sent::default(), Ok(()));
        let (ended, _) = simulator::send(self.client.clone(), events, &options, &stop, |posted| {
            progress(posted.events.len() as u64);
            if booked.is_ok() {
                booked = self.book(posted, ledger, &mut sent);
            }
            if booked.is_err() {
                stop.cancel();
            }
        })
        .await;
        booked?;
        ledger.flush()?;
        sent.wall = ended.wall;
        sent.failure = ended.failure;
        Ok(sent)
    }

    /// Enters a post's events as its answer says.
    fn book(
        &self,
        posted: &Posted,
        ledger: &mut Ledger,
        sent: &mut Sent,
    ) -> Result<(), LedgerError> {
        for event in &posted.events {
            *sent.sent.entry(event.class).or_default() += 1;
        }
        match &posted.result {
            Ok(answer) => {
                for index in &answer.accepted {
                    let text = &posted.events[*index].body;
                    sent.accepted += 1;
                    match ledger.record(&self.kinds, text, posted.at, Certainty::Accepted) {
                        Err(LedgerError::Event(rejection)) => {
                            tracing::error!(event = "broken_accepted", %rejection, "ingest accepted what the contract refuses");
                            sent.broken_accepted += 1;
                        }
                        recorded => recorded?,
                    }
                }
                for rejected in &answer.rejected {
                    let class = posted.events[rejected.index].class;
                    sent.refuse(&rejected.code, &rejected.message);
                    sent.sound_refused += u64::from(class.is_sound());
                }
            }
            Err(PostError::Refused { message, .. }) => {
                // A refused key, say, is nothing that sound events got wrong: it ends the sending.
                let about_events = posted.is_refused_body();
                for event in &posted.events {
                    sent.refuse("whole_post", message);
                    sent.sound_refused += u64::from(about_events && event.class.is_sound());
                }
            }
            Err(_) => {
                let mut reader = SentReader::new(&self.kinds, None);
                for event in &posted.events {
                    if reader.read(&event.body, posted.at).is_ok() {
                        sent.maybe += 1;
                        ledger.record(&self.kinds, &event.body, posted.at, Certainty::Maybe)?;
                    }
                }
            }
        }
        Ok(())
    }
}
