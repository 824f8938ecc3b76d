//! Where to look.

use std::path::Path;

use aws::Lake;
use contract::{AGGREGATES, CURATED, RAW};

use crate::folder;

/// What is in the lake, by example.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    raw: Option<String>,
    curated: Option<String>,
    aggregate: Option<String>,
    /// A line of the aggregate.
    line: Option<String>,
}

impl Sights {
    /// Picks the last object of each part of the lake, and a line of the aggregate that says
    /// something of speed.
    ///
    /// # Errors
    ///
    /// If the lake cannot be read.
    pub(crate) async fn pick(lake: &Lake) -> anyhow::Result<Sights> {
        let mut sights = Sights {
            raw: last(lake, RAW, ".jsonl").await?,
            curated: last(lake, CURATED, ".parquet").await?,
            aggregate: last(lake, AGGREGATES, "vehicle.jsonl").await?,
            line: None,
        };
        if let Some(key) = &sights.aggregate
            && let Some(object) = lake.get(key).await?
        {
            let text = String::from_utf8_lossy(&object.body);
            let line = text
                .lines()
                .find(|line| line.contains("speed"))
                .or(text.lines().next());
            sights.line = line.map(str::to_owned);
        }
        Ok(sights)
    }

    /// Prints where the files lie.
    pub(crate) fn print(&self, data: &Path) {
        let lake = folder::lake(data);
        println!("\nLook at the files in {}:", lake.display());
        for (key, what) in [
            (&self.raw, "events as they arrived"),
            (&self.curated, "deduplicated, for DuckDB, Spark, Polars"),
            (&self.aggregate, "statistics by hour, entity and signal"),
        ] {
            if let Some(key) = key {
                println!("  {key}\n      {what}");
            }
        }
        if let Some(line) = &self.line {
            println!("  of which a line is\n      {line}");
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
