//! The events that a table is of.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use engine::Engine;
use engine::kernels::{Ask, Grouping, Groups, ScanError, Wanted};
use engine::read::PartError;
use engine::snapshot::{HourData, Snapshot};
use lake::ReadError;
use lake::key::curated_hour_of;

/// The events of a kind in a snapshot, all of which are the rows of a table.
#[derive(Debug, Clone)]
pub struct KindEvents {
    /// Reads them.
    pub engine: Arc<Engine>,
    /// The lake at the start of the statement.
    pub snapshot: Snapshot,
    /// Name of the kind.
    pub kind: Arc<str>,
}

/// Why events could not be aggregated.
enum EventsError {
    /// The lake could not be listed.
    List(ReadError),
    /// The events could not be read, or have too many groups.
    Scan(ScanError),
}

impl KindEvents {
    /// The groups of the events that `ask` looks at, whose signals are names of columns; `most` of them at most.
    ///
    /// # Errors
    ///
    /// [`DataFusionError::ResourcesExhausted`] if there are more, else an external error that is a [`ScanError`] or a
    /// [`ReadError`].
    pub(super) async fn groups(
        &self,
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, DataFusionError> {
        let groups = match self.groups_once(ask, grouping, wanted, most).await {
            // A rebuild has replaced the part: its hour is listed again.
            Err(EventsError::Scan(ScanError::Part(PartError::Gone(part)))) => {
                if let Some((kind, hour)) = curated_hour_of(&part.key) {
                    self.snapshot.forget(kind, hour);
                }
                self.groups_once(ask, grouping, wanted, most).await
            }
            other => other,
        };
        groups.map_err(|error| match error {
            EventsError::List(error) => DataFusionError::External(error.into()),
            EventsError::Scan(ScanError::TooManyGroups { most }) => {
                DataFusionError::ResourcesExhausted(format!(
                    "more than {most} groups have no room in MEMORY_LIMIT: group by a longer time, or fewer entities"
                ))
            }
            EventsError::Scan(error) => DataFusionError::External(error.into()),
        })
    }

    async fn groups_once(
        &self,
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, EventsError> {
        let hours = self.hours(ask).await.map_err(EventsError::List)?;
        let scanner = &self.engine.scanner;
        let groups = scanner.groups_of_columns(&hours, ask, grouping, wanted, most);
        groups.await.map_err(EventsError::Scan)
    }

    async fn hours(&self, ask: &Ask) -> Result<Vec<HourData>, ReadError> {
        let time = |micros| DateTime::from_timestamp_micros(micros);
        let from = time(ask.times.start).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let until = time(ask.times.end).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.snapshot.hours(&self.kind, from, until).await
    }
}
