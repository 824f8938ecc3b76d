//! Reads bodies, and keeps their events.

use std::convert::Infallible;

use contract::{Kind, Kinds, METRIC_INFO};
use protocols::{Form, Mapping, Read, Sent, Stop};
use serde_json::{Value, json};

/// What a body became.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) events: Vec<Value>,
    pub(crate) kinds: Vec<String>,
    /// What is said of metrics, of noon: each is in the kind that it is for.
    pub(crate) infos: Vec<Value>,
    pub(crate) read: Read,
    pub(crate) answer: protocols::Answer,
}

/// Reads a body of which every event is held against its contract, as of 2025-10-04T13:00Z.
pub(crate) fn read_mapped(form: Form, body: &[u8], mapping: &str) -> Result<Got, Stop<Infallible>> {
    let kinds = Kinds::builtin();
    let mapping = Mapping::parse(mapping, &kinds).unwrap();
    let now = "2025-10-04T13:00:00Z".parse().unwrap();
    let noon = "2025-10-04T12:00:00Z".parse().unwrap();
    let (mut events, mut names, mut infos) = (Vec::new(), Vec::new(), Vec::new());
    let check = |kind: &Kind, text: &str| {
        let taken = contract::parse_sent(&kinds, Some(kind), text, now);
        let json = serde_json::from_str(text).unwrap();
        taken.map_or_else(|rejection| Err(rejection.message), |_| Ok(json))
    };
    let mut take = |sent: Sent<'_>| {
        Ok(match sent {
            Sent::Event(sent) => check(sent.kind, sent.text).map(|event| {
                events.push(event);
                names.push(sent.kind.name.clone());
            }),
            Sent::Info(info) => {
                let kind = kinds.get(METRIC_INFO).unwrap();
                check(kind, &info.text(kind, noon).unwrap()).map(|info| infos.push(info))
            }
        })
    };
    let read = form.read(body, &kinds, &mapping, &mut take)?;
    let answer = form.answer(&read);
    Ok(Got {
        events,
        kinds: names,
        infos,
        read,
        answer,
    })
}

/// As [`read_mapped`], without rules.
pub(crate) fn read(form: Form, body: &[u8]) -> Got {
    read_mapped(form, body, "").unwrap()
}

/// An info of noon. Texts that are empty are not there.
pub(crate) fn info(name: &str, is_of: &str, unit: &str, description: &str) -> Value {
    let mut info = json!({"type": is_of, "unit": unit, "description": description});
    let texts = info.as_object_mut().unwrap();
    texts.retain(|_, text| text != "");
    json!({"name": name, "timestamp": "2025-10-04T12:00:00Z", "info": info})
}

/// 2025-10-04T12:34:56Z, in milliseconds.
pub(crate) const MILLIS: i64 = 1_759_581_296_000;
