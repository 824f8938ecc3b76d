//! One file as a source of batches.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use encoding_rs::Encoding;

use super::cells::TextBatches;
use super::csv::{CsvForm, CsvLines, CsvRecords};
use super::json::{JsonColumns, JsonRecords, JsonTexts};
use super::parquet_file::{self, ParquetBatches};
use super::text::Lines;
use crate::error::ImportError;
use crate::report::Tally;

/// The columns that the import adds behind those of the file.
const OWN: [&str; 3] = ["file", "path", "row"];

/// The shape of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects, or one object.
    Json,
    /// Parquet.
    Parquet,
}

impl Format {
    /// What the name of a file says, `.gz` and `.zst` left aside.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        let name = name.to_lowercase();
        let name = name
            .strip_suffix(".gz")
            .or(name.strip_suffix(".zst"))
            .unwrap_or(&name);
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "csv" | "tsv" | "txt" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            "json" => Some(Format::Json),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// How files are read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// `None`: as the name of each file says.
    pub(crate) format: Option<Format>,
    pub(crate) encoding: &'static Encoding,
    pub(crate) csv: CsvForm,
}

/// Batches of one file.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ImportError>> + Send>;

/// A file that can be read, any number of times.
#[derive(Debug)]
pub(crate) struct Input {
    /// The path as given.
    pub(crate) path: String,
    /// The columns of the file, and behind them `file`, `path` and `row`.
    pub(crate) schema: SchemaRef,
    pub(crate) tally: Tally,
    file: String,
    shape: Shape,
    encoding: &'static Encoding,
    bytes_read: Arc<AtomicU64>,
    /// Whether a reading has begun whose rows are counted.
    is_counted: AtomicBool,
}

#[derive(Debug)]
enum Shape {
    Csv(CsvForm),
    Ndjson(JsonColumns),
    Json(JsonColumns),
    Parquet,
}

impl Input {
    /// Looks at the file for its columns; a file of JSON is read to its end for that.
    pub(crate) fn open(
        path: &str,
        reading: &Reading,
        bytes_read: &Arc<AtomicU64>,
    ) -> Result<Input, ImportError> {
        let content = |message: &str| ImportError::Content {
            path: path.to_owned(),
            message: message.to_owned(),
        };
        let place = Path::new(path);
        let file = place
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let format = reading.format.or_else(|| Format::of_name(&file));
        let format = format.ok_or_else(|| {
            content("its name ends in none of .csv, .tsv, .txt, .ndjson, .jsonl, .json, .parquet: say --format")
        })?;
        let encoding = reading.encoding;
        let json = |texts| JsonRecords {
            path: path.to_owned(),
            texts,
            columns: JsonColumns::default(),
            tally: None,
            row: 0,
        };
        let (shape, fields) = match format {
            Format::Csv => {
                let mut form = reading.csv.clone();
                if form.delimiter == ',' && file.to_lowercase().contains(".tsv") {
                    form.delimiter = '\t';
                }
                let mut lines = CsvLines::new(lines(path, encoding, Arc::default())?);
                let names = form.read_names(path, &mut lines)?;
                (Shape::Csv(form), texts(&names))
            }
            Format::Ndjson => {
                let columns =
                    json(JsonTexts::Lines(lines(path, encoding, Arc::default())?)).read_names()?;
                let fields = texts(&columns.names);
                (Shape::Ndjson(columns), fields)
            }
            Format::Json => {
                let columns =
                    json(JsonTexts::whole(path, encoding, Arc::default())?).read_names()?;
                let fields = texts(&columns.names);
                (Shape::Json(columns), fields)
            }
            Format::Parquet => {
                let fields = parquet_file::open(path)?
                    .schema()
                    .fields()
                    .iter()
                    .cloned()
                    .collect();
                (Shape::Parquet, fields)
            }
        };
        Ok(Input {
            path: path.to_owned(),
            schema: schema(fields),
            tally: Tally::new(path),
            file,
            shape,
            encoding,
            bytes_read: Arc::clone(bytes_read),
            is_counted: AtomicBool::new(false),
        })
    }

    /// The place of the column `row`.
    pub(crate) fn row_column(&self) -> usize {
        self.schema.fields().len() - 1
    }

