//! Matchers of labels, as routes, inhibition rules and silences have them.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::model::Labels;
use crate::rules::is_label;

/// Most memory of an expression: there may be thousands of silences.
const MOST_BYTES: usize = 1 << 20;

/// A condition on one label. A label that is absent counts as empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "MatcherBody", into = "MatcherBody")]
pub struct Matcher {
    name: String,
    value: String,
    is_equal: bool,
    /// The value as an expression that must match the whole label; none where the value is plain text.
    regex: Option<Regex>,
}

/// A matcher in the API of Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatcherBody {
    /// Name of the label.
    pub name: String,
    /// What the label must be, or an expression that must match all of it.
    pub value: String,
    /// Whether `value` is a regular expression.
    pub is_regex: bool,
    /// False where the label must not match; true if it is left out.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// Why a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The text is not of the form.
    #[error("cannot read the matcher `{0}`: write name=\"value\", with one of = != =~ !~")]
    Form(String),
    /// The regular expression is wrong.
    #[error("cannot read the expression of {name}: {reason}")]
    Regex {
        /// The label.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Matcher {
    /// A matcher of a label's whole text.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher {
            name: name.to_owned(),
            value: value.to_owned(),
            is_equal: true,
            regex: None,
        }
    }

    /// A matcher by a regular expression, which must match all of the label's text.
    ///
    /// # Errors
    ///
    /// [`MatcherError::Regex`] if `value` is no expression.
    pub fn regex(name: &str, value: &str, is_equal: bool) -> Result<Matcher, MatcherError> {
        let regex = RegexBuilder::new(&format!("^(?s:{value})$"))
            .size_limit(MOST_BYTES)
            .build()
            .map_err(|error| MatcherError::Regex {
                name: name.to_owned(),
                // The last line of the crate's words says what is wrong; those before draw the place.
                reason: error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .to_owned(),
            })?;
        Ok(Matcher {
            regex: Some(regex),
            is_equal,
            ..Matcher::equal(name, value)
        })
    }

    /// Reads `name="value"`, with `=`, `!=`, `=~` or `!~`; the quotes may be left out.
    ///
    /// # Errors
    ///
    /// [`MatcherError`].
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        let form = || MatcherError::Form(text.to_owned());
        let text = text.trim();
        let end = text.find(['=', '!']).ok_or_else(form)?;
        let (name, rest) = (text[..end].trim(), &text[end..]);
        let operator = ["=~", "!~", "!=", "="]
            .into_iter()
            .find(|operator| rest.starts_with(operator));
        let operator = operator.ok_or_else(form)?;
        let value = rest[operator.len()..].trim();
        let value = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(form)?,
            None if value.contains('"') => return Err(form()),
            None => value.to_owned(),
        };
        if !is_label(name) {
            return Err(form());
        }
        let is_equal = operator.starts_with('=');
        if operator.ends_with('~') {
            Matcher::regex(name, &value, is_equal)
        } else {
            Ok(Matcher {
                is_equal,
                ..Matcher::equal(name, &value)
            })
        }
    }

    /// Reads one matcher, or several as `{a="x",b=~"y.*"}`.
    ///
    /// # Errors
    ///
    /// [`MatcherError`].
    pub fn parse_all(text: &str) -> Result<Vec<Matcher>, MatcherError> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix('{')
            .map_or(Some(trimmed), |rest| rest.strip_suffix('}'));
        let inner = inner.ok_or_else(|| MatcherError::Form(text.to_owned()))?;
        let mut parts = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for c in inner.chars() {
            let last = parts.len() - 1;
            match c {
                ',' if !quoted => parts.push(String::new()),
                _ => {
                    quoted ^= c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    parts[last].push(c);
                }
            }
        }
        parts.retain(|part| !part.trim().is_empty());
        parts.iter().map(|part| Matcher::parse(part)).collect()
    }

    /// Whether the labels meet the condition.
    pub fn matches(&self, labels: &Labels) -> bool {
        let label = labels.get(&self.name).map_or("", String::as_str);
        let found = match &self.regex {
            Some(regex) => regex.is_match(label),
            None => label == self.value,
        };
        found == self.is_equal
    }

    /// Whether the condition holds of labels that are absent, so that it does not narrow anything.
    pub fn matches_empty(&self) -> bool {
        self.matches(&Labels::new())
    }
}

