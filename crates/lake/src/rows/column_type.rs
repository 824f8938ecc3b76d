//! The types of columns, and which of them a value has.

use arrow::datatypes::DataType;
use contract::{Kind, Scalar, ScalarType};
use serde::{Deserialize, Serialize};

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
            ScalarType::String | ScalarType::Labels => ColumnType::Text,
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
        match (kind.signal(signal), value) {
            (Some(rule), _) => ColumnType::of_signal(rule.scalar),
            (None, Scalar::Number(_)) => ColumnType::Number,
            (None, Scalar::Bool(_)) => ColumnType::Boolean,
            (None, Scalar::Text(_)) => ColumnType::Text,
        }
    }

    /// Whether a column of this type can hold this sort of value.
    pub(crate) fn takes(self, value: &Scalar<'_>) -> bool {
        matches!(
            (self, value),
            (ColumnType::Number | ColumnType::Integer, Scalar::Number(_))
                | (ColumnType::Boolean, Scalar::Bool(_))
                | (ColumnType::Text, Scalar::Text(_))
        )
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            ColumnType::Number => DataType::Float64,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Text => DataType::Utf8,
        }
    }

    pub(super) fn of_arrow(r#type: &DataType) -> Option<ColumnType> {
        Some(match r#type {
            DataType::Float64 => ColumnType::Number,
            DataType::Int64 => ColumnType::Integer,
            DataType::Boolean => ColumnType::Boolean,
            DataType::Utf8 => ColumnType::Text,
            _ => return None,
        })
    }

    pub(super) fn suffix(self) -> &'static str {
        match self {
            ColumnType::Number => "number",
            ColumnType::Integer => "integer",
            ColumnType::Boolean => "bool",
            ColumnType::Text => "text",
        }
    }
}
