//! Derived signals: the one place that works them out. Whoever reads lines of `raw/` gets events with them, so that
//! parts, hot rows of queries and windows of alerts agree. They are no part of an event's content or id.

use std::borrow::Cow;

use contract::{Derivation, DerivedSignal, Event, Scalar};

/// Adds the event's derived signals behind those that were sent. One whose source the event does not have is left out.
pub(crate) fn add_derived(event: &mut Event<'_>) {
    let kind = event.kind;
    for derived in &kind.derived {
        if let Some(value) = value(derived, event) {
            let name = Cow::Borrowed(derived.rule.name.as_str());
            event.signals.push((name, value));
        }
    }
}

fn value(derived: &DerivedSignal, event: &Event<'_>) -> Option<Scalar<'static>> {
    match (derived.by, derived.value_in(event)?) {
        (Derivation::Compared(comparison, bound), Scalar::Number(number)) => {
            Some(Scalar::Bool(comparison.holds(*number, bound)))
        }
        (Derivation::Sentiment, Scalar::Text(text)) => {
            Some(Scalar::Number(sentiment::compound(text)))
        }
        // The declaration was checked for it.
        _ => None,
    }
}
