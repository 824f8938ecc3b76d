//! Lines on their way to the lake: anomalies, and changes of alerts.

use std::collections::HashMap;

use aws::{CallError, Condition, Lake};
use chrono::{DateTime, Utc};
use lake::key::told_key;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tracing::warn;

/// Most lines that wait while the lake does not take them; past it the oldest are dropped and counted.
const MOST: usize = 100_000;

/// Lines of one sort that are not in the lake yet.
#[derive(Debug)]
pub(super) struct Told<T> {
    /// Where they go.
    prefix: &'static str,
    waiting: Vec<T>,
    is_failing: bool,
}

impl<T: Serialize> Told<T> {
    pub(super) fn new(prefix: &'static str) -> Told<T> {
        Told {
            prefix,
            waiting: Vec::new(),
            is_failing: false,
        }
    }

    pub(super) fn add(&mut self, lines: impl IntoIterator<Item = T>) {
        self.waiting.extend(lines);
        let most = self.waiting.len().saturating_sub(MOST);
        if most > 0 {
            self.waiting.drain(..most);
            metrics::counter!("headwater_alerts_dropped_lines_total", "prefix" => self.prefix)
                .increment(most as u64);
        }
    }

    /// Writes what waits as one object. If the lake does not take it, it waits on.
    pub(super) async fn write(&mut self, lake: &Lake, now: DateTime<Utc>) {
        if self.waiting.is_empty() {
            return;
        }
        match put(lake, self.prefix, now, &self.waiting).await {
            Ok(()) => {
                self.waiting.clear();
                self.is_failing = false;
            }
            Err(error) => {
                if !self.is_failing {
                    let (prefix, reason) = (self.prefix, service::errors::chain(&error));
                    warn!(event = "told_late", prefix, %reason, "cannot write {prefix} yet: {reason}");
                }
                self.is_failing = true;
            }
        }
    }
}

async fn put<T: Serialize>(
    lake: &Lake,
    prefix: &str,
    now: DateTime<Utc>,
    waiting: &[T],
) -> Result<(), CallError> {
    let mut lines = Vec::new();
    for line in waiting {
        // Texts and finite numbers are always JSON.
        if serde_json::to_writer(&mut lines, line).is_ok() {
            lines.push(b'\n');
        }
    }
    let digest: [u8; 32] = Sha256::digest(&lines).into();
    let hash = digest[..16]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u128::from(*byte));
    let key = told_key(prefix, now, hash);
    let kind = "application/x-ndjson";
    lake.put(&key, lines.into(), kind, HashMap::new(), Condition::Always)
        .await?;
    Ok(())
}
