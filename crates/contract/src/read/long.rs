//! The signal of an event of a long kind, whose name and value are fields.

use std::borrow::Cow;

use crate::declare::kind::{Kind, SignalsAt};
use crate::event::Scalar;
use crate::read::check::{check, check_undeclared};
use crate::read::draft::Signals;
use crate::rejection::Rejection;

/// The signals of an event with these fields: those in `object`, or of a long kind the one that its fields tell, which
/// gets the name that the kind gives it there too. `None` if they are missing.
///
/// # Errors
///
/// If the kind does not take the name or the value.
#[inline]
pub(super) fn signals<'a>(
    kind: &'a Kind,
    object: Option<Signals<'a>>,
    fields: &mut [(usize, Scalar<'a>)],
) -> Result<Option<Signals<'a>>, Rejection> {
    match kind.signals_at {
        SignalsAt::Object(_) => Ok(object),
        SignalsAt::Fields { name, value } => of_fields(kind, (name, value), fields),
    }
}

fn of_fields<'a>(
    kind: &'a Kind,
    (name, value): (usize, usize),
    fields: &mut [(usize, Scalar<'a>)],
) -> Result<Option<Signals<'a>>, Rejection> {
    let place = |wanted: usize| fields.iter().position(|(at, _)| *at == wanted);
    let (Some(name_at), Some(value_at)) = (place(name), place(value)) else {
        return Ok(None);
    };
    let Scalar::Text(sent) = &fields[name_at].1 else {
        return Ok(None);
    };
    let signal: Cow<'a, str> = match &kind.naming {
        None => sent.clone(),
        Some(naming) => naming.signal(sent.clone()),
    };
    let number = fields[value_at].1.clone();
    match kind.known.get(&*signal) {
        Some(rule) => check(rule, &number, (None, &kind.fields[value].name))?,
        None => check_undeclared(kind, &signal)?,
    }
    if kind.naming.is_some() {
        fields[name_at].1 = Scalar::Text(signal.clone());
    }
    Ok(Some(vec![(signal, number)]))
}
