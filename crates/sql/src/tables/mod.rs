//! The tables of the lake, as DataFusion sees them.

mod kind;

pub use kind::KindTable;
