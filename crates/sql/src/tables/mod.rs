//! The tables of the lake, as DataFusion sees them.

mod estimated;
mod kind;
mod long;
mod points;
mod source;
mod told;
mod windows;

pub use kind::KindTable;
pub(crate) use long::{LongTable, OfKind};
pub(crate) use source::Source;
pub(crate) use told::{Told, ToldTable};
