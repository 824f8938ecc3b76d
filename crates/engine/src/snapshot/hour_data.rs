//! The events of one kind and event hour, as a snapshot has them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use contract::Hour;

/// An object of `curated/` that a commit of the snapshot wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    /// Its key.
    pub key: String,
    /// Its ETag when it was listed. `rebuild` replaces a part under the same key: who reads asks for this one, and
    /// takes a new snapshot where it is gone.
    pub etag: String,
    /// Bytes of the file.
    pub size: u64,
}

/// The events of one kind and event hour: those of the parts and the hot rows, which have no event in common.
#[derive(Debug, Clone)]
pub struct HourData {
    /// The hour in which the events happened.
    pub hour: Hour,
    /// In the order of commits.
    pub parts: Vec<Part>,
    /// Rows that are in `raw/` only, in the columns that a part would have. Each batch has the columns that its own
    /// events need, so two batches may differ in their undeclared columns.
    pub hot: Vec<Arc<RecordBatch>>,
}
