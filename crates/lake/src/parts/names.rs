//! The names of signals in a part of a long kind, in the metadata of its file, so that a reader of the footer knows
//! whether it needs the part's rows.

use std::collections::BTreeSet;

use arrow::array::{Array, RecordBatch, StringArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;

use crate::rows::LongColumns;

/// Name of the entry; the value is a JSON array of names, ascending.
const NAMES: &str = "headwater.signals";

/// Most names that a part tells: with their bounded length they take 280 KB of its footer at most.
const MOST: usize = 4096;

/// The names in the rows of a part that is being written.
pub(crate) struct PartNames {
    columns: LongColumns,
    names: BTreeSet<String>,
}

impl PartNames {
    pub(crate) fn new(columns: LongColumns) -> PartNames {
        PartNames {
            columns,
            names: BTreeSet::new(),
        }
    }

    /// Adds the names in these rows.
    ///
    /// # Errors
    ///
    /// If the column of names holds something else.
    pub(crate) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let column = rows.column(self.columns.name).as_any();
        let Some(names) = column.downcast_ref::<StringArray>() else {
            let what = "the column of signals' names holds no texts".to_owned();
            return Err(ParquetError::General(what));
        };
        for name in names.iter().flatten() {
            if self.names.len() > MOST {
                return Ok(());
            }
            if !self.names.contains(name) {
                self.names.insert(name.to_owned());
            }
        }
        Ok(())
    }

    /// The entry in the metadata of the file; `None` where there are more names than a part tells.
    pub(crate) fn entry(&self) -> Option<KeyValue> {
        let names = serde_json::to_string(&self.names).ok();
        let names = names.filter(|_| self.names.len() <= MOST)?;
        Some(KeyValue::new(NAMES.to_owned(), names))
    }
}

/// The names of the signals in a part of a long kind, by the metadata of its file, ascending; `None` where that does
/// not tell: the part may hold any.
pub fn signal_names(metadata: Option<&Vec<KeyValue>>) -> Option<Vec<String>> {
    let mut entries = metadata?.iter();
    let entry = entries.find(|entry| entry.key == NAMES)?;
    serde_json::from_str(entry.value.as_deref()?).ok()
}
