//! Which rules wait for a signal that no kind declares.

use contract::Kinds;

use crate::expr::Selector;
use crate::rules::rule::{OWN_KIND, OWN_SIGNALS, Rules};
use service::nearest::nearest;

impl Rules {
    /// A sentence for each selector whose kind or signal is not declared. Such a rule is kept: kinds may take signals
    /// that are not declared, and a name may come later. Names of a [long](contract::Kind::is_long) kind need no
    /// declaration.
    pub fn undeclared(&self, kinds: &Kinds) -> Vec<String> {
        let mut sentences = Vec::new();
        for rule in &self.all {
            let (mut has_own, mut has_others) = (false, false);
            rule.condition.each_over_time(&mut |selector, _| {
                let is_own = selector.kind() == Some(OWN_KIND);
                (has_own, has_others) = (has_own || is_own, has_others || !is_own);
                let reason = if is_own {
                    unknown_own(&selector.signal)
                } else {
                    undeclared(selector, kinds)
                };
                if let Some(reason) = reason {
                    sentences.push(format!("the rule `{}` waits for data: {reason}", rule.id));
                }
            });
            if has_own && has_others {
                sentences.push(format!(
                    "the rule `{}` asks for the kind `{OWN_KIND}` beside others: in such a rule it has no data",
                    rule.id
                ));
            }
        }
        sentences.dedup();
        sentences
    }
}

fn unknown_own(signal: &str) -> Option<String> {
    if OWN_SIGNALS.contains(&signal) {
        return None;
    }
    let hint = hint(nearest(signal, OWN_SIGNALS));
    Some(format!(
        "the kind `{OWN_KIND}` does not have the signal `{signal}`{hint}"
    ))
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |name| format!(": did you mean `{name}`?"))
}

fn undeclared(selector: &Selector, kinds: &Kinds) -> Option<String> {
    let signal = &*selector.signal;
    let wanted = selector.kind();
    if let Some(kind) = wanted
        && kinds.get(kind).is_none()
    {
        return Some(format!(
            "the kind `{kind}` is not declared; declared are {}",
            kinds.names()
        ));
    }
    let asked = || {
        let kinds = kinds.iter();
        kinds.filter(|kind| wanted.is_none_or(|wanted| kind.name == wanted))
    };
    if asked().any(|kind| kind.signal(signal).is_some()) {
        return None;
    }
    if wanted.is_none() && OWN_SIGNALS.contains(&signal) {
        return Some(format!(
            "the signal `{signal}` of the pipeline itself needs `{{kind=\"{OWN_KIND}\"}}`"
        ));
    }
    let names = asked().flat_map(|kind| kind.signals().map(|rule| rule.name.as_str()));
    let near = nearest(signal, names);
    // Any name may be a signal of an open long kind, and most are declared nowhere.
    if let Some(long) = asked().find(|kind| kind.is_long() && kind.open) {
        let near = near.filter(|_| wanted.is_none())?;
        return Some(format!(
            "no kind declares the signal `{signal}`, which may be a name of the kind `{}`: did you mean `{near}`?",
            long.name
        ));
    }
    let hint = hint(near);
    Some(match wanted {
        Some(kind) => format!("the kind `{kind}` does not declare the signal `{signal}`{hint}"),
        None => format!("no kind declares the signal `{signal}`{hint}"),
    })
}
