//! How much memory a run may use, and for what.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::spill::Limits;

/// A share of the limit for rows that wait in memory.
const WAITING: u64 = 4;

/// A share of the limit for the rows of one row group.
const ROW_GROUP: u64 = 12;

/// Bytes that a row group takes while it is written, for each byte of its rows: the rows, the index of their ids, the
/// sorted batch, its columns in the file.
const WRITING: u64 = 4;

/// Bytes of rows for each byte of a part's file, about: 9 for vehicles, measured.
const ROWS_PER_FILE: u64 = 8;

/// Bytes of rows for each byte of raw objects, at most.
const ROWS_PER_RAW: (u64, u64) = (3, 5);

/// Least bytes that are reckoned for an hour.
const SMALLEST: u64 = 128 * 1024;

/// Bytes of a permit of the semaphore.
const UNIT: u64 = 1024;

/// The memory limit of a run, divided.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    folder: PathBuf,
    writing: Arc<Semaphore>,
    units: u32,
}

impl Budget {
    /// `limit` is in bytes, `folder` is where rows go that do not fit.
    pub(crate) fn new(limit: u64, folder: PathBuf) -> Budget {
        let units = u32::try_from(limit / UNIT).unwrap_or(u32::MAX).max(1);
        let writing = Arc::new(Semaphore::new(units as usize));
        Budget {
            limit,
            folder,
            writing,
            units,
        }
    }

    /// Bounds of the rows that wait for their hour.
    pub(crate) fn waiting(&self) -> Limits {
        Limits {
            memory: (self.limit / WAITING) as usize,
            folder: self.folder.clone(),
        }
    }

    /// Into how many buckets rows are divided that come from so many bytes of raw objects: 1 if they fit into memory.
    pub(crate) fn buckets(&self, raw_bytes: u64) -> u64 {
        let rows = raw_bytes / ROWS_PER_RAW.1 * ROWS_PER_RAW.0;
        if rows <= self.limit / WAITING {
            1
        } else {
            self.row_groups(rows)
        }
    }

    /// Into how many row groups an hour with so many bytes of rows is divided.
    pub(crate) fn row_groups(&self, bytes: u64) -> u64 {
        bytes.div_ceil((self.limit / ROW_GROUP).max(1))
    }

    /// Into how many parts an hour with so many bytes of rows is divided.
    pub(crate) fn parts(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.limit.max(1))
    }

    /// Waits until a part with so many bytes of rows may be written, `row_groups` of them one after the other. The
    /// memory is free again when the permit is dropped.
    pub(crate) async fn take(&self, bytes: u64, row_groups: u64) -> Option<OwnedSemaphorePermit> {
        let writing = (bytes / row_groups.max(1)).max(SMALLEST / WRITING) * WRITING;
        let units = (writing + bytes / ROWS_PER_FILE).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        self.writing.clone().acquire_many_owned(units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_not_divided() {
        let mib = |n: u64| n << 20;
        let budget = Budget::new(mib(256), PathBuf::new());
        assert_eq!(
            (budget.buckets(mib(100)), budget.buckets(mib(600))),
            (1, 17)
        );
        assert_eq!(
            (budget.row_groups(mib(21)), budget.row_groups(mib(22))),
            (1, 2)
        );
        assert_eq!((budget.parts(mib(256)), budget.parts(mib(257))), (1, 2));
    }

    #[tokio::test]
    async fn a_part_larger_than_the_limit_waits_for_all_of_it() {
        let budget = Budget::new(1 << 20, PathBuf::new());
        let all = budget.take(u64::MAX / 8, 1).await;
        assert!(all.is_some() && budget.writing.available_permits() == 0);
        drop(all);
        let small = budget.take(1, 1).await;
        assert!(small.is_some() && budget.writing.available_permits() > 0);
    }
}
