//! The columns of a long kind: it has none of signals, for the signal of a row is its name and value, which are
//! contract fields.

use std::collections::HashMap;

use arrow::datatypes::{Field, Schema};
use contract::{Kind, SignalsAt};

use crate::rows::column_type::ColumnType;

/// Key of the Arrow field metadata of the two columns that hold a row's signal in a long kind: its value is
/// [`LONG_NAME`] or [`LONG_VALUE`].
const LONG: &str = "long";
const LONG_NAME: &str = "name";
const LONG_VALUE: &str = "value";

/// The columns of rows that hold one signal each, of a [long](Kind::is_long) kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongColumns {
    /// Place of the column of the signal's name.
    pub name: usize,
    /// Place of the column of its value.
    pub value: usize,
}

impl LongColumns {
    /// The columns in this schema; `None` where the kind is not long.
    pub fn of(schema: &Schema) -> Option<LongColumns> {
        let place = |role: &str| {
            let fields = schema.fields().iter();
            let mut roles = fields.map(|field| field.metadata().get(LONG).map(String::as_str));
            roles.position(|found| found == Some(role))
        };
        Some(LongColumns {
            name: place(LONG_NAME)?,
            value: place(LONG_VALUE)?,
        })
    }
}

/// The column of the contract field at this place in [`Kind::fields`].
pub(crate) fn contract_field(kind: &Kind, at: usize) -> Field {
    let rule = &kind.fields[at];
    let field = Field::new(&rule.name, ColumnType::of_field(rule.scalar).arrow(), true);
    let role = match kind.signals_at {
        SignalsAt::Fields { name, .. } if name == at => LONG_NAME,
        SignalsAt::Fields { value, .. } if value == at => LONG_VALUE,
        _ => return field,
    };
    field.with_metadata(HashMap::from([(LONG.to_owned(), role.to_owned())]))
}
