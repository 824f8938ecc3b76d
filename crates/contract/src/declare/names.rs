//! Names of kinds, fields and signals: their form, and which of them are taken.

/// Form of the names of fields and signals, as [`is_field_name`] checks it.
pub(crate) const FIELD_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";

/// Longest name of a field or signal, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 64;

/// Fields of the server in each stored line.
pub(crate) const SERVER_FIELDS: [&str; 4] = ["event_id", "kind", "ingest_received_at", "sender"];

/// Longest name of a signal of a long kind, where it is a value and no column: names of metrics are longer, and
/// OpenTelemetry takes 255 characters.
pub(crate) const MAX_LONG_NAME_BYTES: usize = 255;

/// Names that the server's fields and the built-in columns and partitions of `curated/` take.
pub(crate) const RESERVED: [&str; 11] = [
    "event_id",
    "kind",
    "entity_id",
    "event_time",
    "ingest_received_at",
    "sender",
    "year",
    "month",
    "day",
    "hour",
    "signal",
];

pub(crate) fn is_kind_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && (name.bytes()).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// An alias stands in routes alone, and may be the name of a topic, such as `events.chat`.
pub(crate) fn is_alias(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && !name.ends_with('.')
        && !name.contains("..")
        && name.split('.').all(|word| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            word.bytes().all(fits)
        })
}

pub(crate) fn is_field_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && is_long_name(name)
}

/// Whether a signal of a long kind may have the name.
pub(crate) fn is_long_name(name: &str) -> bool {
    (1..=MAX_LONG_NAME_BYTES).contains(&name.len())
        && !name.as_bytes()[0].is_ascii_digit()
        && (name.bytes()).all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether one of `others` is this name when case is ignored: names become columns, and most
/// engines that read them ignore case.
pub(crate) fn is_in<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> bool {
    let mut others = others.into_iter();
    others.any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    proptest! {
        #[test]
        fn names_have_the_form_that_schemas_and_messages_say(
            name in "([A-Za-z0-9_éx. -]{0,4}|[a-z_][a-z0-9_.]{30,32}|[A-Z][a-z0-9_]{62,64})",
        ) {
            let kind = Regex::new("^[a-z][a-z0-9_]{0,31}$").unwrap();
            prop_assert_eq!(is_kind_name(&name), kind.is_match(&name));
            let alias = Regex::new("^[a-z][a-z0-9_]*([.][a-z0-9_]+)*$").unwrap();
            prop_assert_eq!(is_alias(&name), alias.is_match(&name) && name.len() <= 64);
            prop_assert_eq!(is_field_name(&name), Regex::new(FIELD_NAME).unwrap().is_match(&name));
        }
    }
}
