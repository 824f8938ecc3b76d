//! Reads one entry of the file of keys.

use std::ops::Range;

use chrono::{DateTime, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Digest, Entry, Fault, unknown};
use super::limit::{Limits, Rate};
use super::scope::{Access, Pattern, Scope};
use super::scram::Verifier;
use crate::nearest::nearest;

const FIELDS: [&str; 12] = [
    "name",
    "hash",
    "may",
    "write_kinds",
    "write_entities",
    "requests_per_second",
    "requests_burst",
    "events_per_second",
    "events_burst",
    "bytes_per_day",
    "expires",
    "scram",
];

/// Labels of metrics that stand for other keys than one of the file.
const RESERVED: [&str; 2] = [super::OTHER, super::UNNAMED];

/// A burst that is not said: what the rate gives in so many seconds.
const BURST_SECONDS: f64 = 10.0;

/// Reads an entry, which stands at `span`.
pub(super) fn read_entry(table: &DeTable<'_>, span: Range<usize>) -> Result<Entry, Fault> {
    let fields = Fields { table, span };
    if let Some(field) = table
        .keys()
        .find(|field| !FIELDS.contains(&&**field.get_ref()))
    {
        return Err((field.span(), unknown(field.get_ref(), &FIELDS)));
    }
    let name = fields.name()?;
    Ok(Entry {
        digest: fields.digest(&name)?,
        scope: fields.scope(&name)?,
        limits: Limits {
            requests: fields.rate("requests_per_second", "requests_burst")?,
            events: fields.rate("events_per_second", "events_burst")?,
            bytes_per_day: fields.bytes()?,
        },
        expires: fields.expires()?,
        scram: fields.scram()?,
        name,
    })
}

/// Whether a text can be the name of a key.
pub(super) fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !RESERVED.contains(&text)
}

/// What a name must be.
pub(super) const NAME: &str =
    "must be 1 to 64 of a-z, 0-9, `_`, `.` and `-`, and neither `other` nor `unnamed`";

struct Fields<'t, 'i> {
    table: &'t DeTable<'i>,
    span: Range<usize>,
}

type Value<'t, 'i> = &'t Spanned<DeValue<'i>>;

impl<'t, 'i> Fields<'t, 'i> {
    fn get(&self, field: &str) -> Option<Value<'t, 'i>> {
        self.table.get(field)
    }

    fn name(&self) -> Result<String, Fault> {
        let missing = || (self.span.clone(), "a key has no `name`".to_owned());
        let value = self.get("name").ok_or_else(missing)?;
        let name = value.get_ref().as_str().filter(|text| is_name(text));
        name.map(str::to_owned)
            .ok_or_else(|| (value.span(), format!("`name` {NAME}")))
    }

    fn needed(&self, field: &str, name: &str) -> Result<Value<'t, 'i>, Fault> {
        let missing = || {
            (
                self.span.clone(),
                format!("the key `{name}` has no `{field}`"),
            )
        };
        self.get(field).ok_or_else(missing)
    }

