//! What the columns of the SQL's result are in an event.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use contract::{Kind, SignalsAt};

use super::values::{Form, Values};

/// Columns that say where a row is from; they are no part of the event unless the kind has a field of that name.
const ORIGIN: [&str; 3] = ["row", "file", "path"];

/// The column that says why a row is to be no event.
const SKIPPED: &str = "skipped";

/// The column with ids of the mapping's own making.
const EVENT_ID: &str = "event_id";

/// The columns of one file's result.
#[derive(Debug)]
pub(crate) struct Columns {
    /// What stands in an event before each value: `"vehicle_id":`.
    fields: Vec<Column>,
    /// As `fields`, of the signals.
    signals: Vec<Column>,
    /// `"payload":{`; `None` of a long kind, whose signal is among the fields.
    signals_start: Option<String>,
    row: Option<usize>,
    skipped: Option<usize>,
    event_id: Option<usize>,
}

#[derive(Debug)]
struct Column {
    place: usize,
    name: String,
    key: String,
    form: Form,
}

impl Columns {
    /// Sorts the columns of a result into those that the kind declares as fields, and signals.
    ///
    /// Fails, in words for the user, if the entity, the time or all signals are missing, or a type is none of JSON.
    pub(crate) fn new(schema: &Schema, kind: &Kind) -> Result<Columns, String> {
        let signals_start = match &kind.signals_at {
            SignalsAt::Object(field) => Some(format!("{}:{{", quoted(field))),
            SignalsAt::Fields { .. } => None,
        };
        let mut columns = Columns {
            fields: Vec::new(),
            signals: Vec::new(),
            signals_start,
            row: None,
            skipped: None,
            event_id: None,
        };
        for (place, field) in schema.fields().iter().enumerate() {
            let name = field.name().as_str();
            let is_declared = name == kind.entity.field
                || name == kind.time.field
                || kind.fields.iter().any(|rule| rule.name == name);
            let form = Form::of(
                field.data_type(),
                (name == kind.time.field).then_some(kind.time.format),
            );
            match name {
                "row" => columns.row = Some(place),
                SKIPPED if !is_declared => columns.skipped = Some(place),
                EVENT_ID => columns.event_id = Some(place),
                _ => {}
            }
            if (ORIGIN.contains(&name) || name == SKIPPED) && !is_declared {
                continue;
            }
            let form = form.ok_or_else(|| {
                format!(
                    "column `{name}` of the SQL is {}, which no event can hold: CAST it",
                    field.data_type()
                )
            })?;
            let column = Column {
                place,
                name: name.to_owned(),
                key: format!("{}:", quoted(name)),
                form,
            };
            if is_declared || name == EVENT_ID {
                columns.fields.push(column);
            } else {
                columns.signals.push(column);
            }
        }
        columns.check(schema, kind)?;
        Ok(columns)
    }

    fn check(&self, schema: &Schema, kind: &Kind) -> Result<(), String> {
        let required = kind
            .fields
            .iter()
            .filter(|rule| rule.required)
            .map(|rule| &rule.name);
        for wanted in [&kind.entity.field, &kind.time.field]
            .into_iter()
            .chain(required)
        {
            if !self.fields.iter().any(|column| column.name == *wanted) {
                return Err(format!(
                    "the SQL gives no column `{wanted}`, which every event of kind `{}` has",
                    kind.name
                ));
            }
        }
        let name = &kind.name;
        match (kind.is_long(), self.signals.first()) {
            (false, None) => {
                return Err(format!(
                    "the SQL gives no signal: each column that is no field of kind `{name}` is one"
                ));
            }
            (true, Some(column)) => {
                return Err(format!(
                    "column `{}` of the SQL is no field of kind `{name}`, which has one signal an event",
                    column.name
                ));
            }
            // Its content makes no id, so an event that is sent again would be another one.
            (true, None) if self.event_id.is_none() => {
                return Err(format!(
                    "the SQL gives no column `{EVENT_ID}`: without ids, events of kind `{name}` that are sent again \
                     count again"
                ));
            }
            _ => {}
        }
        let type_of = |place: usize| schema.field(place).data_type();
        if let Some(row) = self.row.filter(|place| !type_of(*place).is_integer()) {
            return Err(format!(
                "column `row` of the SQL is {}, and must be an integer",
                type_of(row)
            ));
        }
        for (name, place) in [(SKIPPED, self.skipped), (EVENT_ID, self.event_id)] {
            if let Some(place) = place.filter(
                |place| !matches!(type_of(*place), text if text.is_string() || text.is_null()),
            ) {
                return Err(format!(
                    "column `{name}` of the SQL is {}, and must be text",
                    type_of(place)
                ));
            }
        }
        Ok(())
    }

    /// The values of a batch, ready to be written row by row.
    pub(crate) fn read<'c>(&'c self, batch: &RecordBatch) -> Result<Rows<'c>, ArrowError> {
        let values = |columns: &'c [Column]| {
            let pairs = columns
                .iter()
                .map(|column| Ok((column, column.form.values(batch.column(column.place))?)));
            pairs.collect::<Result<Vec<_>, ArrowError>>()
        };
        let text = |place: Option<usize>| {
            place
                .map(|place| Form::Text.values(batch.column(place)))
                .transpose()
        };
        let row = self
            .row
            .map(|place| arrow::compute::cast(batch.column(place), &DataType::Int64))
            .transpose()?;
        Ok(Rows {
            fields: values(&self.fields)?,
            signals: values(&self.signals)?,
            signals_start: self.signals_start.as_deref(),
            row: row.map(|row| row.as_primitive::<Int64Type>().clone()),
            skipped: text(self.skipped)?,
            event_id: text(self.event_id)?,
        })
    }
}

/// The rows of one batch.
pub(crate) struct Rows<'c> {
    fields: Vec<(&'c Column, Values)>,
    signals: Vec<(&'c Column, Values)>,
    signals_start: Option<&'c str>,
    row: Option<arrow::array::Int64Array>,
    skipped: Option<Values>,
    event_id: Option<Values>,
}

impl Rows<'_> {
    /// The number in the column `row`.
    pub(crate) fn row(&self, at: usize) -> Option<u64> {
        let rows = self.row.as_ref()?;
        if rows.is_null(at) {
            None
        } else {
            u64::try_from(rows.value(at)).ok()
        }
    }

    pub(crate) fn skipped(&self, at: usize) -> Option<&str> {
        self.skipped.as_ref()?.text(at)
    }

    pub(crate) fn event_id(&self, at: usize) -> Option<&str> {
        self.event_id.as_ref()?.text(at)
    }

    /// Writes the event as JSON on one line. Values that are NULL are left out.
    ///
    /// Fails with the name of a column whose number JSON cannot hold.
    pub(crate) fn write(&self, at: usize, out: &mut String) -> Result<(), &str> {
        out.push('{');
        members(&self.fields, at, out)?;
        if let Some(start) = self.signals_start {
            if !out.ends_with('{') {
                out.push(',');
            }
            out.push_str(start);
            members(&self.signals, at, out)?;
            out.push('}');
        }
        out.push('}');
        Ok(())
    }
}

fn members<'r>(
    columns: &'r [(&Column, Values)],
    at: usize,
    out: &mut String,
) -> Result<(), &'r str> {
    let mut is_first = true;
    for (column, values) in columns.iter().filter(|(_, values)| !values.is_null(at)) {
        if !std::mem::replace(&mut is_first, false) {
            out.push(',');
        }
        out.push_str(&column.key);
        if !values.write(at, out) {
            return Err(&column.name);
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}
