//! The one task that writes the log: it stands by while another process leads, takes over when that has fallen silent,
//! and then writes what the parts of this process ask for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws::Lake;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::error::JournalError;
use super::record::{Entry, Record};
use super::shared::{Pace, Request, Role, Shared};
use super::store::{self, Stored, Written};

/// Records that are never deleted, whatever the clock says: one that another process still has to read.
const ALWAYS_KEPT: u64 = 1_000;

/// Records after which a snapshot is written: a start reads up to so many after it.
pub const SNAPSHOT_EVERY: u64 = 500;

/// Age from which on a record that says nothing may be deleted: far longer than S3 takes the signature of a put, 15
/// minutes, so that nobody who is late finds its number free.
const IDLE_KEPT: Duration = Duration::from_secs(3600);

/// Most records that are deleted after a snapshot, in one request: while they are, no record is written.
const DELETED_AT_ONCE: u64 = 1_000;

/// Waits between attempts to write a record while S3 does not answer.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How the log is written.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Tells this process from others; a new one each time that the log is opened.
    pub writer: Uuid,
    /// Longest time without a record while this process leads.
    pub heartbeat: Duration,
    /// How long the log must be silent before a process that stands by takes over; at least twice `heartbeat`.
    pub takeover_after: Duration,
    /// Time between two looks at the log of a process that stands by.
    pub poll: Duration,
    /// Least time between two puts.
    pub pace: Duration,
    /// How long a record waits for further entries.
    pub linger: Duration,
    /// How long a record waits for the results of what is being sent: a result that misses it is at risk until the
    /// next record.
    pub sent_within: Duration,
    /// Records after which a snapshot is written.
    pub snapshot_every: u64,
}

impl JournalSettings {
    /// A record every 3 s at least, a takeover after 10 s of silence, at most five puts a second.
    pub fn new(writer: Uuid) -> JournalSettings {
        JournalSettings {
            writer,
            heartbeat: Duration::from_secs(3),
            takeover_after: Duration::from_secs(10),
            poll: Duration::from_secs(2),
            pace: Duration::from_millis(200),
            linger: Duration::from_millis(10),
            sent_within: Duration::from_millis(100),
            snapshot_every: SNAPSHOT_EVERY,
        }
    }
}

/// Writes the log for as long as [`run`](JournalWriter::run) is polled.
#[derive(Debug)]
pub struct JournalWriter {
    lake: Lake,
    settings: JournalSettings,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// ETag of the snapshot that this process read or wrote last.
    snapshot: Option<String>,
    /// The record that the last snapshot counts.
    snapshot_through: u64,
    /// Records of this process that say nothing, and when each was written.
    idle: VecDeque<(u64, Instant)>,
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.shared.role.set(Role::Ended);
    }
}

