//! A lake in this process with its aggregator, and statements over it.

use std::sync::Arc;
use std::time::Duration;

use contract::Kinds;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use engine::read::ReadSettings;
use engine::snapshot::{Part, SnapshotSettings, Snapshots};
use engine::{Engine, Turns};
use sql::{Answer, Database, SessionOptions, SqlError, SqlSettings};

use crate::landing::{Landing, arrival};

/// Longest time of a join.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);

/// A lake and what answers statements over it.
pub(crate) struct Stage {
    pub(crate) landing: Landing,
    snapshots: Snapshots,
    pub(crate) database: Arc<Database>,
}

/// An event of a vehicle at a second of 2025-10-04T13.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) entity: String,
    pub(crate) second: u32,
    pub(crate) rpm: u32,
    /// A further signal, which is not declared.
    pub(crate) more: Option<String>,
}

/// So many readings, which differ by their number.
pub(crate) fn readings(numbers: std::ops::Range<u32>) -> Vec<Reading> {
    let reading = |n: u32| Reading {
        entity: format!("veh-{}", n % 3),
        second: n,
        rpm: 700 + n * 7919 % 5000,
        more: n.is_multiple_of(4).then(|| format!("\"level\":\"l{n}\"")),
    };
    numbers.map(reading).collect()
}

impl Reading {
    fn text(&self) -> String {
        let (minute, second) = (self.second / 60, self.second % 60);
        let more = self
            .more
            .as_ref()
            .map_or_else(String::new, |more| format!(",{more}"));
        format!(
            r#"{{"timestamp":"2025-10-04T13:{minute:02}:{second:02}Z","vehicle_id":"{}","can_id":"0x1F0","payload":{{"engine_rpm":{}{more}}}}}"#,
            self.entity, self.rpm
        )
    }
}

impl Stage {
    /// It is 2025-10-04T14:30 at the start.
    pub(crate) async fn new(settings: SqlSettings) -> Stage {
        let landing = Landing::new().await;
        let (lake, kinds) = (landing.lake.clone(), Arc::new(Kinds::builtin()));
        let clock = landing.aws.clock();
        let snapshots = Snapshots::new(lake.clone(), kinds, clock, SnapshotSettings::default());
        let newest = snapshots.watch();
        let engine = Engine::new(lake, newest, ReadSettings::default(), Turns::new(2, 2));
        let database = Database::new(Arc::new(engine), &settings, LONGEST).unwrap();
        Stage {
            landing,
            snapshots,
            database: Arc::new(database),
        }
    }

    pub(crate) async fn land_readings(&mut self, readings: &[Reading]) {
        let texts: Vec<String> = readings.iter().map(Reading::text).collect();
        self.landing.land(None, arrival(), &texts).await;
    }

    /// Looks at the lake, the log of commits included.
    pub(crate) async fn refresh(&mut self) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::resume();
        while !self.snapshots.refresh().await.unwrap().is_complete {}
    }

    /// The part of vehicles, of which there is one.
    pub(crate) async fn only_part(&self) -> Part {
        let snapshot = self.database.engine().snapshot().unwrap();
        let (from, until) = ("2025-10-04T13:00:00Z", "2025-10-04T14:00:00Z");
        let hours = snapshot.hours("vehicle", from.parse().unwrap(), until.parse().unwrap());
        hours.await.unwrap()[0].parts[0].clone()
    }

    pub(crate) async fn answer(&self, text: &str) -> Result<Answer, SqlError> {
        self.answer_with(text, SessionOptions::default()).await
    }

    pub(crate) async fn answer_with(
        &self,
        text: &str,
        options: SessionOptions,
    ) -> Result<Answer, SqlError> {
        let limit = Duration::from_secs(60);
        self.database.run(text, &[], &options, limit).await
    }

    /// All rows.
    pub(crate) async fn rows(&self, text: &str) -> Result<Vec<RecordBatch>, SqlError> {
        all(self.answer(text).await?).await
    }

    /// The rows as lines, with commas between the values.
    pub(crate) async fn ask(&self, text: &str) -> Vec<String> {
        let rows = self.rows(text).await;
        lines(&rows.unwrap_or_else(|error| panic!("{text}: {error:?}")))
    }

    /// The error, which there must be.
    pub(crate) async fn refused(&self, text: &str) -> SqlError {
        match self.rows(text).await {
            Ok(rows) => panic!("{text}: {:?}", lines(&rows)),
            Err(error) => error,
        }
    }
}

pub(crate) async fn all(mut answer: Answer) -> Result<Vec<RecordBatch>, SqlError> {
    let mut rows = Vec::new();
    while let Some(batch) = answer.next().await? {
        rows.push(batch);
    }
    Ok(rows)
}

pub(crate) fn lines(rows: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(rows).unwrap().to_string();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.join(",")
    };
    lines.map(cells).collect()
}
