//! From JSON to events: a body comes in and is cut into texts, each text becomes an [`Event`](crate::Event) or a
//! [`Rejection`](crate::Rejection). Whatever is wrong with one event costs that event alone.
//!
//! `body` cuts, `parse` reads: first by `quick`, which takes events of the usual shape by their bytes. What `quick`
//! does not take is read by `full`, over serde, which alone says what is wrong. Both hold each value against the rules
//! in `check`.

pub(crate) mod body;
mod check;
mod cursor;
mod detect;
mod draft;
mod fault;
mod full;
pub(crate) mod identify;
mod labels;
mod long;
pub(crate) mod parse;
mod quick;
mod scalar;
mod signals;

#[cfg(test)]
mod lenient_tests;
#[cfg(test)]
mod tests;
