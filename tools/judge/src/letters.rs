//! The account of dead letters: compares the letters in a dead-letter queue with what was expected to die.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use contract::{ATTRIBUTE_REASON, Envelope, MAX_RECEIVES, Unpacker};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::examples::{EXAMPLES, cut};

/// A letter that stands in a dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Letter {
    /// The body of the message.
    pub body: String,
    /// The message attributes by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Letter {
    /// The code of the reason; [`MAX_RECEIVES`] where SQS moved the message, which names none.
    pub fn reason(&self) -> &str {
        let reason = self.attributes.get(ATTRIBUTE_REASON);
        reason.map_or(MAX_RECEIVES, String::as_str)
    }

    /// The lines of a pack that can be read.
    fn unfolded(&self) -> Option<String> {
        let envelope = Envelope::read(&self.body, &self.attributes);
        let text = envelope.text(&mut Unpacker::default()).ok()?;
        envelope.is_pack().then(|| text.into_owned())
    }
}

/// A message or event that was expected to die.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Doomed {
    /// The text of the event; where the message dies as a whole, its body, or for a pack its lines. White
    /// space around the text does not count.
    pub text: String,
    /// The reason's code.
    pub reason: String,
    /// Whether there may be no letter: the event may not have reached the queue.
    #[serde(default)]
    pub maybe: bool,
}

impl Doomed {
    /// What must have a letter.
    pub fn new(text: &str, reason: &str) -> Doomed {
        Doomed {
            text: text.to_owned(),
            reason: reason.to_owned(),
            maybe: false,
        }
    }
}

/// What the account of dead letters came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// How many were expected for certain.
    pub expected: u64,
    /// How many letters there are.
    pub letters: u64,
    /// Further letters for the same event: the queue delivers at least once, so these are no fault.
    pub repeats: u64,
    /// Expected, without a letter: text and reason.
    pub missing: Vec<(String, String)>,
    /// Died of another reason: text, expected reason, reason of the letter.
    pub other_reason: Vec<(String, String, String)>,
    /// Text and reason of letters that nobody expected.
    pub unexpected: Vec<(String, String)>,
}

impl Account {
    /// Whether all that was expected has a letter with its reason, and there is no other letter.
    pub fn clean(&self) -> bool {
        self.missing.is_empty() && self.other_reason.is_empty() && self.unexpected.is_empty()
    }
}

/// By reason: how many letters must be there, how many may be, and how many are.
type ByReason<'a> = BTreeMap<&'a str, [u64; 3]>;

/// Compares the letters with what was expected. Each text and reason needs a letter, and may have more; the
/// same text and reason expected twice needs two.
pub fn account(letters: &[Letter], expected: &[Doomed]) -> Account {
    let mut texts: BTreeMap<&str, ByReason<'_>> = BTreeMap::new();
    for doomed in expected {
        let reasons = texts.entry(doomed.text.trim()).or_default();
        reasons.entry(&doomed.reason).or_default()[usize::from(doomed.maybe)] += 1;
    }
    let unfolded: Vec<Option<String>> = letters.iter().map(Letter::unfolded).collect();
    for (letter, unfolded) in letters.iter().zip(&unfolded) {
        // A pack is told by its body or by its lines, whichever was expected.
        let body = letter.body.trim();
        let text = match unfolded {
            Some(lines) if !texts.contains_key(body) => lines.trim(),
            _ => body,
        };
        let reasons = texts.entry(text).or_default();
        reasons.entry(letter.reason()).or_default()[2] += 1;
    }
    let mut account = Account {
        expected: expected.iter().filter(|doomed| !doomed.maybe).count() as u64,
        letters: letters.len() as u64,
        ..Account::default()
    };
    for (text, reasons) in &texts {
        account.add(text, reasons);
    }
    account
}

impl Account {
    fn add(&mut self, text: &str, reasons: &ByReason<'_>) {
        let mut strays = Vec::new();
        let mut missing = Vec::new();
        for (reason, [must, may, found]) in reasons {
            if must + may == 0 {
                strays.extend((0..*found).map(|_| *reason));
            } else {
                self.repeats += found.saturating_sub(must + may);
                missing.extend((0..must.saturating_sub(*found)).map(|_| *reason));
            }
        }
        // One that is missing and one that nobody expected are one that died of something else.
        while let (Some(must), Some(is)) = (missing.last(), strays.last()) {
            let [must, is] = [must, is].map(|reason| (*reason).to_owned());
            self.other_reason.push((text.to_owned(), must, is));
            missing.pop();
            strays.pop();
        }
        let named = |reason: &str| (text.to_owned(), reason.to_owned());
        self.missing.extend(missing.into_iter().map(named));
        self.unexpected.extend(strays.into_iter().map(named));
    }
}

