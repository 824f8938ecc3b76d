//! From events to objects: decoded messages come in, batches go out once they are full or old enough, and each batch
//! becomes one object for each arrival hour. No I/O, and no clock but the caller's.

pub mod batcher;
pub mod objects;
