//! Statistics as the rows of a file of aggregates hold them.

use arrow::array::{Array, BinaryArray, Float64Array, Int64Array, RecordBatch};
use parquet::errors::ParquetError;

use crate::aggregates::sketch::Sketch;
use crate::aggregates::stats::Stats;
use crate::parquet_file::column;

/// The statistics of some rows of a file of aggregates.
#[derive(Debug)]
pub struct StoredStats {
    counts: Int64Array,
    texts: Int64Array,
    min: Float64Array,
    max: Float64Array,
    mean: Float64Array,
    stddev: Option<Float64Array>,
    sketches: Option<BinaryArray>,
}

impl StoredStats {
    /// Columns without which there are no statistics.
    pub const COLUMNS: [&str; 5] = ["count", "texts", "min", "max", "mean"];
    /// The column of standard deviations. Rows read without it have a deviation of 0.
    pub const STDDEV: &str = "stddev";
    /// The column of sketches. Rows read without it have no quantiles.
    pub const SKETCH: &str = "sketch";

    /// # Errors
    ///
    /// If one of [`COLUMNS`](Self::COLUMNS) is missing or has another type.
    pub fn of(batch: &RecordBatch) -> Result<StoredStats, ParquetError> {
        let whole = |name: &str| column::<Int64Array>(batch, name).cloned();
        let number = |name: &str| column::<Float64Array>(batch, name).cloned();
        let [count, texts, min, max, mean] = Self::COLUMNS;
        Ok(StoredStats {
            counts: whole(count)?,
            texts: whole(texts)?,
            min: number(min)?,
            max: number(max)?,
            mean: number(mean)?,
            stddev: number(Self::STDDEV).ok(),
            sketches: column(batch, Self::SKETCH).ok().cloned(),
        })
    }

    /// The statistics of a row.
    ///
    /// # Errors
    ///
    /// If its sketch is damaged.
    pub fn get(&self, row: usize) -> Result<Stats, ParquetError> {
        let (shown, texts) = (self.counts.value(row) as u64, self.texts.value(row) as u64);
        let mut stats = Stats {
            count: texts,
            texts,
            ..Stats::default()
        };
        if self.min.is_null(row) {
            return Ok(stats);
        }
        stats.count += shown;
        (stats.min, stats.max) = (self.min.value(row), self.max.value(row));
        stats.mean = self.mean.value(row);
        stats.sketch = match self.sketches.as_ref().map(|sketches| sketches.value(row)) {
            None => Sketch::none(),
            Some([]) => sketch_of_extremes(&stats, shown)?,
            Some(bytes) => {
                let sketch = Sketch::from_bytes(bytes);
                sketch.map_err(|error| ParquetError::External(error.into()))?
            }
        };
        if let Some(stddev) = &self.stddev {
            stats.set_stddev(stddev.is_valid(row).then(|| stddev.value(row)));
        }
        Ok(stats)
    }
}

/// Whether the extremes say all that the sketch would: it is left empty in the file.
pub(super) fn is_told_by_extremes(stats: &Stats) -> bool {
    let exact = stats.sketch.exact().unwrap_or_default();
    let is = |at: usize, value: f64| exact[at].to_bits() == value.to_bits();
    match exact.len() {
        0 => !stats.is_numeric(),
        1 => is(0, stats.min) && is(0, stats.max),
        2 => is(0, stats.min) && is(1, stats.max),
        _ => false,
    }
}

/// The sketch that [`is_told_by_extremes`] stands for.
fn sketch_of_extremes(stats: &Stats, numbers: u64) -> Result<Sketch, ParquetError> {
    match numbers {
        1 => Ok(Sketch::of_sorted(&[stats.min])),
        2 => Ok(Sketch::of_sorted(&[stats.min, stats.max])),
        _ => Err(ParquetError::General(format!(
            "a row of {numbers} numbers has no sketch"
        ))),
    }
}
