//! Reads one CSV file by a mapping, row by row.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use csv::ByteRecord;

use super::Recorded;
use super::clock::FileClock;
use super::column::{Column, normal, text_of};
use super::counts::{ReplayCounts, Skip};
use super::mapping::{Field, Mapping, Text};
use super::value::NoValue;

/// A CSV file whose header fits its mapping.
pub(crate) struct Table {
    reader: csv::Reader<Box<dyn Read + Send>>,
    mapping: Arc<Mapping>,
    clock: FileClock,
    columns: Columns,
    record: ByteRecord,
}

/// Where in this file the mapping's columns are, in the mapping's order.
struct Columns {
    width: usize,
    entity: Option<usize>,
    time: Vec<usize>,
    fields: Vec<Option<usize>>,
    signals: Vec<Option<usize>>,
}

impl Table {
    /// Reads the header. Signals without a column are counted as absent; entity, time and fields
    /// without one, and a file without any signal's column, are errors.
    pub(crate) fn open(
        path: &Path,
        text: Box<dyn BufRead + Send>,
        mapping: Arc<Mapping>,
        counts: &mut ReplayCounts,
    ) -> Result<Table, String> {
        let mut text = text;
        for _ in 0..mapping.csv.skip_lines {
            text.read_until(b'\n', &mut Vec::new())
                .map_err(|error| error.to_string())?;
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(mapping.csv.delimiter as u8)
            .comment(mapping.csv.comment.map(|mark| mark as u8))
            .from_reader(text as Box<dyn Read + Send>);
        let headers: Vec<String> = match &mapping.csv.headers {
            Some(headers) => headers
                .iter()
                .map(|header| normal(header).into_owned())
                .collect(),
            None => {
                let mut first = ByteRecord::new();
                if !reader
                    .read_byte_record(&mut first)
                    .map_err(|error| error.to_string())?
                {
                    return Err("it is empty".into());
                }
                first
                    .iter()
                    .map(|cell| normal(&text_of(cell)).into_owned())
                    .collect()
            }
        };
        let columns = Columns::find(&mapping, &headers, counts)?;
        Ok(Table {
            clock: mapping.clock.for_file(path)?,
            reader,
            mapping,
            columns,
            record: ByteRecord::new(),
        })
    }

    /// The next row that is an event, those before it counted; none at the end.
    ///
    /// # Errors
    ///
    /// Only if the file cannot be read on; rows that make no event are counted.
    pub(crate) fn next_row(
        &mut self,
        counts: &mut ReplayCounts,
    ) -> Result<Option<Recorded>, csv::Error> {
        while self.reader.read_byte_record(&mut self.record)? {
            counts.rows += 1;
            match self.row(counts) {
                Ok(row) => return Ok(Some(row)),
                Err(why) => counts.skip(why),
            }
        }
        Ok(None)
    }

    fn row(&mut self, counts: &mut ReplayCounts) -> Result<Recorded, Skip> {
        let Table {
            mapping,
            clock,
            columns,
            record,
            ..
        } = self;
        if record.len() < columns.width {
            return Err(Skip::ShortRow);
        }
        if record
            .iter()
            .skip(columns.width)
            .any(|cell| !cell.trim_ascii().is_empty())
        {
            return Err(Skip::LongRow);
        }
        let cell = |at: usize| text_of(record.get(at).unwrap_or_default());

        let texts: Vec<_> = columns.time.iter().map(|at| cell(*at)).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let time = clock.read(&texts).ok_or(Skip::BadTime)?;

        let entity = match (&mapping.entity, columns.entity) {
            (Text::Constant(entity), _) => entity.clone(),
            (
                Text::Column {
                    prefix,
                    suffix,
                    missing,
                    ..
                },
                at,
            ) => {
                let text = cell(at.ok_or(Skip::NoEntity)?);
                if text.is_empty() || missing.iter().any(|missing| *missing == text) {
                    return Err(Skip::NoEntity);
                }
                format!("{prefix}{text}{suffix}")
            }
        };
        if entity.len() > mapping.entity_max_length || !mapping.entity_pattern.is_match(&entity) {
            return Err(Skip::BadEntity);
        }

        let mut body = mapping.opening.clone();
        body.reserve(256);
        push(
            &mut body,
            &mapping.time_field,
            &quoted(&contract::format_millis(time)),
        );
        push(&mut body, &mapping.entity_field, &quoted(&entity));
        for ((name, field), at) in mapping.fields.iter().zip(&columns.fields) {
            match field {
                Field::Constant(json) => push(&mut body, name, json),
                Field::Column { prefix, reader, .. } => {
                    let text = cell(at.ok_or(Skip::BadField)?);
                    let value = reader.read(&text).map_err(|_| Skip::BadField)?;
                    match value.as_str() {
                        Some(text) => push(&mut body, name, &quoted(&format!("{prefix}{text}"))),
                        None => push(&mut body, name, &value.to_string()),
                    }
                }
            }
        }
        body.push_str(&quoted(&mapping.signals_field));
        body.push_str(":{");
        let bare = body.len();
        for (signal, at) in mapping.signals.iter().zip(&columns.signals) {
            let value = at.map_or(Err(NoValue::Missing), |at| signal.reader.read(&cell(at)));
            match value {
                Ok(value) => push(&mut body, &signal.name, &value.to_string()),
                Err(why) => counts.no_value(&signal.name, why),
            }
        }
        if body.len() == bare {
            return Err(Skip::NoSignals);
        }
        body.pop();
        body.push_str("}}");
        counts.events += 1;
        Ok(Recorded {
            body,
            time: Some(time),
        })
    }
}

impl Columns {
    fn find(
        mapping: &Mapping,
        headers: &[String],
        counts: &mut ReplayCounts,
    ) -> Result<Columns, String> {
        let needed = |column: &Column| match column.find(headers) {
            Ok(Some(at)) => Ok(at),
            Ok(None) => Err(format!(
                "it has no {column}; it has `{}`",
                headers.join("`, `")
            )),
            Err(error) => Err(error),
        };
        let entity = match &mapping.entity {
            Text::Constant(_) => None,
            Text::Column { column, .. } => Some(needed(column)?),
        };
        let mut fields = Vec::new();
        for (_, field) in &mapping.fields {
            fields.push(match field {
                Field::Constant(_) => None,
                Field::Column { column, .. } => Some(needed(column)?),
            });
        }
        let mut signals = Vec::new();
        for signal in &mapping.signals {
            let at = signal.column.find(headers)?;
            if at.is_none() {
                *counts
                    .absent_columns
                    .entry(signal.name.clone())
                    .or_default() += 1;
            }
            signals.push(at);
        }
        if signals.iter().all(Option::is_none) {
            return Err(format!(
                "it has no column of any mapped signal; it has `{}`",
                headers.join("`, `")
            ));
        }
        let time = mapping
            .time_columns
            .iter()
            .map(needed)
            .collect::<Result<_, _>>()?;
        Ok(Columns {
            width: headers.len(),
            entity,
            time,
            fields,
            signals,
        })
    }
}

/// Appends `"name":json,`; names are plain by the contract's rule.
fn push(body: &mut String, name: &str, json: &str) {
    for part in ["\"", name, "\":", json, ","] {
        body.push_str(part);
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
