//! One accepted key, and what it has used.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, counter};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::Entry;
use super::limit::{Bucket, DayBytes, Limits, Rate};
use super::scope::{Access, Scope};
use super::scram::{Salt, Verifier};
use super::{KeyError, digest};

/// A key that is accepted, as it stood in the file when the request came. Requests of one key share it.
pub struct Key {
    pub(super) entry: Entry,
    /// The key itself, of those without a name.
    text: Option<SecretString>,
    label: Arc<str>,
    usage: Arc<Usage>,
    revoked: CancellationToken,
}

/// What a key has used: kept when its entry in the file changes.
#[derive(Debug)]
pub(super) struct Usage {
    number: u64,
    state: Mutex<State>,
    requests: OnceLock<Counter>,
    events: OnceLock<Counter>,
}

#[derive(Debug, Default)]
struct State {
    requests: Bucket,
    events: Bucket,
    bytes: DayBytes,
}

impl Default for Usage {
    fn default() -> Usage {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Usage {
            number: LAST.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
            requests: OnceLock::new(),
            events: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

impl Key {
    /// A key of the file; `label` stands for it in metrics.
    pub(super) fn named(entry: Entry, label: Arc<str>, usage: Arc<Usage>) -> Key {
        Key {
            entry,
            text: None,
            label,
            usage,
            revoked: CancellationToken::new(),
        }
    }

    /// A key without a name: it may do all that its service does, without a limit.
    pub(super) fn unnamed(text: SecretString) -> Key {
        let entry = Entry {
            digest: digest(text.expose_secret().as_bytes()),
            name: super::UNNAMED.to_owned(),
            scope: Scope::all(),
            limits: Limits::default(),
            expires: None,
            scram: None,
        };
        Key {
            entry,
            text: Some(text),
            label: super::UNNAMED.into(),
            usage: Arc::default(),
            revoked: CancellationToken::new(),
        }
    }

    /// The service's own: for what it asks itself, and for who needs no key.
    pub fn own() -> Arc<Key> {
        // It is in no set, so that nobody can send it.
        Arc::new(Key::unnamed(SecretString::default()))
    }

    /// Its name, for logs and answers; `unnamed` for those without one.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Its name, which its events are stored with; none of a key without a name.
    pub fn sender(&self) -> Option<&str> {
        self.is_named().then(|| self.name())
    }

    /// Whether the key stands in the file of keys.
    pub fn is_named(&self) -> bool {
        self.text.is_none()
    }

    /// Its name in metrics: `other` for the last of many names.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Tells keys apart in this process: the same for a key whose entry has changed.
    pub fn number(&self) -> u64 {
        self.usage.number
    }

    /// What it may do.
    pub fn scope(&self) -> &Scope {
        &self.entry.scope
    }

    /// What bounds it.
    pub fn limits(&self) -> &Limits {
        &self.entry.limits
    }

    /// Until when it is accepted; for ever if absent.
    pub fn expires(&self) -> Option<DateTime<Utc>> {
        self.entry.expires
    }

    /// What proves it to the PostgreSQL wire: none for a key of the file that has no verifier. It takes some
    /// milliseconds for a key without a name.
    pub fn verifier(&self, salt: &Salt) -> Option<Verifier> {
        match &self.text {
            Some(key) => Some(Verifier::new(key.expose_secret(), salt)),
            None => self.entry.scram.clone(),
        }
    }

    /// Cancelled once the key is no longer accepted as it is here: its entry was taken out, or changed. What goes on
    /// for long, such as a session, ends then.
    pub fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Checks that the key may do this.
    ///
    /// # Errors
    ///
    /// [`KeyError::Forbidden`], which is counted.
    pub fn check_access(&self, access: Access) -> Result<(), KeyError> {
        if self.scope().allows(access) {
            return Ok(());
        }
        Err(self.forbidden(&format!("do what needs `{}`", access.word())))
    }

    /// What is answered to who may not do `what`.
    pub fn forbidden(&self, what: &str) -> KeyError {
        self.refused(KeyError::Forbidden {
            name: self.name().to_owned(),
            what: what.to_owned(),
            may: self.scope().to_string(),
        })
    }

    /// Counts a request, if the limits leave room for it: one of requests, one event, one byte.
    ///
    /// # Errors
    ///
    /// [`KeyError::Limited`], which is counted.
    pub fn begin(&self, day: DateTime<Utc>) -> Result<(), KeyError> {
        let limits = &self.entry.limits;
        if *limits != Limits::default() {
            self.check_limits(limits, day)?;
        }
        let counter = self.usage.requests.get_or_init(
            || counter!("headwater_key_requests_total", "key" => self.label.to_string()),
        );
        counter.increment(1);
        Ok(())
    }

    fn check_limits(&self, limits: &Limits, day: DateTime<Utc>) -> Result<(), KeyError> {
        let now = Instant::now();
        let mut state = self.state();
        let limited = |wait, what: String| self.limited(wait, what);
        if let Some(rate) = limits.requests
            && let Err(wait) = state.requests.check(rate, now)
        {
            return Err(limited(wait, bound(rate, "requests")));
        }
        if let Some(rate) = limits.events
            && let Err(wait) = state.events.check(rate, now)
        {
            return Err(limited(wait, bound(rate, "events")));
        }
        if let Some(most) = limits.bytes_per_day
            && let Err(wait) = state.bytes.check(most, day)
        {
            return Err(limited(wait, format!("{most} bytes a day (UTC)")));
        }
        if let Some(rate) = limits.requests {
            state.requests.take(rate, 1.0, now);
        }
        Ok(())
    }

    /// Counts the events of a body, good and refused ones, against the limit.
    pub fn use_events(&self, events: usize) {
        if let Some(rate) = self.entry.limits.events {
            self.state()
                .events
                .take(rate, events as f64, Instant::now());
        }
    }

    /// Counts events that were taken, for the metrics.
    pub fn count_taken(&self, events: usize) {
        let counter = self.usage.events.get_or_init(
            || counter!("headwater_key_events_total", "key" => self.label.to_string()),
        );
        counter.increment(events as u64);
    }

    /// Counts the bytes of a body against the limit.
    pub fn use_bytes(&self, bytes: usize, day: DateTime<Utc>) {
        if self.entry.limits.bytes_per_day.is_some() {
            self.state().bytes.take(bytes as u64, day);
        }
    }

    fn limited(&self, wait: Duration, limit: String) -> KeyError {
        self.refused(KeyError::Limited {
            name: self.name().to_owned(),
            limit,
            // Up to the whole second, so that whoever waits as told is let in.
            retry_after: wait.as_secs().saturating_add(1),
        })
    }

    fn refused(&self, error: KeyError) -> KeyError {
        counter!("headwater_key_refusals_total", "key" => self.label.to_string(), "code" => error.code())
            .increment(1);
        tracing::debug!(
            event = "key_refused",
            key = self.name(),
            code = error.code(),
            "{error}"
        );
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.usage
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(rate: Rate, what: &str) -> String {
    let Rate { per_second, burst } = rate;
    format!("{per_second} {what} a second, and {burst} at once")
}
