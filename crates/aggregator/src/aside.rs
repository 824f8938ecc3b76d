//! Lines that a commit cannot take in, kept with their reason: `_aside/<commit>.jsonl`.

use std::collections::HashMap;

use aws::{CallError, Condition, Lake};
use serde::Serialize;

/// One line set aside.
#[derive(Serialize)]
struct Entry<'a> {
    reason: &'a str,
    detail: &'a str,
    object: &'a str,
    line: &'a str,
}

/// The lines of one commit that are set aside.
#[derive(Default)]
pub(crate) struct Aside(Vec<u8>);

impl Aside {
    /// Keeps `line` of `object`; `reason` is a code to filter by.
    pub(crate) fn keep(&mut self, reason: &str, detail: &str, object: &str, line: &str) {
        let entry = Entry {
            reason,
            detail,
            object,
            line,
        };
        serde_json::to_writer(&mut self.0, &entry).expect("texts always serialise to a Vec");
        self.0.push(b'\n');
    }

    /// Writes them, if there are any. Finishing a commit again writes the same.
    pub(crate) async fn write(self, lake: &Lake, commit: u64) -> Result<(), CallError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let key = format!("_aside/{commit:010}.jsonl");
        lake.put(
            &key,
            self.0.into(),
            "application/x-ndjson",
            HashMap::new(),
            Condition::Always,
        )
        .await
        .map(|_| ())
    }
}
