//! Cuts a condition into tokens.

use crate::expr::duration::parse_duration;
use crate::expr::error::ExprError;

/// A piece of a condition, and the byte at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A name or a word such as `and`.
    Word(String),
    /// A text in quotes, its escapes undone.
    Text(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Sign(&'static str),
    End,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 23] = [
    "==", "!=", "=~", "!~", ">=", "<=", "=", ">", "<", "(", ")", "{", "}", "[", "]", ",", ":", "@",
    "+", "-", "*", "/", "%",
];

/// The tokens of `text`, the last of which is [`What::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ExprError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, what) = match first {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => quoted(rest, first, at)?,
            '0'..='9' | '.' => number(rest, at)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
                let length = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
                (length, What::Word(rest[..length].to_owned()))
            }
            other => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| ExprError {
                    at,
                    message: format!("`{other}` has no meaning here"),
                })?;
                (sign.len(), What::Sign(sign))
            }
        };
        tokens.push(Token { at, what });
        at += length;
    }
    tokens.push(Token {
        at: text.len(),
        what: What::End,
    });
    Ok(tokens)
}

fn number(rest: &str, at: usize) -> Result<(usize, What), ExprError> {
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let is_exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !c.is_ascii_alphanumeric() && c != '.' && !is_exponent_sign {
            break;
        }
        (length, before) = (length + c.len_utf8(), c);
    }
    let text = &rest[..length];
    if let Ok(number) = text.parse() {
        return Ok((length, What::Number(number)));
    }
    if let Some(duration) = parse_duration(text) {
        return Ok((length, What::Duration(duration)));
    }
    Err(ExprError {
        at,
        message: format!(
            "`{text}` is neither a number, such as `80`, nor a duration, such as `60s`"
        ),
    })
}

/// Go's escapes, as PromQL has them, of which `\x`, octal ones and `\u` are left out; none within backticks.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(usize, What), ExprError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        if c == quote {
            return Ok((place + 1, What::Text(text)));
        }
        if c != '\\' || quote == '`' {
            text.push(c);
            continue;
        }
        match chars.next().map(|(_, escaped)| escaped) {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(same @ ('\\' | '"' | '\'')) => text.push(same),
            other => {
                return Err(ExprError {
                    at: at + place,
                    message: format!(
                        "the escape `\\{}` is not taken: write `\\\\`, `\\n`, `\\t`, `\\r` or an escaped quote",
                        other.map(String::from).unwrap_or_default()
                    ),
                });
            }
        }
    }
    Err(ExprError {
        at,
        message: format!("the text that begins here has no closing {quote}"),
    })
}
