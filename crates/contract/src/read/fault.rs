//! How a rejection leaves a serde visitor, whose errors are texts.

use std::cell::RefCell;

use crate::rejection::Rejection;

/// The rejection that stopped the parser, if one did.
pub(super) type Fault = RefCell<Option<Rejection>>;

/// Notes the rejection and gives the error that stops the parser.
pub(super) fn stop<E: serde::de::Error>(fault: &Fault, rejection: Rejection) -> E {
    let error = E::custom(&rejection.message);
    fault.replace(Some(rejection));
    error
}
