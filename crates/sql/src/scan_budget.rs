//! How much of the lake one statement may look at.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytesize::ByteSize;
use datafusion::error::DataFusionError;
use engine::snapshot::HourData;

/// A statement would look at more of the lake than it may.
#[derive(Debug, thiserror::Error)]
#[error(
    "the statement would look at {} of files, more than {} (MAX_SCAN_BYTES): bound its times, such as \
     `event_time > now() - INTERVAL '1 hour'`; over HTTP `full=true` asks for it all the same", .wanted, .most
)]
pub struct ScanTooLarge {
    /// Bytes of the files of all tables that are planned so far.
    pub wanted: ByteSize,
    /// The bound.
    pub most: ByteSize,
}

/// Counts the bytes of the files that the tables of one statement are about to look at.
#[derive(Debug)]
pub(crate) struct ScanBudget {
    most: Option<u64>,
    used: AtomicU64,
}

impl ScanBudget {
    /// `None` is no bound.
    pub(crate) fn new(most: Option<u64>) -> ScanBudget {
        ScanBudget {
            most,
            used: AtomicU64::new(0),
        }
    }

    /// Counts the parts of these hours. Hot rows are in memory already.
    pub(crate) fn take(&self, hours: &[HourData]) -> Result<(), DataFusionError> {
        let parts = hours.iter().flat_map(|hour| &hour.parts);
        self.take_bytes(parts.map(|part| part.size).sum())
    }

    /// Counts so many bytes of files.
    pub(crate) fn take_bytes(&self, bytes: u64) -> Result<(), DataFusionError> {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        match self.most {
            Some(most) if used > most => Err(DataFusionError::External(Box::new(ScanTooLarge {
                wanted: ByteSize(used),
                most: ByteSize(most),
            }))),
            _ => Ok(()),
        }
    }
}
