//! Which signals the events of a long kind have: by the footers of parts, and by hot rows.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use futures::{StreamExt, TryStreamExt, stream};
use lake::rows::LongColumns;

use crate::kernels::scan::{FETCHES, Scanner};
use crate::kernels::scan_error::ScanError;
use crate::snapshot::{HourData, Part};

/// The names of signals in some hours of a long kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalNames {
    /// Those that are known.
    pub names: BTreeSet<String>,
    /// Whether a part has more names than its footer tells, so that there may be others.
    pub has_others: bool,
}

impl Scanner {
    /// The names of the signals in these hours of a long kind. It reads the footers of their parts, and none of their
    /// rows.
    ///
    /// # Errors
    ///
    /// [`ScanError`] of the first part that fails.
    pub async fn signal_names(&self, hours: &[HourData]) -> Result<SignalNames, ScanError> {
        let mut found = SignalNames::default();
        for batch in hours.iter().flat_map(|hour| &hour.hot) {
            found.add_hot(batch);
        }
        let parts: Vec<Part> = hours.iter().flat_map(|hour| hour.parts.clone()).collect();
        let footers = stream::iter(parts).map(|part| {
            let reader = self.reader.clone();
            async move { reader.footer(&part).await }
        });
        let mut footers = std::pin::pin!(footers.buffered(FETCHES));
        while let Some(footer) = footers.try_next().await? {
            match &footer.signal_names {
                None => found.has_others = true,
                Some(names) => {
                    let new = names.iter().filter(|name| !found.names.contains(*name));
                    let new: Vec<String> = new.cloned().collect();
                    found.names.extend(new);
                }
            }
        }
        Ok(found)
    }
}

impl SignalNames {
    fn add_hot(&mut self, rows: &RecordBatch) {
        let columns = LongColumns::of(&rows.schema());
        let names = columns.and_then(|columns| rows.column(columns.name).as_string_opt::<i32>());
        for name in names.into_iter().flatten().flatten() {
            if !self.names.contains(name) {
                self.names.insert(name.to_owned());
            }
        }
    }
}
