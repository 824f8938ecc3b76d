//! From SQS to events: messages come in by long polls, are held against their visibility timeout, and go out decoded
//! as [`delivery::Arrival`]s, good events as lines and the rest as letters with a reason. Each message ends in one of
//! three ways: deleted, given back, or left to come again when its visibility timeout ends.

pub(crate) mod budget;
pub(crate) mod contents;
pub(crate) mod dead_letter;
mod decode;
pub(crate) mod delivery;
mod failures;
#[cfg(test)]
mod fuzz;
pub(crate) mod give_back;
pub(crate) mod held;
pub(crate) mod outage;
pub(crate) mod receipt;
pub(crate) mod receivers;
mod refused;
#[cfg(test)]
mod tests;
mod wrapped;
