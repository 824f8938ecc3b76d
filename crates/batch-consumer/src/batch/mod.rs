//! From messages to objects: decoded messages come in, a batch goes out once it is full or old enough, and becomes one
//! object for each arrival hour. No I/O, and no clock but the caller's. No message is lost or in two batches, and the
//! same messages always give the same objects under the same keys.

pub(crate) mod batcher;
pub(crate) mod buffers;
pub(crate) mod objects;
#[cfg(test)]
mod tests;
