//! From lines of `raw/` to rows of one kind and hour: lines come in, columns go out, sorted by entity and time, each id
//! once.

pub(crate) mod gather;
