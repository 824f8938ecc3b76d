//! Event ids: given by the sender, or derived from the content.

use chrono::SecondsFormat;
use sha1::{Digest, Sha1};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::declare::kind::OwnField;
use crate::event::{Event, Scalar};
use crate::scan::plain_end;
use crate::time;

/// Longest event id that is taken, in bytes.
pub(crate) const MAX_EVENT_ID_LENGTH: usize = 128;

/// Namespace of derived ids (UUID v5, RFC 9562, section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_4a52_6d0b_5f0e_9a55_3b1b_7e6c_21d4);

pub(crate) fn is_valid(text: &str) -> bool {
    // Without a way out in the middle, so that the compiler looks at many bytes at once.
    (1..=MAX_EVENT_ID_LENGTH).contains(&text.len())
        && text.bytes().fold(true, |valid, b| {
            valid & b.is_ascii_graphic() & (b != b'"') & (b != b'\\')
        })
}

/// The id of an event that came without one: UUID v5 over its canonical form, so that the same
/// content has the same id however its JSON is spelled, and a client's retry is the same event.
///
/// The canonical form is the kind's name, a line feed, and one JSON object without white space:
/// keys in byte order, the time in UTC with nanoseconds, whole numbers without a fraction, other
/// numbers in the shortest form that reads back the same. `kind`, `event_id` and
/// `ingest_received_at` are no part of it. Ids of this form stand in lakes: it must not change.
///
/// ```
/// # use chrono::{DateTime, Utc};
/// let kinds = contract::Kinds::builtin();
/// let now = "2025-10-04T13:00:00Z".parse().unwrap();
/// let id = |text: &str| {
///     contract::derive_event_id(&contract::parse_sent(&kinds, None, text, now).unwrap())
/// };
/// let one = id(r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{"a":1}}"#);
/// let two = id(r#"{"payload": {"a": 1.0}, "vehicle_id":"v", "can_id":"0x1",
///     "timestamp":"2025-10-04T14:34:56.000+02:00"}"#);
/// assert_eq!(one, two);
/// ```
pub fn derive(event: &Event<'_>) -> Uuid {
    derive_within(event, &mut Vec::with_capacity(512))
}

/// The id of an event of a [long](crate::Kind::is_long) kind that came without one in a message of the queue: it follows
/// from the message's id and the event's place in it, from 0, so that it is the same at each delivery.
pub fn of_place(message: &str, place: usize) -> String {
    Uuid::new_v5(&NAMESPACE, format!("{message}/{place}").as_bytes()).to_string()
}

/// As [`derive`], with the canonical form written behind what `scratch` holds, and removed again.
pub(crate) fn derive_within(event: &Event<'_>, scratch: &mut Vec<u8>) -> Uuid {
    let start = scratch.len();
    scratch.extend_from_slice(NAMESPACE.as_bytes());
    canonical(event, scratch);
    let hash: [u8; 20] = Sha1::digest(&scratch[start..]).into();
    scratch.truncate(start);
    let (front, _) = hash
        .split_first_chunk()
        .expect("a hash is longer than an id");
    uuid::Builder::from_sha1_bytes(*front).into_uuid()
}

fn canonical(event: &Event<'_>, out: &mut Vec<u8>) {
    let kind = event.kind;
    out.extend_from_slice(kind.name.as_bytes());
    out.push(b'\n');
    let mut before = b'{';
    for (key, own) in &kind.canonical {
        // A field that the event does not have leaves no trace.
        let field = match own {
            OwnField::Other(wanted) => match event.fields.iter().find(|(at, _)| at == wanted) {
                Some((_, value)) => Some(value),
                None => continue,
            },
            _ => None,
        };
        out.push(std::mem::replace(&mut before, b','));
        out.extend_from_slice(key.as_bytes());
        match own {
            OwnField::Entity => text(out, &event.entity),
            OwnField::Time => {
                out.push(b'"');
                time::write(out, event.time, SecondsFormat::Nanos);
                out.push(b'"');
            }
            OwnField::Signals => signals(out, event),
            OwnField::Other(_) => field.into_iter().for_each(|value| scalar(out, value)),
        }
    }
    out.push(b'}');
}

