//! What the parts of the service hold of the log.

use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws::{Clock, Lake};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::error::{JournalError, WriteError};
use super::record::Entry;
use super::shared::{Pace, Request, Role, Sending, SentNow, Shared};
use super::state::State;
use super::store;
use super::watched::Watched;
use super::writer::{JournalSettings, JournalWriter};
use crate::model::Transition;

/// The log, as the parts of the service see it. Clones are handles of the same log.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    requests: mpsc::UnboundedSender<Request>,
}

impl Journal {
    /// Reads the log. The writer keeps the state up to date, and must be run; see [`JournalWriter::run`].
    ///
    /// # Errors
    ///
    /// [`JournalError`] where an object cannot be read or is missing: a log never begins anew because of that.
    pub async fn open(
        lake: Lake,
        clock: Clock,
        settings: JournalSettings,
    ) -> Result<(Journal, JournalWriter), JournalError> {
        let stored = store::read(&lake).await?;
        let (requests, received) = mpsc::unbounded_channel();
        let now = Instant::now();
        let pace = Pace {
            confirmed: now,
            confirmed_at: clock.now().timestamp_millis(),
            next: now,
            is_writing: false,
        };
        let shared = Arc::new(Shared {
            state: RwLock::new(stored.state.clone()),
            version: watch::Sender::new(0),
            role: Watched::new(Role::StandBy),
            pace: Watched::new(pace),
            sending: Watched::new(SentNow {
                since: now,
                count: 0,
            }),
            clock,
            lease: settings.takeover_after / 2,
        });
        let writer = JournalWriter::new(lake, settings, stored, shared.clone(), received);
        Ok((Journal { shared, requests }, writer))
    }

    /// The state, by what is recorded. To be held for a moment: no record is taken in meanwhile.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.shared.state()
    }

    /// The time of day, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.shared.clock.now().timestamp_millis()
    }

    /// Tells of each record that is taken in.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Whether this process writes the log, stands by, or has ended.
    pub fn role(&self) -> Role {
        self.shared.role.get()
    }

    /// Whether this process writes the log.
    pub fn is_leader(&self) -> bool {
        self.role() == Role::Leader
    }

    /// Waits until this process writes the log. The state is then what evaluation must go on from.
    ///
    /// # Errors
    ///
    /// [`WriteError::Ended`] if the writer ended before.
    pub async fn until_leader(&self) -> Result<(), WriteError> {
        match self
            .shared
            .role
            .wait_for(|role| *role != Role::StandBy)
            .await
        {
            Role::Leader => Ok(()),
            Role::StandBy | Role::Ended => Err(WriteError::Ended),
        }
    }

    /// Waits until the log is no longer written by this process.
    pub async fn until_ended(&self) {
        let role = &self.shared.role;
        role.wait_for(|role| *role == Role::Ended).await;
    }

    /// Records that evaluation has come to `evaluated_to`, a window end in milliseconds since 1970 of event time, with
    /// what changed. Returns when the record is in the log.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the entries may be recorded all the same, which the log tells when it is opened again.
    pub async fn append(
        &self,
        evaluated_to: i64,
        transitions: Vec<Transition>,
    ) -> Result<(), WriteError> {
        let entry = Entry::Evaluated {
            to: evaluated_to,
            transitions,
        };
        self.write(vec![entry]).await
    }

    /// Records the entries, in one record with those of others. Returns when they are in the log and in the state;
    /// waits for as long as S3 does not answer. Without entries it proves that this process still leads.
    ///
    /// # Errors
    ///
    /// As for [`append`](Journal::append).
    pub async fn write(&self, entries: Vec<Entry>) -> Result<(), WriteError> {
        self.request(entries)?.await.map_err(|_| WriteError::Ended)
    }

    /// Records what became of something that was sent.
    ///
    /// # Errors
    ///
    /// As for [`append`](Journal::append).
    pub async fn sent(&self, sending: Sending, entries: Vec<Entry>) -> Result<(), WriteError> {
        let recorded = self.request(entries)?;
        drop(sending);
        recorded.await.map_err(|_| WriteError::Ended)
    }

    fn request(&self, entries: Vec<Entry>) -> Result<oneshot::Receiver<()>, WriteError> {
        match self.role() {
            Role::StandBy => return Err(WriteError::NotLeader),
            Role::Ended => return Err(WriteError::Ended),
            Role::Leader => {}
        }
        let (done, recorded) = oneshot::channel();
        let request = Request { entries, done };
        self.requests.send(request).map_err(|_| WriteError::Ended)?;
        Ok(recorded)
    }

    /// Waits until a record could be written at once, and proves that this process still leads if it has not for a
    /// while: a process that wakes from a freeze must not send what another one has sent. Of several that wait, whoever
    /// began first is woken first. What is sent then ends with [`sent`](Journal::sent).
    ///
    /// # Errors
    ///
    /// As for [`append`](Journal::append).
    pub async fn ready_to_send(&self) -> Result<Sending, WriteError> {
        loop {
            let settled = self.shared.pace.wait_for(|pace| !pace.is_writing).await;
            let next = settled.next;
            sleep_until(next).await;
            let pace = self.shared.pace.get();
            if pace.is_writing || pace.next > next {
                continue;
            }
            let now = self.now();
            let by_day =
                Duration::from_millis(now.saturating_sub(pace.confirmed_at).unsigned_abs());
            if pace.confirmed.elapsed().max(by_day) < self.shared.lease {
                return Ok(Sending::begin(&self.shared));
            }
            self.write(Vec::new()).await?;
        }
    }
}