impl JournalWriter {
    pub(crate) fn new(
        lake: Lake,
        settings: JournalSettings,
        stored: Stored,
        shared: Arc<Shared>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> JournalWriter {
        JournalWriter {
            lake,
            settings,
            shared,
            requests,
            snapshot_through: stored.snapshot_through,
            snapshot: stored.snapshot,
            idle: VecDeque::new(),
        }
    }

    /// Stands by, leads, and returns when `stop` is cancelled: then what is asked for is recorded, and a record says
    /// that another process may lead at once. What must be recorded last is to be written before `stop`.
    ///
    /// # Errors
    ///
    /// [`JournalError::LostLead`] when another process has taken over: open the log again to stand by. Any other
    /// [`JournalError`] but a call that may be retried, which is, for as long as it takes.
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), JournalError> {
        let Some(led) = stop.run_until_cancelled(self.stand_by()).await else {
            return Ok(());
        };
        led?;
        self.shared.role.set(Role::Leader);
        info!(
            event = "leads",
            record = self.shared.state().through,
            "this process writes the log of alerts"
        );
        loop {
            let due = self.shared.pace.get().confirmed + self.settings.heartbeat;
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                first = self.requests.recv() => first,
                () = sleep_until(due) => None,
            };
            if first.is_some() {
                let next = self.shared.pace.get().next;
                sleep_until(next).await;
                sleep(self.settings.linger).await;
                let sending = &self.shared.sending;
                let none = sending.wait_for(|sending| sending.since != next || sending.count == 0);
                // Whoever is slower is recorded next time.
                let _ = timeout(self.settings.sent_within, none).await;
            }
            self.record(first, None).await?;
            if self.shared.state().through >= self.snapshot_through + self.settings.snapshot_every {
                self.save().await?;
            }
        }
        self.record(None, Some(Entry::Left)).await?;
        self.save().await
    }

    /// Follows the log until its leader has fallen silent, and takes its place.
    async fn stand_by(&mut self) -> Result<(), JournalError> {
        let mut heard = Instant::now();
        loop {
            let leader = self.shared.state().leader;
            if leader.is_none() || heard.elapsed() >= self.settings.takeover_after {
                match self.claim().await {
                    Ok(true) => return Ok(()),
                    Ok(false) => heard = Instant::now(),
                    Err(error) if is_transient(&error) => heard = Instant::now(),
                    Err(error) => return Err(error),
                }
            }
            sleep(self.settings.poll).await;
            match self.read_on().await {
                Ok(false) => {}
                Ok(true) => heard = Instant::now(),
                // The leader may be as far from S3 as this process: its silence says nothing.
                Err(error) if is_transient(&error) => heard = Instant::now(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the record that makes this process the leader; false if another process was first.
    async fn claim(&mut self) -> Result<bool, JournalError> {
        // From here on a snapshot of somebody else shows that this process is late: see `check_late`.
        self.shared.pace.change(|pace| {
            (pace.confirmed, pace.confirmed_at) =
                (Instant::now(), self.shared.clock.now().timestamp_millis());
        });
        self.snapshot = store::snapshot_etag(&self.lake).await?;
        if self.read_on().await? {
            return Ok(false);
        }
        let claim = self.make_record(vec![Entry::Leads]);
        if self.put(&claim).await? == Written::Taken {
            return Ok(false);
        }
        self.shared.update(|state| state.apply(claim));
        Ok(true)
    }

    /// Takes in what others have written, and says whether there was anything.
    async fn read_on(&mut self) -> Result<bool, JournalError> {
        let mut stored = Stored {
            state: self.shared.state().clone(),
            snapshot: None,
            snapshot_through: self.snapshot_through,
        };
        let before = stored.state.through;
        match store::read_on(&self.lake, &mut stored).await {
            // Records may have been deleted behind a newer snapshot.
            Err(JournalError::Missing(_)) => stored = store::read(&self.lake).await?,
            read => read?,
        }
        let is_news = stored.state.through > before;
        if is_news {
            self.snapshot_through = stored.snapshot_through;
            self.shared.update(|state| *state = stored.state);
        }
        Ok(is_news)
    }

    fn make_record(&self, entries: Vec<Entry>) -> Record {
        Record {
            number: self.shared.state().through + 1,
            writer: self.settings.writer,
            written_at: self.shared.clock.now().timestamp_millis(),
            entries,
        }
    }

    /// Writes one record of all that is asked for, and tells those who asked.
    async fn record(
        &mut self,
        first: Option<Request>,
        last: Option<Entry>,
    ) -> Result<(), JournalError> {
        let (mut entries, mut waiting): (Vec<Entry>, Vec<oneshot::Sender<()>>) = Default::default();
        let mut next = first.or_else(|| self.requests.try_recv().ok());
        while let Some(request) = next {
            entries.extend(request.entries);
            waiting.push(request.done);
            next = self.requests.try_recv().ok();
        }
        entries.extend(last);
        let is_idle = entries.is_empty();
        let record = self.make_record(entries);
        let number = record.number;
        if self.put(&record).await? == Written::Taken {
            return Err(JournalError::LostLead(number));
        }
        if is_idle {
            self.idle.push_back((number, Instant::now()));
        }
        self.shared.update(|state| state.apply(record));
        for done in waiting {
            // Whoever does not wait has no use for the answer.
            let _ = done.send(());
        }
        metrics::counter!("headwater_alerts_records_total").increment(1);
        Ok(())
    }

    /// Writes a record, and waits while S3 does not answer.
    async fn put(&mut self, record: &Record) -> Result<Written, JournalError> {
        self.shared.pace.change(|pace| pace.is_writing = true);
        let mut wait = FIRST_WAIT;
        loop {
            let (began, began_at) = (Instant::now(), self.shared.clock.now().timestamp_millis());
            match store::write(&self.lake, record).await {
                Ok(Written::Ours) => {
                    self.check_late().await?;
                    self.shared.pace.set(Pace {
                        confirmed: began,
                        confirmed_at: began_at,
                        next: began + self.settings.pace,
                        is_writing: false,
                    });
                    return Ok(Written::Ours);
                }
                Err(error) if is_transient(&error) => {
                    let reason = service::errors::chain(&error);
                    warn!(event = "record_delayed", %reason, "cannot write the log of alerts yet: {reason}");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                other => return other,
            }
        }
    }

    /// A process that was frozen may write a number that another one has used and deleted, behind a snapshot of its
    /// own: that record is void.
    async fn check_late(&mut self) -> Result<(), JournalError> {
        let pace = self.shared.pace.get();
        let by_day = self.shared.clock.now().timestamp_millis() - pace.confirmed_at;
        let by_day = Duration::from_millis(by_day.unsigned_abs());
        if pace.confirmed.elapsed().max(by_day) < self.settings.takeover_after {
            return Ok(());
        }
        if store::snapshot_etag(&self.lake).await? != self.snapshot {
            return Err(JournalError::LostLead(self.shared.state().through + 1));
        }
        Ok(())
    }

    /// Writes a snapshot, and deletes the records that are too old or say nothing.
    async fn save(&mut self) -> Result<(), JournalError> {
        let (through, body) = {
            let state = self.shared.state();
            let body = serde_json::to_vec(&*state).map_err(JournalError::Encode)?;
            (state.through, body)
        };
        let saved = match store::write_snapshot(&self.lake, body, self.snapshot.clone()).await {
            Ok(Some(etag)) => Ok(Some(etag)),
            // The answer to an earlier attempt may have been lost. Whoever leads instead of this process has counted
            // more than it has.
            Ok(None) => store::read_snapshot(&self.lake).await.map(|found| {
                let older = found.filter(|(state, _)| state.through <= through);
                older.map(|(_, etag)| etag)
            }),
            Err(error) => Err(error),
        };
        match saved {
            Ok(None) => return Err(JournalError::LostLead(through + 1)),
            Ok(etag) => {
                self.snapshot = etag;
                self.snapshot_through = through;
                self.delete_old(through).await;
            }
            Err(error) if is_transient(&error) => {
                let reason = service::errors::chain(&error);
                warn!(event = "snapshot_delayed", %reason, "cannot write the snapshot of alerts yet: {reason}");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn delete_old(&mut self, through: u64) {
        let most = through.saturating_sub(ALWAYS_KEPT);
        let now = self.shared.clock.now().timestamp_millis();
        let (from, to) = {
            let state = self.shared.state();
            let from = state.pruned + 1;
            let old = state.prunable(now).min(most);
            (from, old.min(state.pruned + DELETED_AT_ONCE))
        };
        let is_old = |(number, at): &(u64, Instant)| *number <= most && at.elapsed() >= IDLE_KEPT;
        let room = DELETED_AT_ONCE.saturating_sub((to + 1).saturating_sub(from)) as usize;
        let idle = self.idle.iter().take(room).take_while(|idle| is_old(idle));
        let idle = idle.count();
        let numbers = self
            .idle
            .drain(..idle)
            .map(|(number, _)| number)
            .chain(from..=to);
        if let Err(error) = store::delete(&self.lake, numbers).await {
            let reason = service::errors::chain(&error);
            warn!(event = "prune_failed", %reason, "cannot delete old records of alerts: {reason}");
        } else if to >= from {
            self.shared.update(|state| state.pruned_through(to));
        }
    }
}

fn is_transient(error: &JournalError) -> bool {
    matches!(error, JournalError::Call(call) if call.is_transient())
}
