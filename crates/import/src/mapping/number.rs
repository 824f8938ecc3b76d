//! `number(text [, decimal [, thousands]])`: the finite number that a text is.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, Float64Builder, StringArray};
use datafusion::error::{DataFusionError, Result};

use super::functions::shared;

/// Integers past this have no double of their own (RFC 7493); ingest refuses them too.
const MAX_INTEGER: u64 = 1 << 53;

pub(super) fn read(
    texts: &StringArray,
    signs: &[String],
    unreadable: &mut dyn FnMut(&str),
) -> Result<ArrayRef> {
    let sign = |at: usize| -> Result<Option<char>> {
        let Some(text) = signs.get(at) else {
            return Ok(None);
        };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(sign), None) if !sign.is_ascii_digit() => Ok(Some(sign)),
            _ => Err(DataFusionError::Plan(format!(
                "`number` takes one character as a sign, not `{text}`"
            ))),
        }
    };
    let (decimal, thousands) = (sign(0)?.unwrap_or('.'), sign(1)?);
    let mut numbers = Float64Builder::with_capacity(texts.len());
    for text in texts {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let number = text.and_then(|text| one(text, decimal, thousands));
        if let Some(text) = text.filter(|_| number.is_none()) {
            unreadable(text);
        }
        numbers.append_option(number);
    }
    Ok(shared(numbers.finish()))
}

fn one(text: &str, decimal: char, thousands: Option<char>) -> Option<f64> {
    let mut plain = Cow::Borrowed(text);
    if let Some(sign) = thousands.filter(|sign| text.contains(*sign)) {
        if !is_grouped(text, sign, decimal) {
            return None;
        }
        plain = Cow::Owned(text.replace(sign, ""));
    }
    if decimal != '.' {
        // A point where a comma is the decimal sign could mean thousands: it is not guessed.
        if plain.contains('.') {
            return None;
        }
        plain = Cow::Owned(plain.replace(decimal, "."));
    }
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    // Not the words that Rust reads, `inf` and `nan`.
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if digits.bytes().all(|digit| digit.is_ascii_digit())
        && digits.parse().is_ok_and(|number: u64| number > MAX_INTEGER)
    {
        return None;
    }
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether the signs part the whole number into groups of three digits.
fn is_grouped(text: &str, sign: char, decimal: char) -> bool {
    let whole = text.split(decimal).next().unwrap_or_default();
    let mut groups = whole.split(sign);
    let first = groups
        .next()
        .unwrap_or_default()
        .trim_start_matches(['-', '+']);
    let three = |group: &str| group.len() == 3 && group.bytes().all(|digit| digit.is_ascii_digit());
    (1..=3).contains(&first.len())
        && groups.all(three)
        && text.matches(sign).count() == whole.matches(sign).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_number_by_the_declared_signs_or_none() {
        for (text, decimal, thousands, number) in [
            ("1.5", '.', None, Some(1.5)),
            ("-3", '.', None, Some(-3.0)),
            ("1e3", '.', None, Some(1_000.0)),
            ("0,5", ',', None, Some(0.5)),
            ("1.234", ',', None, None),
            ("1.234", ',', Some('.'), Some(1_234.0)),
            ("1.234.567,25", ',', Some('.'), Some(1_234_567.25)),
            ("1.23", ',', Some('.'), None),
            ("1,234", '.', Some(','), Some(1_234.0)),
            ("1,5", '.', None, None),
            ("9007199254740992", '.', None, Some(9_007_199_254_740_992.0)),
            ("9007199254740993", '.', None, None),
            ("1e400", '.', None, None),
            ("NaN", '.', None, None),
            ("-inf", '.', None, None),
            ("12 km/h", '.', None, None),
        ] {
            assert_eq!(one(text, decimal, thousands), number, "{text}");
        }
    }
}
