//! What is refused for good: counted all, and told of as many as a reader can take.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use service::terminal::printable;
use tokio::time::Instant;
use tracing::warn;

use crate::metrics::REFUSED;
use crate::rules::Refused;

/// Most characters of an event or payload in the log.
const EXCERPT: usize = 200;

/// Most refusals told of in [`EACH`]; the others are counted.
const MOST: u32 = 20;
const EACH: Duration = Duration::from_secs(10);

/// Counts refusals, and bounds how many are told of.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// Of a message, or a part of it, there is no event.
    pub(super) fn message(&self, topic: &str, payload: &[u8], refused: &Refused) {
        // Only as much as an excerpt can show.
        let payload = &payload[..payload.len().min(4 * EXCERPT)];
        let excerpt = excerpt(&String::from_utf8_lossy(payload));
        counter!(REFUSED, "code" => refused.code, "kind" => "").increment(1);
        if let Some(untold) = self.may_tell() {
            warn!(
                event = "message_refused",
                code = refused.code,
                topic = printable(topic),
                excerpt,
                untold,
                "{}: it is acknowledged, and no event",
                refused.message
            );
        }
    }

    /// Ingest refuses an event.
    pub(super) fn event(&self, kind: &str, body: &str, code: &str, reason: &str) {
        counter!(REFUSED, "code" => code.to_owned(), "kind" => kind.to_owned()).increment(1);
        if let Some(untold) = self.may_tell() {
            let excerpt = excerpt(body);
            warn!(
                event = "event_refused",
                code,
                kind,
                excerpt,
                untold,
                "ingest refuses an event: {}: its message is acknowledged",
                printable(reason)
            );
        }
    }

    /// How many were not told of since the last one that was; `None` if this one is not to be told of either.
    fn may_tell(&self) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.is_none_or(|since| since.elapsed() >= EACH) {
            told.since = Some(Instant::now());
            told.told = 0;
        }
        if told.told >= MOST {
            told.untold += 1;
            return None;
        }
        told.told += 1;
        Some(std::mem::take(&mut told.untold))
    }
}

/// The first characters of a text, safe to print.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_is_told_in_part() {
        let refusals = Refusals::default();
        let told = (0..1_000).filter(|_| refusals.may_tell().is_some()).count();
        assert_eq!(told, MOST as usize);
        tokio::time::advance(EACH).await;
        assert_eq!(refusals.may_tell(), Some(980));
        assert_eq!(refusals.may_tell(), Some(0));
    }

    #[test]
    fn an_excerpt_is_bounded_and_safe_to_print() {
        assert_eq!(excerpt("a\u{1b}b"), "a\\u{1b}b");
        assert_eq!(excerpt(&"ä".repeat(1_000)).chars().count(), EXCERPT + 1);
    }
}
