//! Kinds that the fields of an event cannot tell apart.

use crate::declare::kind::Kind;
use crate::declare::rule::FieldRule;

/// Marks the kinds whose required fields all fit another kind and the other way round, unless a
/// required constant tells them apart; returns the names of each such pair.
pub(super) fn mark_overlaps(kinds: &mut [Kind]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for a in 0..kinds.len() {
        for b in a + 1..kinds.len() {
            let (one, two) = (&kinds[a], &kinds[b]);
            let fits = |kind: &Kind, other: &Kind| {
                let mut required = kind.required();
                required.all(|name| other.own_field(name).is_some())
            };
            if fits(one, two) && fits(two, one) && !told_apart(one, two) {
                pairs.push((one.name.clone(), two.name.clone()));
                kinds[a].overlaps = true;
                kinds[b].overlaps = true;
            }
        }
    }
    pairs
}

/// Whether a required field of `one` takes no text that the field of that name in `two` takes.
fn told_apart(one: &Kind, two: &Kind) -> bool {
    let constants = |rule: &&FieldRule| rule.required && !rule.texts.is_empty();
    one.fields.iter().filter(constants).any(|rule| {
        two.fields.iter().any(|other| {
            other.name == rule.name
                && !other.texts.is_empty()
                && other.texts.iter().all(|text| !rule.texts.contains(text))
        })
    })
}
