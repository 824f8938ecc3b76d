//! Which metrics and measurements become events of which kinds: the file of `SENDERS`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use contract::{Kind, Kinds, SignalsAt};
use serde::Deserialize;

use crate::Protocol;

/// The labels that name the entity of a sample where the file names none: the first that is there.
pub const ENTITY_LABELS: [&str; 5] = [
    "instance",
    "host",
    "host.name",
    "service.instance.id",
    "service.name",
];

/// What the file says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Labels that name the entity of samples of long kinds: the first that is there.
    #[serde(default)]
    entity: Vec<String>,
    /// The rules; the first that fits is taken.
    #[serde(default, rename = "map")]
    rules: Vec<Rule>,
}

/// Metrics or measurements that become events of a kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The protocol that they come by; any if absent.
    from: Option<Protocol>,
    /// The name as sent; `*` stands for any text.
    name: String,
    /// The kind of the events.
    pub(crate) kind: String,
    /// The label that is the entity; if absent the one with the name of the kind's entity field.
    pub(crate) entity: Option<String>,
    /// Fields of the kind, and the labels whose values they have.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    /// Fields of the kind that always have this value, unless `fields` gives one.
    #[serde(default)]
    pub(crate) constants: BTreeMap<String, serde_json::Value>,
    /// Signals of the kind, and the names that their values are sent under: fields of a measurement, or metrics.
    #[serde(default)]
    pub(crate) signals: BTreeMap<String, String>,
    /// Taken off in front of names that `signals` does not have.
    #[serde(default)]
    pub(crate) strip: String,
}

impl Mapping {
    /// Reads a file in TOML.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is not of this form, or names a kind or a field that is not declared.
    pub fn load(path: &Path, kinds: &Kinds) -> anyhow::Result<Mapping> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read SENDERS, {}", path.display()))?;
        Mapping::parse(&text, kinds)
            .with_context(|| format!("cannot use SENDERS, {}", path.display()))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// As for [`load`](Mapping::load).
    pub fn parse(text: &str, kinds: &Kinds) -> anyhow::Result<Mapping> {
        let mapping: Mapping = toml::from_str(text)?;
        for rule in &mapping.rules {
            rule.check(kinds)
                .with_context(|| format!("the rule of `{}`", rule.name))?;
        }
        Ok(mapping)
    }

    /// The first rule that takes what is sent under this name.
    pub(crate) fn rule(&self, protocol: Protocol, name: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.from.is_none_or(|from| from == protocol) && fits(&rule.name, name))
    }

    /// The labels that name the entity.
    pub(crate) fn entity_labels(&self) -> impl Iterator<Item = &str> {
        let usual = ENTITY_LABELS
            .iter()
            .copied()
            .filter(|_| self.entity.is_empty());
        self.entity.iter().map(String::as_str).chain(usual)
    }
}

impl Rule {
    fn check(&self, kinds: &Kinds) -> anyhow::Result<()> {
        let kind = kinds.get(&self.kind);
        let kind = kind.with_context(|| {
            format!(
                "kind `{}` is not declared: the kinds are {}",
                self.kind,
                kinds.names()
            )
        })?;
        for field in self.fields.keys().chain(self.constants.keys()) {
            ensure!(
                is_other_field(kind, field),
                "`{field}` is not a field of kind `{}` that a label can fill",
                kind.name
            );
        }
        Ok(())
    }
}

/// Whether it is a field beside the entity, the time and the signals.
fn is_other_field(kind: &Kind, name: &str) -> bool {
    let at = kind.fields.iter().position(|rule| rule.name == name);
    at.is_some_and(|at| match kind.signals_at {
        SignalsAt::Object(_) => true,
        SignalsAt::Fields { name, value } => at != name && at != value,
    })
}

/// Whether the name is one that the pattern stands for.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("obd", "obd", true),
            ("obd", "obd2", false),
            ("obd_*", "obd_", true),
            ("obd_*", "obd", false),
            ("*_total", "a_total", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_rule_of_what_is_not_declared_is_refused_with_its_name() {
        let kinds = Kinds::builtin();
        let wrong = |text: &str| format!("{:#}", Mapping::parse(text, &kinds).unwrap_err());
        let kind = wrong("[[map]]\nname = \"a*\"\nkind = \"car\"");
        assert!(
            kind.contains("`a*`") && kind.contains("kind `car` is not declared"),
            "{kind}"
        );
        let field = wrong("[[map]]\nname = \"a\"\nkind = \"vehicle\"\nfields.payload = \"x\"");
        assert!(field.contains("`payload` is not a field"), "{field}");
        let key = wrong("[[map]]\nname = \"a\"\nkind = \"vehicle\"\nsignal.a = \"x\"");
        assert!(key.contains("unknown field `signal`"), "{key}");
        let from = wrong("[[map]]\nname = \"a\"\nkind = \"vehicle\"\nfrom = \"x\"");
        assert!(from.contains("`otlp`"), "{from}");
    }
}