/// The text up to the closing quote, which must be the last character; none otherwise.
fn unquote(text: &str) -> Option<String> {
    let (mut value, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '"' => return rest.next().is_none().then_some(value),
            '\\' => match rest.next()? {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                // An expression such as `\d` keeps its backslash.
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}

/// Whether the labels meet all conditions.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

impl Matcher {
    /// What makes a matcher, in Alertmanager's order: `=` before `!=`, `=~` and `!~`.
    fn parts(&self) -> (&str, &str, bool, bool) {
        (
            &self.name,
            &self.value,
            self.regex.is_some(),
            !self.is_equal,
        )
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Matcher) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Matcher) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// As Alertmanager writes it in group keys: `severity=~"page|ticket"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match (self.is_equal, self.regex.is_some()) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        write!(f, "{}{operator}\"", self.name)?;
        // What `unquote` undoes, and no more.
        for c in self.value.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '"' | '\\' => write!(f, "\\{c}")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

impl From<Matcher> for MatcherBody {
    fn from(matcher: Matcher) -> MatcherBody {
        MatcherBody {
            is_regex: matcher.regex.is_some(),
            name: matcher.name,
            value: matcher.value,
            is_equal: matcher.is_equal,
        }
    }
}

impl TryFrom<MatcherBody> for Matcher {
    type Error = MatcherError;

    fn try_from(body: MatcherBody) -> Result<Matcher, MatcherError> {
        if body.name.is_empty() {
            return Err(MatcherError::Form(format!("={:?}", body.value)));
        }
        if body.is_regex {
            Matcher::regex(&body.name, &body.value, body.is_equal)
        } else {
            Ok(Matcher {
                is_equal: body.is_equal,
                ..Matcher::equal(&body.name, &body.value)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn each_operator_matches_as_in_alertmanager() {
        for (text, yes, no) in [
            (r#"a="x""#, "a=x", "a=xy"),
            ("a=x", "a=x", "b=x"),
            (r#"a!="x""#, "b=x", "a=x"),
            (r#"a=~"x|y.*""#, "a=yes", "a=xx"),
            (r#"a!~"x|y.*""#, "a=xx", "a=yes"),
            (r#"a="""#, "b=x", "a=x"),
            (r#" a = "\"q\"" "#, "a=\"q\"", "a=q"),
            (r#"a=~"\d+""#, "a=12", "a=d"),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            assert!(matcher.matches(&labels(yes)), "{text} {yes}");
            assert!(!matcher.matches(&labels(no)), "{text} {no}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_told() {
        let large = r#"a=~"\pL{1000}""#;
        for text in [
            "a",
            "=x",
            r#"a="x"#,
            r#"a="x"y"#,
            r#"a=~"(""#,
            large,
            "",
            "a{b=c",
        ] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
        let several = Matcher::parse_all(r#"{a="x,y", b=~"z.*"}"#).unwrap();
        assert!(all_match(
            &several,
            &Labels::from([("a".into(), "x,y".into()), ("b".into(), "z".into())])
        ));
        assert_eq!(several.len(), 2);
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for value in ["x", "a\"b\\c\nd", "\0\u{590}é", "\\n", "\\d+"] {
            let shown = Matcher::equal("a", value).to_string();
            assert_eq!(Matcher::parse(&shown).unwrap().value, value, "{shown}");
        }
    }

    #[test]
    fn a_matcher_is_the_same_after_it_was_stored() {
        let matcher = Matcher::parse(r#"a!~"x.*""#).unwrap();
        let stored = serde_json::to_string(&matcher).unwrap();
        assert_eq!(
            stored,
            r#"{"name":"a","value":"x.*","isRegex":true,"isEqual":false}"#
        );
        assert_eq!(serde_json::from_str::<Matcher>(&stored).unwrap(), matcher);
        assert_eq!(matcher.to_string(), r#"a!~"x.*""#);
    }
}
