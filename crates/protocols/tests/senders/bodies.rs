//! Reads bodies, and keeps their events.

use std::convert::Infallible;

use contract::Kinds;
use protocols::{Form, Mapping, Read, SentEvent, Stop};
use serde_json::Value;

/// What a body became.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) events: Vec<Value>,
    pub(crate) kinds: Vec<String>,
    pub(crate) read: Read,
    pub(crate) answer: protocols::Answer,
}

/// Reads a body of which every event is held against its contract, as of 2025-10-04T13:00Z.
pub(crate) fn read_mapped(form: Form, body: &[u8], mapping: &str) -> Result<Got, Stop<Infallible>> {
    let kinds = Kinds::builtin();
    let mapping = Mapping::parse(mapping, &kinds).unwrap();
    let now = "2025-10-04T13:00:00Z".parse().unwrap();
    let (mut events, mut names) = (Vec::new(), Vec::new());
    let mut take = |sent: SentEvent<'_>| {
        let taken = contract::parse_sent(&kinds, Some(sent.kind), sent.text, now);
        Ok(match taken {
            Ok(_) => {
                events.push(serde_json::from_str(sent.text).unwrap());
                names.push(sent.kind.name.clone());
                Ok(())
            }
            Err(rejection) => Err(rejection.message),
        })
    };
    let read = form.read(body, &kinds, &mapping, &mut take)?;
    let answer = form.answer(&read);
    Ok(Got {
        events,
        kinds: names,
        read,
        answer,
    })
}

/// As [`read_mapped`], without rules.
pub(crate) fn read(form: Form, body: &[u8]) -> Got {
    read_mapped(form, body, "").unwrap()
}

/// 2025-10-04T12:34:56Z, in milliseconds.
pub(crate) const MILLIS: i64 = 1_759_581_296_000;
