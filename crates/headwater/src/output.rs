//! What the commands print.

use std::io::{self, ErrorKind, Write};

/// Writes to the standard output. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
///
/// Any other error of the writing.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Digits of a figure for people.
const DIGITS: i32 = 6;

/// The JSON text with its fractions cut to six digits: `124.138` rather than `124.13799999999999`.
pub(crate) fn rounded(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    let mut number = String::new();
    for c in json.chars() {
        if !in_text && (c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E')) {
            number.push(c);
            continue;
        }
        text.push_str(&figure(&number));
        number.clear();
        in_text ^= c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
        text.push(c);
    }
    text.push_str(&figure(&number));
    text
}

/// The number, if it is one with a fraction, in six digits; any other text as it stands.
fn figure(number: &str) -> String {
    let value = number.parse::<f64>().ok().filter(|value| value.is_normal());
    let Some(value) = value.filter(|_| number.contains('.') && !number.contains(['e', 'E'])) else {
        return number.to_owned();
    };
    let decimals = (DIGITS - 1 - value.abs().log10().floor() as i32).max(1);
    let shown = format!("{value:.*}", decimals as usize);
    let shown = shown.trim_end_matches('0');
    match shown.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_six_digits_and_all_else_stays() {
        for (json, shown) in [
            (
                r#"{"entity_id":"veh-1.23456789","p99":124.13799999999999,"mean":-91.22820512820515,"count":78}"#,
                r#"{"entity_id":"veh-1.23456789","p99":124.138,"mean":-91.2282,"count":78}"#,
            ),
            (
                r#"[0.0,1.5,1234567.891,0.000012345678,99.9999999]"#,
                "[0.0,1.5,1234567.9,0.0000123457,100.0]",
            ),
            (
                r#"{"a\"1.23456789":1e-7,"t":"2026-11-21T05:00:00.123456789Z","b":true}"#,
                r#"{"a\"1.23456789":1e-7,"t":"2026-11-21T05:00:00.123456789Z","b":true}"#,
            ),
            (r#""\\",0.1000000001"#, r#""\\",0.1"#),
        ] {
            assert_eq!(rounded(json), shown);
        }
    }
}