    /// Reads the columns that are wanted, by their places in the schema. Rows are counted in the first reading.
    pub(crate) fn batches(&self, wanted: &[usize]) -> Result<Batches, ImportError> {
        let columns = self.schema.fields().len() - OWN.len();
        let schema = self
            .schema
            .project(wanted)
            .expect("DataFusion asks for columns of the schema");
        let schema = Arc::new(schema);
        let again = self.is_counted.swap(true, Ordering::Relaxed);
        let tally = (!again).then(|| self.tally.clone());
        let bytes_read = if again {
            Arc::default()
        } else {
            Arc::clone(&self.bytes_read)
        };
        let path = self.path.clone();
        let json = |texts, columns: &JsonColumns, tally| {
            let columns = columns.clone();
            Box::new(JsonRecords {
                path: self.path.clone(),
                texts,
                columns,
                tally,
                row: 0,
            })
        };
        let records: Box<dyn super::cells::Records> = match &self.shape {
            Shape::Csv(form) => {
                let mut lines = CsvLines::new(lines(&path, self.encoding, bytes_read)?);
                form.read_names(&path, &mut lines)?;
                Box::new(CsvRecords {
                    path,
                    lines,
                    form: form.clone(),
                    columns,
                    tally,
                    row: 0,
                })
            }
            Shape::Ndjson(names) => json(
                JsonTexts::Lines(lines(&path, self.encoding, bytes_read)?),
                names,
                tally,
            ),
            Shape::Json(names) => json(
                JsonTexts::whole(&path, self.encoding, bytes_read)?,
                names,
                tally,
            ),
            Shape::Parquet => {
                let batches =
                    ParquetBatches::open(&path, &self.file, schema, wanted, columns, tally)?;
                bytes_read.fetch_add(
                    std::fs::metadata(&path).map_or(0, |about| about.len()),
                    Ordering::Relaxed,
                );
                return Ok(Box::new(batches));
            }
        };
        let names = (self.file.clone(), self.path.clone());
        Ok(Box::new(TextBatches::new(
            records,
            schema,
            wanted.to_vec(),
            columns,
            names,
        )))
    }
}

fn lines(
    path: &str,
    encoding: &'static Encoding,
    bytes_read: Arc<AtomicU64>,
) -> Result<Lines, ImportError> {
    Lines::open(Path::new(path), encoding, bytes_read).map_err(|source| ImportError::Read {
        path: path.to_owned(),
        source,
    })
}

fn texts(names: &[String]) -> Vec<FieldRef> {
    names
        .iter()
        .map(|name| Arc::new(Field::new(name, DataType::Utf8, true)))
        .collect()
}

/// The file's columns and ours. A name that is taken, as by a column `row` of the file, gets `_1` behind it.
fn schema(fields: Vec<FieldRef>) -> SchemaRef {
    let mut taken: std::collections::HashSet<String> = OWN.map(str::to_owned).into();
    let mut named: Vec<FieldRef> = Vec::with_capacity(fields.len() + OWN.len());
    for field in fields {
        let mut name = field.name().clone();
        let mut further = 0;
        while !taken.insert(name.clone()) {
            further += 1;
            name = format!("{}_{further}", field.name());
        }
        named.push(Arc::new(field.as_ref().clone().with_name(name)));
    }
    let own = OWN.map(|name| {
        let kind = if name == "row" {
            DataType::Int64
        } else {
            DataType::Utf8
        };
        Arc::new(Field::new(name, kind, false))
    });
    Arc::new(Schema::new(
        named.into_iter().chain(own).collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_says_the_format() {
        for (name, format) in [
            ("a.csv.gz", Some(Format::Csv)),
            ("A.TSV", Some(Format::Csv)),
            ("x.jsonl.zst", Some(Format::Ndjson)),
            ("x.json", Some(Format::Json)),
            ("x.parquet", Some(Format::Parquet)),
            ("x.xlsx", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let names = ["a", "row", "a"].map(str::to_owned);
        let schema = schema(texts(&names));
        let found: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(found, ["a", "row_1", "a_1", "file", "path", "row"]);
    }
}
