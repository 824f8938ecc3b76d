//! Which column of `curated/` holds which signal.
//!
//! A column has one type in all files, or Spark and Athena cannot read the folder. A declared signal has its declared
//! type. For any other signal `_schema/<kind>.json` keeps the type seen first; values of another type go to a column
//! of their own, `<signal>__<type>`. An undeclared signal whose name ends like such a column (`x__text`) always gets
//! its type appended, so that no two signals share a column. Engines ignore case in names: spellings that differ in
//! case alone share a column.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use contract::{Kind, Scalar, ScalarType};
use serde::{Deserialize, Serialize};

/// Key of the Arrow field metadata that names the signal whose values the column holds.
const SIGNAL: &str = "signal";

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Doubles.
    Number,
    /// Whole numbers of 64 bits; contract fields only.
    Integer,
    /// `true` and `false`.
    Boolean,
    /// Texts in UTF-8.
    Text,
}

impl ColumnType {
    /// The type for a contract field.
    pub(crate) fn of_field(scalar: ScalarType) -> ColumnType {
        match scalar {
            ScalarType::Number => ColumnType::Number,
            ScalarType::Integer => ColumnType::Integer,
            ScalarType::Boolean => ColumnType::Boolean,
            ScalarType::String => ColumnType::Text,
        }
    }

    /// The type for a declared signal. Integers are stored as doubles: a contract takes only those that a double holds
    /// exactly, and a declaration that later says `number` then changes no column.
    pub(crate) fn of_signal(scalar: ScalarType) -> ColumnType {
        match ColumnType::of_field(scalar) {
            ColumnType::Integer => ColumnType::Number,
            other => other,
        }
    }

    /// The type for this value of the signal: the declared one, or the value's own.
    pub(crate) fn of(kind: &Kind, signal: &str, value: &Scalar<'_>) -> ColumnType {
        match (kind.known.get(signal), value) {
            (Some(rule), _) => ColumnType::of_signal(rule.scalar),
            (None, Scalar::Number(_)) => ColumnType::Number,
            (None, Scalar::Bool(_)) => ColumnType::Boolean,
            (None, Scalar::Text(_)) => ColumnType::Text,
        }
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            ColumnType::Number => DataType::Float64,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Text => DataType::Utf8,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            ColumnType::Number => "number",
            ColumnType::Integer => "integer",
            ColumnType::Boolean => "bool",
            ColumnType::Text => "text",
        }
    }
}

/// The signal whose values the column holds; none for the columns of ids, times and contract fields.
pub fn signal_of(field: &Field) -> Option<&str> {
    field.metadata().get(SIGNAL).map(String::as_str)
}

/// Types of one kind's undeclared signals; serialises as the object [`schema_key`](crate::key::schema_key). An entry
/// never changes once it is there, so writers that add entries at the same time agree.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SignalTypes {
    signals: BTreeMap<String, Column>,
}

/// The column `<signal>` without a suffix; found by the signal's name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    name: String,
    r#type: ColumnType,
}

impl SignalTypes {
    /// Adds the types of signals that are neither declared nor here yet; false if there are none.
    pub fn add(&mut self, kind: &Kind, signals: &[(String, ColumnType)]) -> bool {
        let before = self.signals.len();
        let declared = declared(kind);
        for (name, r#type) in signals.iter().cloned() {
            let lower = name.to_ascii_lowercase();
            if !declared.contains_key(&lower) {
                let column = Column { name, r#type };
                self.signals.entry(lower).or_insert(column);
            }
        }
        self.signals.len() > before
    }
}

/// Columns of the kind's declared signals, by name in lower case.
fn declared(kind: &Kind) -> BTreeMap<String, Column> {
    let column = |rule: &contract::FieldRule| {
        let (name, r#type) = (rule.name.clone(), ColumnType::of_signal(rule.scalar));
        (name.to_ascii_lowercase(), Column { name, r#type })
    };
    kind.known.values().map(column).collect()
}

/// The columns of one kind's signals.
#[derive(Debug)]
pub struct Columns {
    declared: BTreeMap<String, Column>,
    types: SignalTypes,
}

impl Columns {
    /// The columns of the declared signals and of those in `types`.
    pub fn new(kind: &Kind, types: SignalTypes) -> Columns {
        let declared = declared(kind);
        Columns { declared, types }
    }

    /// The column for values of that type. A signal that is neither declared nor in the types counts as seen first.
    pub fn field(&self, signal: &str, r#type: ColumnType) -> Arc<Field> {
        let lower = signal.to_ascii_lowercase();
        let declared = self.declared.get(&lower);
        let plain = declared.or_else(|| self.types.signals.get(&lower));
        let signal = plain.map_or(signal, |column| column.name.as_str());
        let is_plain = plain.is_none_or(|column| column.r#type == r#type);
        let mut name = signal.to_owned();
        if !is_plain || declared.is_none() && ends_in_a_type(&lower) {
            name = format!("{signal}__{}", r#type.suffix());
            while self.declared.contains_key(&name.to_ascii_lowercase()) {
                name = format!("{name}__{}", r#type.suffix());
            }
        }
        let metadata = HashMap::from([(SIGNAL.to_owned(), signal.to_owned())]);
        Arc::new(Field::new(name, r#type.arrow(), true).with_metadata(metadata))
    }
}

/// Whether a name in lower case could be the column of a signal's second type.
fn ends_in_a_type(name: &str) -> bool {
    ["__number", "__integer", "__bool", "__text"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(undeclared: &[(&str, ColumnType)], declared: &[(&str, ColumnType)]) -> Columns {
        let column = |(name, r#type): &(&str, ColumnType)| {
            let name = (*name).to_owned();
            (
                name.to_ascii_lowercase(),
                Column {
                    name,
                    r#type: *r#type,
                },
            )
        };
        let types = SignalTypes {
            signals: undeclared.iter().map(column).collect(),
        };
        let declared = declared.iter().map(column).collect();
        Columns { declared, types }
    }

    #[test]
    fn no_two_signals_share_a_column() {
        use ColumnType::{Boolean, Number, Text};
        let columns = columns(
            &[
                ("x", Number),
                ("X__Text", Number),
                ("x__text__number", Text),
                ("y", Number),
            ],
            &[("y__text", Number), ("z", Boolean)],
        );
        let of = |signal: &str, r#type| columns.field(signal, r#type).name().clone();
        let names = [
            of("x", Number),
            of("x", Text),
            of("x__text", Number),
            of("x__text", Text),
            of("x__text__number", Text),
            of("y", Number),
            of("y", Text),
            of("y__text", Number),
            of("z", Boolean),
        ];
        assert_eq!(
            names,
            [
                "x",
                "x__text",
                "X__Text__number",
                "X__Text__text",
                "x__text__number__text",
                "y",
                "y__text__text",
                "y__text",
                "z",
            ]
        );
    }
}
