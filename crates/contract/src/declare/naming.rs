//! Names of signals as senders have them, and the names that they get.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

/// How the names of a kind's signals are made of those sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRule {
    /// A signal has the name that the sender gives it.
    #[default]
    AsSent,
    /// `RRU.PrbUsedDl` becomes `rru_prb_used_dl`: words in lower case, with `_` between them.
    SnakeCase,
}

/// The names that a kind's signals get.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    rule: NameRule,
    /// Names as sent, and the declared signals that they stand for.
    from: HashMap<String, String>,
}

impl Naming {
    /// None if every signal has the name that is sent.
    pub(super) fn new(rule: NameRule, from: HashMap<String, String>) -> Option<Naming> {
        (rule != NameRule::AsSent || !from.is_empty()).then_some(Naming { rule, from })
    }

    /// The signal that a name as sent stands for. A name that is what the rule makes stays as it is, so that a
    /// signal may be sent under its own name too.
    pub(crate) fn signal<'a>(&'a self, sent: Cow<'a, str>) -> Cow<'a, str> {
        if let Some(signal) = self.from.get(&*sent) {
            return Cow::Borrowed(signal);
        }
        let snake = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if self.rule == NameRule::AsSent || sent.bytes().all(snake) {
            sent
        } else {
            Cow::Owned(snake_case(&sent))
        }
    }
}

/// The words of `name` in lower case, with `_` between them. A word begins behind a character that is no ASCII letter
/// or digit, at a capital behind a small letter or digit, and at the last of several capitals if a small letter
/// follows it. A `_` is put before a digit in front, since no name begins with one.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, char) in chars.iter().enumerate() {
        if !char.is_ascii_alphanumeric() {
            if !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let before = at.checked_sub(1).map(|before| chars[before]);
        let after = chars.get(at + 1);
        let starts_word = char.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        if starts_word || out.is_empty() && char.is_ascii_digit() {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_become_words_in_lower_case() {
        for (sent, signal) in [
            ("RRU.PrbUsedDl", "rru_prb_used_dl"),
            ("RRC.ConnEstabSucc.mo-Data", "rrc_conn_estab_succ_mo_data"),
            ("engineRPM", "engine_rpm"),
            ("HTTPServer2Load", "http_server2_load"),
            ("Speed (km/h)", "speed_km_h_"),
            ("a..b", "a_b"),
            ("5QI.Loss", "_5_qi_loss"),
            ("température", "temp_rature"),
            ("engine_rpm", "engine_rpm"),
        ] {
            assert_eq!(snake_case(sent), signal, "{sent}");
        }
    }
}
