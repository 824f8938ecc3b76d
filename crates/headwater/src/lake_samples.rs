//! One object of each part of the lake, to show what the demo has written.

use std::path::Path;

use aws::Lake;
use contract::{AGGREGATES, CURATED, RAW};

use crate::data_folder;
use crate::output::rounded;

/// Keys of sample objects; None for a part of the lake that is empty.
#[derive(Debug, Default)]
pub(crate) struct LakeSamples {
    raw: Option<String>,
    curated: Option<String>,
    aggregate: Option<String>,
    /// A line of `aggregate`, with its figures rounded.
    line: Option<String>,
}

impl LakeSamples {
    /// Picks the last object of each part of the lake, and a line of the aggregate about a speed, or the
    /// first line if there is none.
    ///
    /// # Errors
    ///
    /// If the lake cannot be read.
    pub(crate) async fn pick(lake: &Lake) -> anyhow::Result<LakeSamples> {
        let mut samples = LakeSamples {
            raw: last(lake, RAW, ".jsonl").await?,
            curated: last(lake, CURATED, ".parquet").await?,
            aggregate: last(lake, AGGREGATES, "vehicle.jsonl").await?,
            line: None,
        };
        if let Some(key) = &samples.aggregate
            && let Some(object) = lake.get(key).await?
        {
            let text = String::from_utf8_lossy(&object.body);
            let line = text
                .lines()
                .find(|line| line.contains("speed"))
                .or(text.lines().next());
            samples.line = line.map(rounded);
        }
        Ok(samples)
    }

    /// The sample keys with their meaning.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let all = [
            (&self.raw, "events as they arrived"),
            (&self.curated, "deduplicated, for DuckDB, Spark, Polars"),
            (&self.aggregate, "statistics by hour, entity and signal"),
        ];
        let there = all.into_iter();
        there.filter_map(|(key, what)| Some((key.as_deref()?, what)))
    }

    /// A line of the sample of statistics.
    pub(crate) fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// Prints the sample keys with their meaning; `data` is the folder of the demo.
    pub(crate) fn print(&self, data: &Path) {
        let lake = data_folder::lake(data);
        println!("\nLook at the files in {}:", lake.display());
        for (key, what) in self.objects() {
            println!("  {key}\n      {what}");
        }
        if let Some(line) = &self.line {
            println!("  of which a line, rounded, is\n      {line}");
        }
        if self.curated.is_some() {
            println!(
                "\nAsk them with DuckDB:\n  {}",
                data_folder::duckdb_line(&lake)
            );
        }
    }
}

async fn last(lake: &Lake, prefix: &str, suffix: &str) -> anyhow::Result<Option<String>> {
    let mut keys = lake
        .list(prefix, None)
        .await?
        .into_iter()
        .map(|object| object.key);
    Ok(keys.rfind(|key| key.ends_with(suffix)))
}
