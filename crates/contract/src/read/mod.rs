//! From JSON to events: a body comes in and is cut into texts, each text becomes an [`Event`](crate::Event) or a
//! [`Rejection`](crate::Rejection). Whatever is wrong with one event costs that event alone.

pub(crate) mod body;
mod detect;
pub(crate) mod parse;