fn signals(out: &mut Vec<u8>, event: &Event<'_>) {
    let mut order: SmallVec<[_; 16]> = event
        .signals
        .iter()
        .map(|(name, value)| (first_eight(name), &**name, value))
        .collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    let mut before = b'{';
    for (_, name, value) in order {
        out.push(std::mem::replace(&mut before, b','));
        text(out, name);
        out.push(b':');
        scalar(out, value);
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// A text's first eight bytes as a number. Where it differs for two texts, it orders them as their bytes do.
fn first_eight(text: &str) -> u64 {
    let mut first = [0; 8];
    match text.as_bytes().first_chunk() {
        Some(eight) => first = *eight,
        None => first[..text.len()].copy_from_slice(text.as_bytes()),
    }
    u64::from_be_bytes(first)
}

fn scalar(out: &mut Vec<u8>, value: &Scalar<'_>) {
    match value {
        Scalar::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Scalar::Text(value) => text(out, value),
        // The cast also makes -0.0 plain 0.
        Scalar::Number(number) if number.abs() < 9.1e15 && (*number as i64) as f64 == *number => {
            out.extend_from_slice(itoa::Buffer::new().format(*number as i64).as_bytes());
        }
        Scalar::Number(number) => json(out, number),
    }
}

/// A string as JSON.
fn text(out: &mut Vec<u8>, text: &str) {
    if plain_end(text.as_bytes(), 0) < text.len() {
        return json(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("a string or finite number always serialises to a Vec");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kinds, parse_sent};

    /// Events in many spellings. Their ids stand in lakes: they must never change.
    const GOLDEN: [(&str, &str); 9] = [
        (
            r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false}}"#,
            "450c8261-f3a5-52ad-a772-3c0faa0a5507",
        ),
        (
            r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x2A0","payload":{"throttle_pct":31.2,"coolant_temp_c":88.55,"gear":-1,"vehicle_speed_kmh":0.1}}"#,
            "80a1c188-e320-5917-bc55-46fd5fe80f8d",
        ),
        (
            r#"{"payload":{"z":-0.0,"y":-0,"x":1e-7,"w":123456789012.5,"v":1e300,"u":9007199254740991,"t":9.1e15,"s":9.2e15,"r":5e-324,"q":1.7976931348623157e308,"p":1e16,"o":0.30000000000000004},"can_id":"0x1","vehicle_id":"A.b:c_d-e","timestamp":"2025-10-04t14:34:56.987654321+02:00"}"#,
            "72f2806e-2a72-500b-bb74-fc96a9aad9c1",
        ),
        (
            r#"{"timestamp":"2025-10-04 12:34:60.5-00:30","vehicle_id":"v","can_id":"0x1FFFFFFF","payload":{"text":"a\"b\\c\/d\b\f\n\r\t\u0001\u007f\u00e9","Text2":"é🚗\ud83d\ude97 </script>","flag":true}}"#,
            "0572f7b6-a2fe-539b-a5ef-ec97d5930c89",
        ),
        (
            r#"{ "timestamp" : "2025-10-04T12:34:56.1234567899Z" , "vehicle_id":"\u0076eh", "can_id":"0x1f0",
 "payload":{"\u0061b":1.50,"a":1.0e0,"B":2E+2,"_":0} }"#,
            "a3ec47c4-6390-530e-99aa-5a94bc347a8d",
        ),
        (
            r#"{"event_id":"6f0e1b6e","schema_version":1,"source":"pmgen","event_time":"2025-12-29T20:45:12Z","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"ul_prb_util_pct":41.8,"rrc_conn_avg":18,"drop_rate_pct":0.7}}"#,
            "a3b21c67-f420-5e00-b625-b9bf7eca404c",
        ),
        (
            r#"{"metrics":{"network_mode":"5G \"SA\"","cqi":15.0,"rsrp_dbm":-101.25},"entity_id":"C","entity_type":"cell","event_time":"2000-01-01T00:00:00+00:00","source":"a\tb","schema_version":1.0}"#,
            "ee43d556-810e-5215-b1eb-79d401b2a054",
        ),
        (
            r#"{"timestamp":"2024-02-29T23:59:59.999999999Z","vehicle_id":"0","can_id":"0x0","payload":{"a":"","b":"x"}}"#,
            "2533f0fc-7b95-58e7-a683-6367f9f614eb",
        ),
        (
            r#"{"kind":"vehicle","timestamp":"2025-01-01T00:00:00+23:59","vehicle_id":"v","can_id":"0x1","payload":{"a":18446744073709551616,"b":123456789012345680000,"c":0.1e1,"d":-9007199254740992}}"#,
            "a60b763f-5be4-5fda-a78b-fede55610c66",
        ),
    ];

    /// The event, received within a year of its time.
    fn event<'a>(kinds: &'a Kinds, text: &'a str) -> Event<'a> {
        let years = [
            "2000-06-01T00:00:00Z",
            "2024-06-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
        ];
        let read = |now: &str| parse_sent(kinds, None, text, now.parse().unwrap()).ok();
        years.into_iter().find_map(read).unwrap()
    }

    #[test]
    fn ids_are_what_they_have_always_been() {
        let kinds = Kinds::builtin();
        for (text, id) in GOLDEN {
            let event = event(&kinds, text);
            assert_eq!(derive(&event).to_string(), id, "{text}");
        }
    }

    #[test]
    fn the_canonical_form_is_what_it_has_always_been() {
        let kinds = Kinds::builtin();
        let form = |text: &str| {
            let mut form = Vec::new();
            canonical(&event(&kinds, text), &mut form);
            String::from_utf8(form).unwrap()
        };
        assert_eq!(
            form(GOLDEN[3].0),
            concat!(
                "vehicle\n",
                r#"{"can_id":"0x1FFFFFFF","payload":{"Text2":"é🚗🚗 </script>","flag":true,"text":"a\"b\\c/d\b\f\n\r\t\u0001"#,
                "\u{7f}",
                r#"é"},"timestamp":"2025-10-04T13:04:60.500000000Z","vehicle_id":"v"}"#
            )
        );
        assert_eq!(
            form(GOLDEN[2].0),
            concat!(
                "vehicle\n",
                r#"{"can_id":"0x1","payload":{"o":0.30000000000000004,"p":1e+16,"q":1.7976931348623157e+308,"r":5e-324,"#,
                r#""s":9200000000000000.0,"t":9100000000000000.0,"u":9007199254740991,"v":1e+300,"w":123456789012.5,"#,
                r#""x":1e-7,"y":0,"z":0},"timestamp":"2025-10-04T12:34:56.987654321Z","vehicle_id":"A.b:c_d-e"}"#
            )
        );
    }
}
