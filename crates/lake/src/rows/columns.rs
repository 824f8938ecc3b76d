//! Which column of `curated/` holds which signal.
//!
//! A column's type must be the same in every file, or Spark and Athena cannot read the folder.
//! Declared signals have the declared type. Of any other signal the type seen first is kept in
//! `_schema/<kind>.json`, and values of another type go to a column of their own,
//! `<signal>__<type>`. An undeclared signal whose own name ends so always has its type put behind it,
//! so that no two signals share a column. Engines ignore case in names, so spellings that differ in case alone share
//! a column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use aws::{CallError, Condition, Lake, Outcome};
use contract::{Kind, Scalar, ScalarType};
use serde::{Deserialize, Serialize};

/// Prefix of the objects that keep the types of undeclared signals.
const SCHEMA: &str = "_schema/";

/// Name of the Arrow field metadata that marks a signal's column and names the signal.
pub const SIGNAL: &str = "signal";

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    Number,
    Integer,
    Boolean,
    Text,
}

impl ColumnType {
    /// The type of a declared field's column.
    pub fn declared(scalar: ScalarType) -> ColumnType {
        match scalar {
            ScalarType::Number => ColumnType::Number,
            ScalarType::Integer => ColumnType::Integer,
            ScalarType::Boolean => ColumnType::Boolean,
            ScalarType::String => ColumnType::Text,
        }
    }

    /// The type of a declared signal's column. Whole numbers are doubles: all that a contract takes
    /// are exact in one, and a declaration that later says `number` changes no column.
    pub fn signal(scalar: ScalarType) -> ColumnType {
        match ColumnType::declared(scalar) {
            ColumnType::Integer => ColumnType::Number,
            other => other,
        }
    }

    /// The type of the signal's value: as declared, or else as it comes.
    pub fn of(kind: &Kind, signal: &str, value: &Scalar<'_>) -> ColumnType {
        match (kind.known.get(signal), value) {
            (Some(rule), _) => ColumnType::signal(rule.scalar),
            (None, Scalar::Number(_)) => ColumnType::Number,
            (None, Scalar::Bool(_)) => ColumnType::Boolean,
            (None, Scalar::Text(_)) => ColumnType::Text,
        }
    }

    pub fn arrow(self) -> DataType {
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

/// The columns of one kind's signals.
#[derive(Debug, Default)]
pub struct Columns {
    /// By the signal's name in lower case.
    plain: BTreeMap<String, Column>,
    /// Which of them are declared.
    declared: BTreeSet<String>,
}

/// The plain column of a signal, by the signal's name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    name: String,
    r#type: ColumnType,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    signals: BTreeMap<String, Column>,
}

impl Columns {
    /// The column for the signal's values of that type; the signal must be known to the columns.
    pub fn field(&self, signal: &str, r#type: ColumnType) -> Arc<Field> {
        let lower = signal.to_ascii_lowercase();
        let plain = self.plain.get(&lower);
        let signal = plain.map_or(signal, |column| column.name.as_str());
        let is_plain = plain.is_none_or(|column| column.r#type == r#type);
        let declared = |name: &String| self.declared.contains(&name.to_ascii_lowercase());
        let mut name = signal.to_owned();
        // Two signals must not share a column: `x` with texts, and one that is called `x__text`.
        if !is_plain || (!self.declared.contains(&lower) && ends_in_a_type(&lower)) {
            name = format!("{signal}__{}", r#type.suffix());
            while declared(&name) {
                name = format!("{name}__{}", r#type.suffix());
            }
        }
        let metadata = HashMap::from([(SIGNAL.to_owned(), signal.to_owned())]);
        Arc::new(Field::new(name, r#type.arrow(), true).with_metadata(metadata))
    }

    /// The columns of the kind, once every one of `signals` has its place among them.
    ///
    /// What is kept never changes, so that two runs that do this at once agree.
    pub async fn with(
        lake: &Lake,
        kind: &Kind,
        signals: &[(String, ColumnType)],
    ) -> Result<Columns, CallError> {
        let key = format!("{SCHEMA}{}.json", kind.name);
        loop {
            let object = lake.get(&key).await?;
            let (mut kept, condition) = match &object {
                // An object that is not ours to read is replaced: the types then follow the data.
                Some(object) => (
                    serde_json::from_slice(&object.body).unwrap_or_default(),
                    Condition::IfMatch(object.etag.clone()),
                ),
                None => (Kept::default(), Condition::IfAbsent),
            };
            let declared: BTreeMap<String, Column> = kind
                .known
                .values()
                .map(|rule| {
                    let column = Column {
                        name: rule.name.clone(),
                        r#type: ColumnType::signal(rule.scalar),
                    };
                    (rule.name.to_ascii_lowercase(), column)
                })
                .collect();
            let mut grown = false;
            for (signal, r#type) in signals {
                let lower = signal.to_ascii_lowercase();
                if !declared.contains_key(&lower) && !kept.signals.contains_key(&lower) {
                    kept.signals.insert(
                        lower,
                        Column {
                            name: signal.clone(),
                            r#type: *r#type,
                        },
                    );
                    grown = true;
                }
            }
            if grown {
                let text =
                    serde_json::to_vec_pretty(&kept).expect("names and types always serialise");
                let put = lake
                    .put(
                        &key,
                        text.into(),
                        "application/json",
                        HashMap::new(),
                        condition,
                    )
                    .await?;
                if put == Outcome::ConditionFailed {
                    continue;
                }
            }
            let mut columns = kept.signals;
            let names = declared.keys().cloned().collect();
            columns.extend(declared);
            return Ok(Columns {
                plain: columns,
                declared: names,
            });
        }
    }
}

/// Whether a name in lower case ends as the columns of a second type do.
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
        Columns {
            plain: undeclared.iter().chain(declared).map(column).collect(),
            declared: declared.iter().map(|one| column(one).0).collect(),
        }
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
