//! The page that a demo leaves: one file without scripts, which a browser shows as it lies there.

mod chart;
mod page;
mod series;

pub(crate) use page::Page;
pub(crate) use series::{Series, Top, ask};
