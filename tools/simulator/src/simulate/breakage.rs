//! Ways to break a sound event's contract, each with the answer that it must get.

use contract::Code;
use serde_json::{Map, Value, json};

/// One way to break an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Breakage {
    /// The field that holds the event time is not there.
    NoTime,
    /// The field that holds the signals is not there.
    NoSignalsField,
    /// The field that holds the signals is an empty object.
    NoSignals,
    /// The entity is a number.
    EntityIsNumber,
    /// A declared number is a word.
    SignalIsWord,
    /// A field that the contract does not have.
    UnknownField,
    /// The time names no zone.
    NoZone,
    /// The time is a word.
    TimeIsWord,
    /// The year 0001, as clocks without battery send it.
    YearOne,
    /// The year 9999, as systems write "never".
    Year9999,
    /// A signal is an object.
    Nested,
    /// A declared number far outside its range.
    OutOfRange,
    /// A number that no double can hold: `1e999`.
    TooBigNumber,
    /// An entity id that walks up a path.
    PathInEntity,
    /// The entity field twice.
    DuplicateField,
    /// More signals than an event may carry.
    TooManySignals,
    /// The text ends early.
    Truncated,
}

impl Breakage {
    /// All ways, in the order in which a generator uses them.
    pub const ALL: [Breakage; 17] = [
        Breakage::NoTime,
        Breakage::SignalIsWord,
        Breakage::UnknownField,
        Breakage::NoZone,
        Breakage::Nested,
        Breakage::OutOfRange,
        Breakage::Truncated,
        Breakage::NoSignals,
        Breakage::EntityIsNumber,
        Breakage::TimeIsWord,
        Breakage::YearOne,
        Breakage::Year9999,
        Breakage::TooBigNumber,
        Breakage::PathInEntity,
        Breakage::DuplicateField,
        Breakage::TooManySignals,
        Breakage::NoSignalsField,
    ];

    /// The code with which ingest must refuse such an event.
    pub fn expected(self) -> Code {
        match self {
            Breakage::NoTime | Breakage::NoSignalsField => Code::MissingField,
            Breakage::NoSignals => Code::NoSignals,
            Breakage::EntityIsNumber | Breakage::SignalIsWord => Code::WrongType,
            Breakage::UnknownField => Code::UnknownField,
            Breakage::NoZone => Code::TimestampWithoutZone,
            Breakage::TimeIsWord => Code::InvalidTimestamp,
            Breakage::YearOne | Breakage::Year9999 => Code::TimestampOutOfRange,
            Breakage::Nested => Code::NestedSignal,
            Breakage::OutOfRange | Breakage::TooBigNumber => Code::OutOfRange,
            Breakage::PathInEntity => Code::InvalidFormat,
            Breakage::DuplicateField => Code::DuplicateField,
            Breakage::TooManySignals => Code::TooManySignals,
            Breakage::Truncated => Code::InvalidJson,
        }
    }

    /// Breaks an event of a [`Fleet`](crate::Fleet); text of other shape comes back truncated.
    pub fn apply(self, kind: &str, body: &str) -> String {
        let truncated = || body[..body.len() / 2].to_owned();
        let Ok(mut event) = serde_json::from_str::<Map<String, Value>>(body) else {
            return truncated();
        };
        let (time, entity, signals, number) = match kind {
            "cell" => ("event_time", "entity_id", "metrics", "dl_prb_util_pct"),
            "chat" => ("timestamp", "stream_id", "message", "bits"),
            "viewer" => ("timestamp", "stream_id", "audience", "viewers"),
            "transaction" => ("timestamp", "stream_id", "payment", "amount"),
            "stream_meta" => ("timestamp", "stream_id", "status", "fps"),
            _ => ("timestamp", "vehicle_id", "payload", "engine_rpm"),
        };
        let Some(Value::Object(readings)) = event.get_mut(signals) else {
            return truncated();
        };
        match self {
            Breakage::SignalIsWord => drop(readings.insert(number.into(), json!("fast"))),
            Breakage::Nested => {
                drop(readings.insert("position".into(), json!({ "lat": 49.0, "lon": 8.4 })))
            }
            Breakage::OutOfRange => drop(readings.insert(number.into(), json!(-1.0e6))),
            Breakage::TooManySignals => {
                readings.extend((0..=64).map(|n| (format!("signal_{n}"), json!(n))))
            }
            Breakage::NoSignals => readings.clear(),
            Breakage::NoSignalsField => drop(event.remove(signals)),
            Breakage::NoTime => drop(event.remove(time)),
            Breakage::EntityIsNumber => drop(event.insert(entity.into(), json!(123))),
            Breakage::PathInEntity => drop(event.insert(entity.into(), json!("../veh-00001"))),
            Breakage::UnknownField => drop(event.insert("colour".into(), json!("red"))),
            Breakage::NoZone => drop(event.insert(time.into(), json!("2025-10-04T12:34:56.123"))),
            Breakage::TimeIsWord => drop(event.insert(time.into(), json!("yesterday"))),
            Breakage::YearOne => drop(event.insert(time.into(), json!("0001-01-01T00:00:00Z"))),
            Breakage::Year9999 => drop(event.insert(time.into(), json!("9999-12-31T23:59:59Z"))),
            Breakage::Truncated => return truncated(),
            // What no JSON library writes, by hand.
            Breakage::DuplicateField => {
                return body.replacen('{', &format!("{{\"{entity}\":\"twice\","), 1);
            }
            Breakage::TooBigNumber => {
                let readings = format!("\"{signals}\":{{");
                return body.replacen(&readings, &format!("{readings}\"distance_m\":1e999,"), 1);
            }
        }
        Value::Object(event).to_string()
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use contract::{Kinds, parse_sent};

    use super::*;
    use crate::simulate::Fleet;

    #[test]
    fn each_breakage_gets_the_answer_it_expects_from_the_contract() {
        let kinds = Kinds::builtin();
        let mut fleet = Fleet::new(1, 1, 1, 1, 1);
        let mut kinds_met = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let event = fleet.next_event(Utc::now()).unwrap();
            parse_sent(&kinds, None, &event.body, Utc::now()).unwrap();
            kinds_met.insert(event.kind);
            for breakage in Breakage::ALL {
                let body = breakage.apply(event.kind, &event.body);
                let rejection = parse_sent(&kinds, None, &body, Utc::now()).unwrap_err();
                assert_eq!(
                    rejection.code,
                    breakage.expected(),
                    "{breakage:?}: {rejection}: {body}"
                );
            }
        }
        assert_eq!(kinds_met.len(), 6);
    }
}
