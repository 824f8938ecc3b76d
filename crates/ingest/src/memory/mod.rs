//! Memory of what has come in and is not yet sent: buffers that count the memory they take against one bound for the
//! process, and keep long contents in pages of their own.

pub(crate) mod budget;
pub(crate) mod pages;
