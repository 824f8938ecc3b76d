//! Lines that a commit cannot take in, kept with their reason: `_aside/<commit>-<hash>.jsonl`.
//!
//! The hash is the content's: finishing a commit again writes the same object, and under other
//! declarations, or for some of its hours alone, another one beside it. Nothing that was kept is lost.

use std::collections::{BTreeMap, HashMap};

use aws::{CallError, Condition, Lake};
use serde::Serialize;
use uuid::Uuid;

use lake::rows::group::Span;

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
pub(crate) struct Aside {
    kept: Vec<u8>,
    /// Lines whose text is not at hand: by object, which other content stays, and where the line is.
    conflicts: BTreeMap<u32, Vec<(Conflict, Span)>>,
}

/// An id that came with two contents.
struct Conflict {
    id: String,
    stays: Place,
}

/// Where the content is that stays.
enum Place {
    /// In an object of the commit.
    Input(u32),
    /// In a part of an earlier commit.
    Part(String),
}

impl Aside {
    /// Keeps `line` of `object`; `reason` is a code to filter by.
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

    /// Keeps the line at `goes`: its id has other content at `stays`.
    pub(crate) fn keep_conflict(&mut self, id: &str, stays: Span, goes: Span) {
        self.push(id, Place::Input(stays.input), goes);
    }

    /// Keeps the line at `goes`: its id has other content in that part.
    pub(crate) fn keep_conflict_with_part(&mut self, id: &str, part: &str, goes: Span) {
        self.push(id, Place::Part(part.to_owned()), goes);
    }

    fn push(&mut self, id: &str, stays: Place, goes: Span) {
        let id = id.to_owned();
        let conflicts = self.conflicts.entry(goes.input).or_default();
        conflicts.push((Conflict { id, stays }, goes));
    }

    /// Writes them, if there are any; `inputs` are the commit's objects.
    pub(crate) async fn write(
        mut self,
        lake: &Lake,
        commit: u64,
        inputs: &[String],
    ) -> Result<(), CallError> {
        let input = |at: u32| inputs.get(at as usize).map_or("", String::as_str);
        // Few come to this, so that reading their objects again is cheaper than holding all.
        for (at, conflicts) in std::mem::take(&mut self.conflicts) {
            let object = lake.get(input(at)).await?;
            if object.is_none() {
                tracing::warn!(event = "raw_missing", object.key = %input(at), "the object was deleted while it was taken in: lines that conflict are kept without their text");
            }
            for (Conflict { id, stays }, goes) in conflicts {
                let bytes = object
                    .as_ref()
                    .and_then(|object| object.body.get(goes.start as usize..goes.end as usize));
                let line = String::from_utf8_lossy(bytes.unwrap_or_default());
                let place = match &stays {
                    Place::Input(at) => input(*at),
                    Place::Part(key) => key,
                };
                let detail = format!("event_id `{id}` has other content in `{place}`");
                self.keep("conflict", &detail, input(at), line.trim_end());
            }
        }
        if self.kept.is_empty() {
            return Ok(());
        }
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.kept).as_fields().0;
        let key = format!("_aside/{commit:010}-{hash:08x}.jsonl");
        lake.put(
            &key,
            self.kept.into(),
            "application/x-ndjson",
            HashMap::new(),
            Condition::Always,
        )
        .await
        .map(|_| ())
    }
}
