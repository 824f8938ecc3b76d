//! Rows of one kind and event hour.

pub mod columns;
pub mod entities;
pub mod group;
pub mod ids;
pub mod values;
