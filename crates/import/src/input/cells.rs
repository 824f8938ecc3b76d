//! One record's cells, and the columns that they fill.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::error::ImportError;

/// Rows in one batch, as DataFusion has it.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// The cells of one record, in one text. A cell that is empty or absent is NULL.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    text: String,
    /// Start and end of each cell in the text.
    at: Vec<(usize, usize)>,
}

impl Cells {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.at.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Adds the next cell.
    pub(crate) fn push(&mut self, cell: &str) {
        self.set(self.at.len(), cell);
    }

    /// Sets the cell of a column.
    pub(crate) fn set(&mut self, column: usize, cell: &str) {
        if self.at.len() <= column {
            self.at.resize(column + 1, (0, 0));
        }
        let start = self.text.len();
        self.text.push_str(cell);
        self.at[column] = (start, self.text.len());
    }

    /// Takes away empty cells at the end, as long as there are more than `columns`.
    pub(crate) fn trim_to(&mut self, columns: usize) {
        while self.at.len() > columns && self.at.last().is_some_and(|(start, end)| start == end) {
            self.at.pop();
        }
    }

    pub(crate) fn get(&self, column: usize) -> Option<&str> {
        let (start, end) = *self.at.get(column)?;
        (start < end).then(|| &self.text[start..end])
    }
}

/// Yields records one after the other.
pub(crate) trait Records: Send {
    /// Fills `cells` with the next record that can be read, and gives its number, counted from 1 over all records;
    /// `None` at the end. Records that cannot be read are counted where the source counts.
    fn next_record(&mut self, cells: &mut Cells) -> Result<Option<u64>, ImportError>;
}

/// Batches of the wanted columns of records.
pub(crate) struct TextBatches {
    records: Box<dyn Records>,
    cells: Cells,
    /// The wanted columns.
    schema: SchemaRef,
    /// Their places among the file's columns; behind these stand `file`, `path` and `row`.
    wanted: Vec<usize>,
    columns: usize,
    file: String,
    path: String,
    over: bool,
}

impl TextBatches {
    pub(crate) fn new(
        records: Box<dyn Records>,
        schema: SchemaRef,
        wanted: Vec<usize>,
        columns: usize,
        (file, path): (String, String),
    ) -> TextBatches {
        TextBatches {
            records,
            cells: Cells::default(),
            schema,
            wanted,
            columns,
            file,
            path,
            over: false,
        }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ImportError> {
        let mut builders: Vec<StringBuilder> =
            self.wanted.iter().map(|_| StringBuilder::new()).collect();
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            let Some(row) = self.records.next_record(&mut self.cells)? else {
                self.over = true;
                break;
            };
            rows.push(i64::try_from(row).unwrap_or(i64::MAX));
            for (builder, column) in builders.iter_mut().zip(&self.wanted) {
                if *column < self.columns {
                    builder.append_option(self.cells.get(*column));
                }
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let rows = Arc::new(Int64Array::from(rows));
        let columns = self
            .wanted
            .iter()
            .zip(&mut builders)
            .map(|(column, builder)| {
                if *column < self.columns {
                    Arc::new(builder.finish()) as ArrayRef
                } else {
                    own_column(*column - self.columns, &self.file, &self.path, &rows)
                }
            });
        let batch = batch(&self.schema, columns.collect(), rows.len());
        Ok(Some(batch.expect(
            "each column is made for its field, with as many rows",
        )))
    }
}

impl Iterator for TextBatches {
    type Item = Result<RecordBatch, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read();
        self.over |= read.is_err();
        read.transpose()
    }
}

/// A column that the import adds: 0 is `file`, 1 is `path`, 2 is `row`.
pub(crate) fn own_column(which: usize, file: &str, path: &str, rows: &Arc<Int64Array>) -> ArrayRef {
    let repeated = |text: &str| {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text,
            rows.len(),
        )))
    };
    match which {
        0 => repeated(file),
        1 => repeated(path),
        _ => Arc::clone(rows) as ArrayRef,
    }
}

/// A batch that may have no columns, as `count(*)` wants.
pub(crate) fn batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