/// The account of two files of one JSON object a line: letters as `{"body","attributes"}`, and what
/// was expected as `{"text","reason"}`, where `"maybe": true` marks what may be missing.
///
/// # Errors
///
/// Names the file, and the line that cannot be read.
pub(crate) fn account_of_files(letters: &Path, expected: &Path) -> anyhow::Result<Account> {
    Ok(account(
        &read::<Letter>(letters)?,
        &read::<Doomed>(expected)?,
    ))
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let named = || format!("cannot read `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("`{}`, line {}", path.display(), at + 1))
        })
        .collect()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = format!("{} expected, {} repeats", self.expected, self.repeats);
        writeln!(f, "{:<17} {:>9}   {counts}", "dead letters", self.letters)?;
        let mut lines: Vec<String> = Vec::new();
        let mut list = |named: Vec<String>, what: &str| {
            let more = named.len().saturating_sub(EXAMPLES);
            lines.extend(named.into_iter().take(EXAMPLES));
            if more > 0 {
                lines.push(format!("… and {more} more {what}"));
            }
        };
        let missing = self.missing.iter();
        let missing = missing.map(|(text, reason)| format!("missing {reason}: {}", cut(text)));
        list(missing.collect(), "missing");
        let others = self
            .other_reason
            .iter()
            .map(|(text, must, is)| format!("other reason {is} rather than {must}: {}", cut(text)));
        list(others.collect(), "with another reason");
        let unexpected = self.unexpected.iter();
        let unexpected =
            unexpected.map(|(text, reason)| format!("unexpected {reason}: {}", cut(text)));
        list(unexpected.collect(), "unexpected");
        for line in lines {
            writeln!(f, "  {line}")?;
        }
        write!(
            f,
            "dead letters missing {}, with another reason {}, unexpected {}",
            self.missing.len(),
            self.other_reason.len(),
            self.unexpected.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str, reason: &str) -> Letter {
        let reason = (!reason.is_empty()).then(|| (ATTRIBUTE_REASON.to_owned(), reason.to_owned()));
        Letter {
            body: body.to_owned(),
            attributes: reason.into_iter().collect(),
        }
    }

    #[test]
    fn each_that_died_has_a_letter_and_repeats_are_no_fault() {
        let expected = [
            Doomed::new("{\"a\":1}", "wrong_type"),
            Doomed::new("not JSON\n", "undecodable"),
            Doomed::new("{}", MAX_RECEIVES),
        ];
        let mut letters = vec![
            letter("{\"a\":1}\n", "wrong_type"),
            letter("not JSON", "undecodable"),
            letter("{}", ""),
        ];
        let found = account(&letters, &expected);
        assert!(found.clean() && found.repeats == 0, "{found}");
        letters.push(letter("{}", ""));
        let found = account(&letters, &expected);
        assert!(found.clean(), "{found}");
        assert_eq!((found.expected, found.letters, found.repeats), (3, 4, 1));
    }

    #[test]
    fn what_is_missing_or_other_or_unexpected_is_named() {
        let expected = [
            Doomed::new("a", "wrong_type"),
            Doomed::new("b", "wrong_type"),
            Doomed::new("b", "wrong_type"),
            Doomed::new("c", "too_large"),
        ];
        let letters = [
            letter("b", "wrong_type"),
            letter("c", ""),
            letter("d", "unknown_kind"),
        ];
        let found = account(&letters, &expected);
        let pair = |text: &str, reason: &str| (text.to_owned(), reason.to_owned());
        assert_eq!(
            found.missing,
            [pair("a", "wrong_type"), pair("b", "wrong_type")]
        );
        let other = ("c".into(), "too_large".into(), MAX_RECEIVES.into());
        assert_eq!(found.other_reason, [other]);
        assert_eq!(found.unexpected, [pair("d", "unknown_kind")]);
        assert!(!found.clean());
        let text = found.to_string();
        for words in [
            "  missing wrong_type: a\n",
            "  other reason max_receives rather than too_large: c\n",
            "  unexpected unknown_kind: d\n",
            "\ndead letters missing 2, with another reason 1, unexpected 1",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_may_not_have_arrived_may_be_there_or_not() {
        let expected = [Doomed {
            maybe: true,
            ..Doomed::new("a", "wrong_type")
        }];
        assert!(account(&[], &expected).clean());
        assert!(account(&[letter("a", "wrong_type")], &expected).clean());
        assert!(!account(&[letter("a", "too_large")], &expected).clean());
    }

    #[test]
    fn a_pack_is_told_by_its_body_or_by_its_lines() {
        let packs = contract::Packer::new().unwrap().pack(b"{\x01\n").unwrap();
        let mut packed = letter(&packs[0].body, "invalid_json");
        packed.attributes.extend(packs[0].attributes());
        for text in ["{\u{1}", &packs[0].body] {
            let found = account(
                std::slice::from_ref(&packed),
                &[Doomed::new(text, "invalid_json")],
            );
            assert!(found.clean(), "{found}");
        }
    }

    #[test]
    fn files_are_read_line_by_line_and_what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [letters, expected] = ["letters", "expected"].map(|name| folder.path().join(name));
        let told =
            r#"{"body":"{}","attributes":{"reason":"no_signals","colour":"red"},"events":1}"#;
        std::fs::write(&letters, format!("{told}\n\n")).unwrap();
        std::fs::write(&expected, r#"{"text":"{}","reason":"no_signals"}"#).unwrap();
        let found = account_of_files(&letters, &expected).unwrap();
        assert!(found.clean() && found.letters == 1, "{found}");
        std::fs::write(&expected, "\n{\"text\":7}\n").unwrap();
        let error = account_of_files(&letters, &expected).unwrap_err();
        assert!(error.to_string().contains("expected`, line 2"), "{error:#}");
    }
}
