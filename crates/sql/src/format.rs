//! The forms in which an answer goes out, batch by batch.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow_json::StructMode;
use arrow_json::writer::{LineDelimited, WriterBuilder};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object: `{"columns":[{"name","type"}],"rows":[[…]],"truncated":bool}`.
    Json,
    /// An object for each row and line; null where a value is absent.
    Ndjson,
    /// RFC 4180, with a line of names.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
}

impl Format {
    /// The first form that an `Accept` header names; JSON where it takes anything, and none where it takes none.
    pub fn of_accept(accept: &str) -> Option<Format> {
        accept.split(',').find_map(|range| {
            let r#type = range.split(';').next().unwrap_or_default().trim();
            match r#type.to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" | "" => Some(Format::Json),
                "application/x-ndjson" | "application/jsonl" => Some(Format::Ndjson),
                "text/csv" | "text/*" => Some(Format::Csv),
                "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
                _ => None,
            }
        })
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Writes one answer.
pub struct Encoder {
    form: Form,
    has_rows: bool,
}

enum Form {
    Json(SchemaRef),
    Ndjson,
    Csv(SchemaRef),
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// For an answer of these columns.
    ///
    /// # Errors
    ///
    /// If Arrow's stream cannot have such columns.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Encoder, ArrowError> {
        let form = match format {
            Format::Json => Form::Json(schema.clone()),
            Format::Ndjson => Form::Ndjson,
            Format::Csv => Form::Csv(schema.clone()),
            Format::Arrow => Form::Arrow(Box::new(StreamWriter::try_new(Vec::new(), schema)?)),
        };
        Ok(Encoder {
            form,
            has_rows: false,
        })
    }

    /// The bytes before the first row.
    pub fn begin(&mut self) -> Result<Vec<u8>, ArrowError> {
        match &mut self.form {
            Form::Json(schema) => {
                let columns: Vec<serde_json::Value> = schema
                    .fields()
                    .iter()
                    .map(|field| serde_json::json!({"name": field.name(), "type": type_name(field.data_type())}))
                    .collect();
                let columns = serde_json::Value::from(columns);
                Ok(format!("{{\"columns\":{columns},\"rows\":[").into_bytes())
            }
            Form::Csv(schema) => {
                let mut out = Vec::new();
                let mut writer = arrow_csv::WriterBuilder::new()
                    .with_header(true)
                    .build(&mut out);
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
                drop(writer);
                Ok(out)
            }
            Form::Ndjson => Ok(Vec::new()),
            Form::Arrow(writer) => Ok(std::mem::take(writer.get_mut())),
        }
    }

    /// The bytes of some rows.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut out = Vec::new();
        match &mut self.form {
            Form::Json(_) => {
                let lists = WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .with_struct_mode(StructMode::ListOnly);
                lists.build::<_, LineDelimited>(&mut out).write(batch)?;
                // Texts have no line breaks in JSON, so each stands between two rows.
                out.pop();
                out.iter_mut()
                    .filter(|byte| **byte == b'\n')
                    .for_each(|byte| *byte = b',');
                if self.has_rows && batch.num_rows() > 0 {
                    out.insert(0, b',');
                }
            }
            Form::Ndjson => {
                let objects = WriterBuilder::new().with_explicit_nulls(true);
                objects.build::<_, LineDelimited>(&mut out).write(batch)?;
            }
            Form::Csv(_) => arrow_csv::WriterBuilder::new()
                .with_header(false)
                .build(&mut out)
                .write(batch)?,
            Form::Arrow(writer) => {
                writer.write(batch)?;
                out = std::mem::take(writer.get_mut());
            }
        }
        self.has_rows |= batch.num_rows() > 0;
        Ok(out)
    }

    /// The bytes after the last row; `truncated` where there would have been more.
    pub fn end(&mut self, truncated: bool) -> Result<Vec<u8>, ArrowError> {
        match &mut self.form {
            Form::Json(_) => Ok(format!("],\"truncated\":{truncated}}}\n").into_bytes()),
            Form::Ndjson | Form::Csv(_) => Ok(Vec::new()),
            Form::Arrow(writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

/// PostgreSQL's name of a type, which is what people know.
pub fn type_name(r#type: &DataType) -> String {
    let name = match r#type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Dictionary(_, value) => return type_name(value),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Null => "unknown",
        other => return other.to_string().to_lowercase(),
    };
    name.to_owned()
}
