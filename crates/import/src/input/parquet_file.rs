//! Rows of a Parquet file, with the types that it declares.

use std::fs::File;
use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::cells::{BATCH_ROWS, batch, own_column};
use crate::error::ImportError;
use crate::report::Tally;

/// The file, its metadata read.
pub(crate) fn open(path: &str) -> Result<ParquetRecordBatchReaderBuilder<File>, ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Read {
        path: path.to_owned(),
        source,
    })?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| ImportError::Parquet {
        path: path.to_owned(),
        source,
    })
}

/// Batches of the wanted columns of a Parquet file.
pub(crate) struct ParquetBatches {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// For each wanted column: its place in the batches that are read, or which column of ours it is.
    places: Vec<Result<usize, usize>>,
    file: String,
    path: String,
    tally: Option<Tally>,
    row: i64,
}

impl ParquetBatches {
    /// `wanted` counts over the file's columns, of which there are `columns`, and then `file`, `path` and `row`.
    pub(crate) fn open(
        path: &str,
        file: &str,
        schema: SchemaRef,
        wanted: &[usize],
        columns: usize,
        tally: Option<Tally>,
    ) -> Result<ParquetBatches, ImportError> {
        let builder = open(path)?;
        let mut read: Vec<usize> = wanted
            .iter()
            .copied()
            .filter(|column| *column < columns)
            .collect();
        read.sort_unstable();
        read.dedup();
        let place = |column: &usize| read.binary_search(column).map_err(|_| *column - columns);
        let places = wanted.iter().map(place).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build();
        let reader = reader.map_err(|source| ImportError::Parquet {
            path: path.to_owned(),
            source,
        })?;
        let (file, path) = (file.to_owned(), path.to_owned());
        Ok(ParquetBatches {
            reader,
            schema,
            places,
            file,
            path,
            tally,
            row: 0,
        })
    }
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = match self.reader.next()? {
            Ok(read) => read,
            Err(error) => {
                let source = error.into();
                return Some(Err(ImportError::Parquet {
                    path: self.path.clone(),
                    source,
                }));
            }
        };
        let count = read.num_rows();
        if let Some(tally) = &self.tally {
            tally.lock().read += count as u64;
        }
        let first = self.row + 1;
        self.row += count as i64;
        let rows = Arc::new(Int64Array::from_iter_values(first..=self.row));
        let columns = self.places.iter().map(|place| match place {
            Ok(place) => Arc::clone(read.column(*place)),
            Err(own) => own_column(*own, &self.file, &self.path, &rows),
        });
        let batch = batch(&self.schema, columns.collect(), count);
        Some(batch.map_err(|error| ImportError::Content {
            path: self.path.clone(),
            message: error.to_string(),
        }))
    }
}
