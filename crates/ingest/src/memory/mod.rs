//! Memory of what has come in and is not yet sent: buffers that count what they hold against one bound for the process.

pub(crate) mod budget;
pub(crate) mod pages;
