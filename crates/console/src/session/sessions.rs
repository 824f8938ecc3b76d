//! Sessions and one-time links, as hashes in memory: whoever reads the memory of this process later finds no cookie.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use rand::TryRng;
use rand::rngs::SysRng;
use service::keys::Key;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// Most one-time links at a time.
const MOST_LINKS: usize = 16;

/// How long a one-time link can be opened.
const LINK_LASTS: TimeDelta = TimeDelta::hours(24);

type Hash = [u8; 32];

/// A sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The key that began it.
    pub(crate) key: Arc<Key>,
    pub(crate) expires_at: DateTime<Utc>,
    /// Cancelled when somebody signs out, or the key is no longer accepted.
    pub(crate) ended: CancellationToken,
}

/// All sessions, each under the hash of its cookie.
#[derive(Debug)]
pub(crate) struct Sessions {
    clock: Clock,
    lasts: TimeDelta,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<Hash, Session>,
    links: HashMap<Hash, DateTime<Utc>>,
}

impl Sessions {
    pub(crate) fn new(clock: Clock, lasts: Duration, most: usize) -> Sessions {
        Sessions {
            clock,
            lasts: TimeDelta::from_std(lasts).unwrap_or(TimeDelta::hours(12)),
            most: most.max(1),
            state: Mutex::default(),
        }
    }

    /// Begins a session for who has this key, and gives the cookie that stands for it. Where there is no room for it, the session that would
    /// end first ends.
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub(crate) fn begin(&self, key: Arc<Key>) -> anyhow::Result<(String, Session)> {
        let cookie = random()?;
        let now = self.clock.now();
        let until = now + self.lasts;
        let session = Session {
            expires_at: key.expires().unwrap_or(until).min(until),
            ended: key.revoked().child_token(),
            key,
        };
        let mut state = self.state();
        state
            .sessions
            .retain(|_, session| session.expires_at > now && !session.ended.is_cancelled());
        while state.sessions.len() >= self.most {
            let first = state
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.expires_at);
            let Some(first) = first.map(|(hash, _)| *hash) else {
                break;
            };
            if let Some(first) = state.sessions.remove(&first) {
                first.ended.cancel();
            }
        }
        state.sessions.insert(hash(&cookie), session.clone());
        metrics::gauge!("headwater_console_sessions").set(state.sessions.len() as f64);
        Ok((cookie, session))
    }

    /// The session of a cookie, unless it has ended.
    pub(crate) fn find(&self, cookie: &str) -> Option<Session> {
        let now = self.clock.now();
        let state = self.state();
        let session = state.sessions.get(&hash(cookie))?;
        let is_on = session.expires_at > now && !session.ended.is_cancelled();
        is_on.then(|| session.clone())
    }

    /// Ends the session of a cookie.
    pub(crate) fn end(&self, cookie: &str) {
        let mut state = self.state();
        if let Some(session) = state.sessions.remove(&hash(cookie)) {
            session.ended.cancel();
        }
        metrics::gauge!("headwater_console_sessions").set(state.sessions.len() as f64);
    }

    /// A token that begins a session once.
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub(crate) fn link(&self) -> anyhow::Result<String> {
        let token = random()?;
        let now = self.clock.now();
        let mut state = self.state();
        state.links.retain(|_, until| *until > now);
        if state.links.len() < MOST_LINKS {
            state.links.insert(hash(&token), now + LINK_LASTS);
        }
        Ok(token)
    }

    /// Takes a token of [`link`](Sessions::link); false where it was used, has ended or never was.
    pub(crate) fn take_link(&self, token: &str) -> bool {
        let until = self.state().links.remove(&hash(token));
        until.is_some_and(|until| until > self.clock.now())
    }

    /// How long until `session` ends by itself.
    pub(crate) fn left(&self, session: &Session) -> Duration {
        (session.expires_at - self.clock.now())
            .to_std()
            .unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table is asked for the hash of what was sent: how long it looks tells nothing of the cookies that it knows.
fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits, as hexadecimal digits.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn sessions(most: usize) -> Sessions {
        let clock = Clock::starting_at("2026-11-27T12:00:00Z".parse().unwrap());
        Sessions::new(clock, Duration::from_secs(12 * 3600), most)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_its_hours_unless_it_is_ended() {
        let sessions = sessions(10);
        let (first, begun) = sessions.begin(Key::own()).unwrap();
        let (second, _) = sessions.begin(Key::own()).unwrap();
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        assert!(sessions.find(&first).is_some() && sessions.find("another").is_none());
        sessions.end(&first);
        assert!(sessions.find(&first).is_none() && begun.ended.is_cancelled());
        advance(Duration::from_secs(12 * 3600 - 1)).await;
        assert!(sessions.find(&second).is_some());
        advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&second).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_bound_the_oldest_session_ends() {
        let sessions = sessions(2);
        let (first, begun) = sessions.begin(Key::own()).unwrap();
        advance(Duration::from_secs(1)).await;
        let (second, _) = sessions.begin(Key::own()).unwrap();
        advance(Duration::from_secs(1)).await;
        let (third, _) = sessions.begin(Key::own()).unwrap();
        assert!(sessions.find(&first).is_none() && begun.ended.is_cancelled());
        assert!(sessions.find(&second).is_some() && sessions.find(&third).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_opens_once_and_not_the_next_day() {
        let sessions = sessions(2);
        let link = sessions.link().unwrap();
        assert!(sessions.take_link(&link) && !sessions.take_link(&link) && !sessions.take_link(""));
        let late = sessions.link().unwrap();
        advance(Duration::from_secs(24 * 3600)).await;
        assert!(!sessions.take_link(&late));
    }
}
