//! Lines that a commit leaves out, kept with their reason: [`aside_key`].
//!
//! The key holds a hash of the lines: a commit that is finished again writes the same object; under other
//! declarations, or for some of its hours only, it writes another object. Nothing that was kept is lost.

use std::collections::BTreeMap;

use aws::{CallError, Condition, Lake};
use lake::key::aside_key;
use lake::rows::Span;
use serde::Serialize;
use uuid::Uuid;

use crate::put::put;

#[derive(Serialize)]
struct Entry<'a> {
    reason: &'a str,
    detail: &'a str,
    object: &'a str,
    line: &'a str,
}

/// The lines that one commit leaves out.
#[derive(Default)]
pub(crate) struct Aside {
    /// JSONL.
    kept: Vec<u8>,
    /// Lines whose text is not at hand, by the number of their object.
    conflicts: BTreeMap<u32, Vec<Conflict>>,
}

/// A line whose id has other content in the object `stays`.
struct Conflict {
    id: String,
    stays: String,
    goes: Span,
}

impl Aside {
    /// Keeps a line with its reason, which is a code to filter by.
    pub(crate) fn keep(&mut self, reason: &str, detail: &str, object: &str, line: &str) {
        let entry = Entry {
            reason,
            detail,
            object,
            line,
        };
        serde_json::to_writer(&mut self.kept, &entry).expect("texts always serialise to a Vec");
        self.kept.push(b'\n');
    }

    /// Keeps the line at `goes`, whose id has other content in the object of the key `stays`.
    pub(crate) fn keep_conflict(&mut self, id: &str, stays: &str, goes: Span) {
        self.conflicts
            .entry(goes.input)
            .or_default()
            .push(Conflict {
                id: id.to_owned(),
                stays: stays.to_owned(),
                goes,
            });
    }

    /// Writes the lines, if there are any; `inputs` are the keys of the commit's objects.
    pub(crate) async fn write(
        mut self,
        lake: &Lake,
        commit: u64,
        inputs: &[String],
    ) -> Result<(), CallError> {
        let input = |at: u32| inputs.get(at as usize).map_or("", String::as_str);
        // Conflicts are rare: reading their objects again is cheaper than holding all objects.
        for (at, conflicts) in std::mem::take(&mut self.conflicts) {
            let object = lake.get(input(at)).await?;
            if object.is_none() {
                tracing::warn!(event = "raw_missing", object.key = %input(at), "the object was deleted while it was taken in: lines that conflict are kept without their text");
            }
            for Conflict { id, stays, goes } in conflicts {
                let bytes = object.as_ref();
                let bytes = bytes
                    .and_then(|object| object.body.get(goes.start as usize..goes.end as usize));
                let line = String::from_utf8_lossy(bytes.unwrap_or_default());
                let detail = format!("event_id `{id}` has other content in `{stays}`");
                self.keep("conflict", &detail, input(at), line.trim_end());
            }
        }
        if self.kept.is_empty() {
            return Ok(());
        }
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.kept).as_fields().0;
        let key = aside_key(commit, hash);
        put(lake, &key, self.kept, None, Condition::Always).await?;
        Ok(())
    }
}
