//! Where series and their panes lie in memory. Names become numbers once, so that a series costs some 80 bytes, and 10
//! bytes more for each pane that is held.

mod names;
mod pane;
mod panes;
mod quantile;
mod registry;

pub(crate) use pane::LateChange;
pub(crate) use panes::Panes;
pub(crate) use registry::{Identity, Registry, pack, pack_dimensions, unpack};
