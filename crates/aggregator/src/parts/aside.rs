//! Lines that a commit leaves out, kept with their reason: [`aside_key`].
//!
//! The key holds a hash of the lines: a commit that is finished again writes the same object; under other
//! declarations, or for some of its hours only, it writes another object. Nothing that was kept is lost. More lines
//! than fit into memory become several objects, and whoever finishes the commit again may divide them otherwise.

use std::collections::BTreeMap;

use aws::{ByteRange, CallError, Condition, Lake};
use lake::key::aside_key;
use lake::log::is_done;
use lake::rows::{MAX_LINE_BYTES, Span};
use serde::Serialize;
use uuid::Uuid;

use crate::put::put;

/// Bytes of lines that are held at most.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Conflicts that are held at most: some 150 bytes each.
const MAX_CONFLICTS: usize = 50_000;

#[derive(Serialize)]
struct Entry<'a> {
    reason: &'a str,
    detail: &'a str,
    object: &'a str,
    line: &'a str,
}

/// The lines that one commit leaves out.
pub(crate) struct Aside<'a> {
    lake: &'a Lake,
    commit: u64,
    /// Whether lines are kept only while the commit is not done.
    while_open: bool,
    /// Keys of the commit's objects.
    inputs: &'a [String],
    /// JSONL, by the number of the object.
    kept: BTreeMap<u32, Vec<u8>>,
    bytes: usize,
    /// Lines whose text is not at hand, by the number of their object.
    conflicts: BTreeMap<u32, Vec<Conflict>>,
    waiting: usize,
}

/// A line whose id has other content in the object of the key `stays`.
pub(crate) struct Conflict {
    pub(crate) id: String,
    pub(crate) stays: String,
    pub(crate) goes: Span,
}

impl<'a> Aside<'a> {
    /// `while_open` is for a run that finishes the commit: if another one was first, that has kept the lines, and since
    /// then an entity of some of them may have been forgotten.
    pub(crate) fn new(
        lake: &'a Lake,
        commit: u64,
        inputs: &'a [String],
        while_open: bool,
    ) -> Aside<'a> {
        Aside {
            lake,
            commit,
            while_open,
            inputs,
            kept: BTreeMap::new(),
            bytes: 0,
            conflicts: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Keeps a line of object `input` with its reason, which is a code to filter by.
    pub(crate) async fn keep(
        &mut self,
        input: u32,
        reason: &str,
        detail: &str,
        line: &str,
    ) -> anyhow::Result<()> {
        let object = self.inputs.get(input as usize).map_or("", String::as_str);
        let entry = Entry {
            reason,
            detail,
            object,
            line,
        };
        let kept = self.kept.entry(input).or_default();
        let before = kept.len();
        serde_json::to_writer(&mut *kept, &entry)?;
        kept.push(b'\n');
        self.bytes += kept.len() - before;
        if self.bytes > MAX_BYTES {
            self.put().await?;
        }
        Ok(())
    }

    /// Keeps the lines of these conflicts.
    pub(crate) async fn keep_conflicts(&mut self, conflicts: Vec<Conflict>) -> anyhow::Result<()> {
        for conflict in conflicts {
            let of_input = self.conflicts.entry(conflict.goes.input).or_default();
            of_input.push(conflict);
            self.waiting += 1;
            if self.waiting >= MAX_CONFLICTS {
                self.read_conflicts().await?;
            }
        }
        Ok(())
    }

    /// Conflicts are rare: reading their lines again is cheaper than holding all objects.
    async fn read_conflicts(&mut self) -> anyhow::Result<()> {
        self.waiting = 0;
        for (input, mut conflicts) in std::mem::take(&mut self.conflicts) {
            conflicts.sort_by_key(|conflict| conflict.goes);
            let key = self.inputs.get(input as usize).map_or("", String::as_str);
            let (first, last) = (conflicts.first(), conflicts.last());
            let span = first.zip(last).map(|(a, b)| (a.goes.start, b.goes.end));
            let (start, end) = span.unwrap_or_default();
            let text = self.read(key, start, end).await?;
            if text.is_none() {
                tracing::warn!(
                    event = "raw_missing",
                    object.key = %key,
                    "the object was deleted while it was taken in: lines that conflict are kept without their text"
                );
            }
            for Conflict { id, stays, goes } in conflicts {
                let at = (goes.start - start) as usize..(goes.end - start) as usize;
                let bytes = text.as_ref().and_then(|text| text.get(at));
                let line = String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                if bytes.is_some() && line.trim().is_empty() {
                    // It was forgotten since it was read.
                    continue;
                }
                let detail = format!("event_id `{id}` has other content in `{stays}`");
                self.keep(input, "conflict", &detail, line.trim_end())
                    .await?;
            }
        }
        Ok(())
    }

    /// The bytes of an object; none if it is gone.
    async fn read(
        &self,
        key: &str,
        start: u32,
        end: u32,
    ) -> Result<Option<bytes::Bytes>, CallError> {
        if start == u32::MAX || end <= start {
            return Ok(None);
        }
        let piece = ByteRange::From {
            start: start.into(),
            length: (end - start).into(),
        };
        let object = self.lake.get_some(key, piece).await?;
        Ok(object.map(|object| object.body))
    }

    /// Writes what is held, if there is anything.
    async fn put(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        let kept = std::mem::take(&mut self.kept).into_values();
        let kept = kept.collect::<Vec<_>>().concat();
        if kept.is_empty() {
            return Ok(());
        }
        if self.while_open && is_done(self.lake, self.commit).await? {
            return Ok(());
        }
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &kept).as_fields().0;
        let key = aside_key(self.commit, hash);
        // As for hours that are put off, one that is there stays.
        put(self.lake, &key, kept, None, Condition::IfAbsent).await?;
        Ok(())
    }

    /// Writes all lines.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.read_conflicts().await?;
        self.put().await
    }
}

const _: () = assert!(MAX_LINE_BYTES < MAX_BYTES, "a line can be held");
