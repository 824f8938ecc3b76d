//! Sorts the events of raw objects into their hours.

use std::collections::{BTreeMap, HashMap};

use anyhow::bail;
use contract::{Code, Hour, Kinds, parse_line};

use crate::parts::aside::Aside;
use lake::log::summary::Summary;
use lake::rows::group::{Added, Group, Span};

/// The event groups of a commit: by kind and event hour.
pub(crate) type Groups<'k> = BTreeMap<(&'k str, Hour), Group<'k>>;

/// Why a line is set aside whose signals would be more columns than an hour may have.
const TOO_MANY_COLUMNS: &str = "too_many_columns";
const TOO_MANY_COLUMNS_DETAIL: &str = "the hour has its most columns of undeclared signals, and this event would bring more: declare the signals";

/// Groups that grow, object by object.
pub(crate) struct Gathering<'k> {
    kinds: &'k Kinds,
    groups: Vec<((&'k str, Hour), Group<'k>)>,
    /// Where each group is.
    places: HashMap<(&'k str, Hour), usize>,
    /// The group of the last event: most are of the kind and hour of the one before.
    last: usize,
    /// Lines that cannot be taken in.
    pub(crate) aside: Aside,
}

impl<'k> Gathering<'k> {
    pub(crate) fn new(kinds: &'k Kinds) -> Gathering<'k> {
        Gathering {
            kinds,
            groups: Vec::new(),
            places: HashMap::new(),
            last: 0,
            aside: Aside::default(),
        }
    }

    /// Takes in the lines of an object, which is number `input` of the commit's. Of the events
    /// with one id, the first to be received stays.
    pub(crate) fn add(
        &mut self,
        (input, key): (u32, &str),
        body: &[u8],
        wanted: impl Fn(Hour) -> bool,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', body).map(|at| at + 1);
        let rest = (!body.ends_with(b"\n")).then_some(body.len());
        for end in ends.chain(rest) {
            let span = Span {
                input,
                start: start as u32,
                end: end as u32,
            };
            let line = &body[start..end];
            start = end;
            if !line.starts_with(b"{") && line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let text = std::str::from_utf8(line).unwrap_or_default();
            let event = match parse_line(self.kinds, text) {
                Ok(event) => event,
                // A line that names no kind is none of ours; one that does awaits its declaration.
                Err(rejection)
                    if rejection.code == Code::UnknownKind && rejection.field.is_some() =>
                {
                    bail!(
                        "`{key}` holds an event of a kind that is not declared here: {rejection}; set CONTRACTS to the folder that ingest has, and run again"
                    )
                }
                Err(rejection) => {
                    summary.refused += 1;
                    let line = String::from_utf8_lossy(line);
                    self.aside.keep(
                        rejection.code.as_str(),
                        &rejection.message,
                        key,
                        line.trim_end(),
                    );
                    continue;
                }
            };
            let hour = Hour::of(event.time);
            if !wanted(hour) {
                continue;
            }
            let id = event.event_id.as_deref().unwrap_or_default();
            let Some(group) = self.group(&event.kind.name, hour) else {
                continue;
            };
            if !group.has_room(&event) {
                summary.refused += 1;
                self.aside.keep(
                    TOO_MANY_COLUMNS,
                    TOO_MANY_COLUMNS_DETAIL,
                    key,
                    text.trim_end(),
                );
                continue;
            }
            let Added::Seen(row) = group.add(&event, id, span) else {
                continue;
            };
            let same = group.is_same(row, &event);
            // The kept one is the one received first, in whatever order the objects are read.
            let other = group.span(row);
            let (stays, goes) = match group.was_received_after(row, &event) {
                true => {
                    group.replace(&event, id, span);
                    (span, other)
                }
                false => (other, span),
            };
            if same {
                summary.duplicates += 1;
            } else {
                summary.conflicts += 1;
                self.aside.keep_conflict(id, stays, goes);
            }
        }
        Ok(())
    }

    /// The group of that kind and hour, which is the last one from now on.
    fn group(&mut self, kind: &str, hour: Hour) -> Option<&mut Group<'k>> {
        let is_it = |((name, at), _): &((&str, Hour), _)| *at == hour && *name == kind;
        if !self.groups.get(self.last).is_some_and(is_it) {
            self.last = match self.places.get(&(kind, hour)) {
                Some(at) => *at,
                None => {
                    let kind = self.kinds.get(kind)?;
                    let at = (kind.name.as_str(), hour);
                    self.groups.push((at, Group::new(kind)));
                    self.places.insert(at, self.groups.len() - 1);
                    self.groups.len() - 1
                }
            };
        }
        self.groups.get_mut(self.last).map(|(_, group)| group)
    }

    /// The groups, and what was set aside.
    pub(crate) fn finish(self) -> (Groups<'k>, Aside) {
        (self.groups.into_iter().collect(), self.aside)
    }
}
