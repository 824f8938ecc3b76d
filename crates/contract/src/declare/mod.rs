//! Declarations of kinds: TOML comes in, checked [`Kind`](kind::Kind)s go out, with all that reading an event by them
//! looks up. A declaration that contradicts itself or another is refused here, so that readers need not ask.

pub(crate) mod declaration;
pub(crate) mod derived;
pub(crate) mod kind;
pub(crate) mod kinds;
pub(crate) mod names;
pub(crate) mod naming;
mod overlap;
pub(crate) mod rule;
mod schema;
mod tables;