    fn digest(&self, name: &str) -> Result<Digest, Fault> {
        let value = self.needed("hash", name)?;
        let digest = value.get_ref().as_str().and_then(|text| {
            let hex = text.strip_prefix("sha256:")?;
            let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hex {
                return None;
            }
            let mut digest = [0; 32];
            for (at, byte) in digest.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
            }
            Some(digest)
        });
        let wanted = "`hash` must be `sha256:` and the 64 hexadecimal digits of the key's SHA-256";
        digest.ok_or((value.span(), wanted.to_owned()))
    }

    fn scope(&self, name: &str) -> Result<Scope, Fault> {
        let value = self.needed("may", name)?;
        let words = texts(value, "may", "one or more of write, read and admin")?;
        let mut may = Vec::new();
        for (word, span) in words {
            let known = Access::ALL.into_iter().find(|access| access.word() == word);
            let Some(access) = known else {
                let near = nearest(word, Access::ALL.map(Access::word));
                let hint = near.map_or("write, read and admin are known".to_owned(), |near| {
                    format!("`{near}` is the nearest")
                });
                return Err((span, format!("`may` holds `{word}`; {hint}")));
            };
            may.push(access);
        }
        may.sort();
        may.dedup();
        let writes = may.contains(&Access::Write);
        let bound = |field: &str| -> Result<Vec<String>, Fault> {
            let Some(value) = self.get(field) else {
                return Ok(Vec::new());
            };
            if !writes {
                let nothing =
                    "bounds what is written, and `may` has no `write`; reading has no such bound";
                return Err((value.span(), format!("`{field}` {nothing}")));
            }
            let found = texts(value, field, "texts")?;
            Ok(found.into_iter().map(|(text, _)| text.to_owned()).collect())
        };
        let write_entities = bound("write_entities")?;
        Ok(Scope {
            write_kinds: bound("write_kinds")?,
            write_entities: write_entities.into_iter().map(Pattern::new).collect(),
            may,
        })
    }

    fn rate(&self, per_second: &str, burst: &str) -> Result<Option<Rate>, Fault> {
        let number = |field: &str, least: f64| -> Result<Option<f64>, Fault> {
            let Some(value) = self.get(field) else {
                return Ok(None);
            };
            let found = match value.get_ref() {
                DeValue::Integer(_) => integer(value).map(|number| number as f64),
                DeValue::Float(float) => float.as_str().parse().ok(),
                _ => None,
            };
            let found = found.filter(|number: &f64| (least..=1e12).contains(number));
            let wanted = || {
                (
                    value.span(),
                    format!("`{field}` must be a number from {least} to 1e12"),
                )
            };
            found.map(Some).ok_or_else(wanted)
        };
        let rate = number(per_second, 1e-6)?;
        let most = number(burst, 1.0)?;
        match (rate, most) {
            (None, Some(_)) => {
                let span = self.get(burst).map_or(self.span.clone(), Spanned::span);
                Err((
                    span,
                    format!("`{burst}` without `{per_second}` bounds nothing"),
                ))
            }
            (None, None) => Ok(None),
            (Some(per_second), most) => Ok(Some(Rate {
                per_second,
                burst: most.unwrap_or((per_second * BURST_SECONDS).max(1.0)),
            })),
        }
    }

    fn bytes(&self) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get("bytes_per_day") else {
            return Ok(None);
        };
        let bytes = integer(value).and_then(|bytes| u64::try_from(bytes).ok());
        let wanted = "`bytes_per_day` must be a whole number of at least 1";
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes.map(Some).ok_or((value.span(), wanted.to_owned()))
    }

    fn expires(&self) -> Result<Option<DateTime<Utc>>, Fault> {
        let Some(value) = self.get("expires") else {
            return Ok(None);
        };
        let time = match value.get_ref() {
            DeValue::Datetime(time) => DateTime::parse_from_rfc3339(&time.to_string()).ok(),
            DeValue::String(text) => DateTime::parse_from_rfc3339(text).ok(),
            _ => None,
        };
        let wanted = "`expires` must be a time with its zone, such as 2027-06-30T00:00:00Z";
        let time = time.ok_or((value.span(), wanted.to_owned()))?;
        Ok(Some(time.to_utc()))
    }

    fn scram(&self) -> Result<Option<Verifier>, Fault> {
        let Some(value) = self.get("scram") else {
            return Ok(None);
        };
        let verifier = value.get_ref().as_str().and_then(Verifier::parse);
        let wanted =
            "`scram` must be what `headwater keys new` writes: two times 32 bytes in base64";
        verifier.map(Some).ok_or((value.span(), wanted.to_owned()))
    }
}

fn integer(value: Value<'_, '_>) -> Option<i64> {
    let DeValue::Integer(integer) = value.get_ref() else {
        return None;
    };
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A list of texts that is not empty, each with its place.
fn texts<'t>(
    value: Value<'t, '_>,
    field: &str,
    wanted: &str,
) -> Result<Vec<(&'t str, Range<usize>)>, Fault> {
    let Some(list) = value.get_ref().as_array() else {
        return Err((
            value.span(),
            format!("`{field}` must be a list of {wanted}"),
        ));
    };
    let mut texts = Vec::with_capacity(list.len());
    for item in list.iter() {
        let text = item.get_ref().as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| (item.span(), format!("`{field}` must hold {wanted}")))?;
        texts.push((text, item.span()));
    }
    if texts.is_empty() {
        return Err((
            value.span(),
            format!("`{field}` holds nothing: write {wanted}, or leave it out"),
        ));
    }
    Ok(texts)
}
