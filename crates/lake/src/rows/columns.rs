//! Which column of `curated/` holds which signal.
//!
//! A column has one type in all files, or Spark and Athena cannot read the folder. A declared signal has its declared
//! type. For any other signal `_schema/<kind>.json` keeps the type seen first; values of another type go to a column
//! of their own, `<signal>__<type>`. An undeclared signal whose name ends like such a column (`x__text`) always gets
//! its type appended, so that no two signals share a column. Engines ignore case in names: spellings that differ in
//! case alone share a column. A kind has columns for so many undeclared signals as it allows, over its whole life;
//! values of later ones go to the text column [`MORE`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use contract::Kind;
use serde::{Deserialize, Serialize};

use crate::rows::column_type::ColumnType;
use crate::rows::long_columns::contract_field;
use crate::rows::more::MORE;

/// Key of the Arrow field metadata that names the signal whose values the column holds.
const SIGNAL: &str = "signal";

/// Key of the Arrow field metadata of a column of a derived signal.
const DERIVED: &str = "derived";

/// The signal whose values the column holds; none for the columns of ids, times and contract fields.
pub fn signal_of(field: &Field) -> Option<&str> {
    field.metadata().get(SIGNAL).map(String::as_str)
}

/// Whether the column holds a derived signal, which is no part of what events say.
pub fn is_derived(field: &Field) -> bool {
    field.metadata().contains_key(DERIVED)
}

/// Name and type of each signal that has a column in these rows.
pub fn signals_in(rows: &RecordBatch) -> impl Iterator<Item = (&str, ColumnType)> {
    let fields = rows.schema_ref().fields().iter();
    fields.filter_map(|field| Some((signal_of(field)?, ColumnType::of_arrow(field.data_type())?)))
}

/// Types of one kind's undeclared signals; serialises as the object [`schema_key`](crate::key::schema_key). The type
/// of an entry never changes, so writers that add entries at the same time agree, also after a name was taken out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SignalTypes {
    signals: BTreeMap<String, Column>,
}

/// The column `<signal>` without a suffix; found by the signal's name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    name: String,
    r#type: ColumnType,
    /// Whether the name was taken out: its values go to [`MORE`] until the name is added again, with the same type.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dropped: bool,
}

impl SignalTypes {
    /// Adds signals that are neither declared nor here yet, as far as the kind's `max_undeclared` allows; false if
    /// nothing changes.
    pub fn add<'s>(
        &mut self,
        kind: &Kind,
        signals: impl IntoIterator<Item = (&'s str, ColumnType)>,
    ) -> bool {
        let (mut left, declared) = (self.room(kind), declared(kind));
        let mut changed = false;
        for (name, r#type) in signals {
            let lower = name.to_ascii_lowercase();
            if left == 0 || declared.contains_key(&lower) || lower == MORE {
                continue;
            }
            let new = Column {
                name: name.to_owned(),
                r#type,
                dropped: true,
            };
            let column = self.signals.entry(lower).or_insert(new);
            if column.dropped {
                column.dropped = false;
                (left, changed) = (left - 1, true);
            }
        }
        changed
    }

    /// How many more names may be added.
    pub fn room(&self, kind: &Kind) -> usize {
        kind.max_undeclared.saturating_sub(self.names().count())
    }

    /// Names that have a column, and its type, in byte order of the names in lower case.
    pub fn names(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        let columns = self.signals.values().filter(|column| !column.dropped);
        columns.map(|column| (column.name.as_str(), column.r#type))
    }

    /// Takes a name out, whatever its case, so that another one may be added; false if it is not here. Columns that
    /// parts have stay there, and the name keeps its type should it come back.
    pub fn drop_name(&mut self, name: &str) -> bool {
        let column = self.signals.get_mut(&name.to_ascii_lowercase());
        column.is_some_and(|column| !std::mem::replace(&mut column.dropped, true))
    }

    fn get(&self, lower: &str) -> Option<&Column> {
        self.signals.get(lower).filter(|column| !column.dropped)
    }
}

/// Which signals of a kind may get columns while rows are gathered, before the types of new ones are stored. It bounds
/// the memory that senders can make an hour take: a column has a slot for each row.
#[derive(Debug)]
pub struct Admission {
    /// Names in lower case; none until the kind's stored types are known.
    names: OnceLock<HashSet<String>>,
    most_new: usize,
}

impl Admission {
    /// The admission of a kind whose stored types are not known yet: [`know`](Self::know) must be called before rows
    /// can come. Those of a long kind are known to be none.
    pub fn unknown(kind: &Kind) -> Admission {
        let admission = Admission {
            names: OnceLock::new(),
            most_new: kind.max_undeclared,
        };
        if kind.is_long() {
            admission.know(kind, None);
        }
        admission
    }

    /// Admits declared signals, those in `types`, and as many others as a kind may have. What is known already stays.
    pub fn know(&self, kind: &Kind, types: Option<&SignalTypes>) {
        let stored = types.into_iter().flat_map(SignalTypes::names);
        let stored = stored.map(|(name, _)| name.to_ascii_lowercase());
        let names = || declared(kind).into_keys().chain(stored).collect();
        self.names.get_or_init(names);
    }

    /// Whether the kind's stored types are known.
    pub fn is_known(&self) -> bool {
        self.names.get().is_some()
    }

    /// Whether the signal has a column already.
    pub fn has(&self, name: &str) -> bool {
        let names = self.names.get();
        names.is_some_and(|names| names.contains(&name.to_ascii_lowercase()))
    }

    /// Most signals beside those that may get a column.
    pub fn most_new(&self) -> usize {
        self.most_new
    }
}

/// Columns of the kind's declared signals, by name in lower case; none of a long kind.
fn declared(kind: &Kind) -> BTreeMap<String, Column> {
    if kind.is_long() {
        return BTreeMap::new();
    }
    let column = |rule: &contract::FieldRule| {
        let (name, r#type) = (rule.name.clone(), ColumnType::of_signal(rule.scalar));
        let lower = name.to_ascii_lowercase();
        let dropped = false;
        (
            lower,
            Column {
                name,
                r#type,
                dropped,
            },
        )
    };
    kind.signals().map(column).collect()
}

/// The columns of one kind's signals.
#[derive(Debug)]
pub struct Columns {
    declared: BTreeMap<String, Column>,
    /// Names in lower case of derived signals, which are declared too.
    derived: HashSet<String>,
    types: SignalTypes,
}

impl Columns {
    /// The columns of the declared signals and of those in `types`.
    pub fn new(kind: &Kind, types: SignalTypes) -> Columns {
        let derived = kind.derived.iter();
        Columns {
            declared: declared(kind),
            derived: derived
                .map(|signal| signal.rule.name.to_ascii_lowercase())
                .collect(),
            types,
        }
    }

    /// Number of undeclared names that have a column.
    pub fn undeclared(&self) -> usize {
        self.types.names().count()
    }

    /// The column for values of that type; none for a signal that is neither declared nor in the types: its values
    /// belong into [`MORE`].
    pub fn field(&self, signal: &str, r#type: ColumnType) -> Option<Arc<Field>> {
        let lower = signal.to_ascii_lowercase();
        let declared = self.declared.get(&lower);
        let plain = declared.or_else(|| self.types.get(&lower))?;
        let mut name = plain.name.clone();
        if plain.r#type != r#type || declared.is_none() && ends_in_a_type(&lower) {
            name = format!("{name}__{}", r#type.suffix());
            while self.declared.contains_key(&name.to_ascii_lowercase()) {
                name = format!("{name}__{}", r#type.suffix());
            }
        }
        let mut metadata = HashMap::from([(SIGNAL.to_owned(), plain.name.clone())]);
        if self.derived.contains(&lower) {
            metadata.insert(DERIVED.to_owned(), "true".to_owned());
        }
        Some(Arc::new(
            Field::new(name, r#type.arrow(), true).with_metadata(metadata),
        ))
    }

    /// The columns that parts of the kind have, whatever their events: those of every event, contract fields, declared
    /// signals and those in the types, each with the type that was met first, and [`MORE`](crate::rows::MORE).
    pub fn schema(&self, kind: &Kind) -> Schema {
        let mut fields = built_in();
        for at in 0..kind.fields.len() {
            fields.push(Arc::new(contract_field(kind, at)));
        }
        let declared = self
            .declared
            .values()
            .map(|column| (column.name.as_str(), column.r#type));
        let signals = declared.chain(self.types.names());
        let mut signals: Vec<_> = signals
            .filter_map(|(name, r#type)| self.field(name, r#type))
            .collect();
        signals.sort_by(|a, b| a.name().cmp(b.name()));
        fields.extend(signals);
        fields.push(Arc::new(Field::new(MORE, DataType::Utf8, true)));
        Schema::new(fields)
    }

    /// The rows with the names that these columns have, for rows that were made with other types of undeclared
    /// signals. The column of a signal that has none here keeps its name.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub fn rename(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let fields = rows.schema_ref().fields().iter().map(|field| {
            let r#type = ColumnType::of_arrow(field.data_type());
            let renamed = signal_of(field).and_then(|signal| self.field(signal, r#type?));
            renamed.unwrap_or_else(|| field.clone())
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), rows.columns().to_vec())
    }
}

/// The columns that come first in every part: what each event has, whatever its kind.
pub(crate) fn built_in() -> Vec<Arc<Field>> {
    let at = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let fields = [
        Field::new("event_id", DataType::Utf8, false),
        Field::new("entity_id", DataType::Utf8, false),
        Field::new("event_time", at(TimeUnit::Microsecond), false),
        Field::new("ingest_received_at", at(TimeUnit::Millisecond), false),
        Field::new("sender", DataType::Utf8, true),
    ];
    fields.map(Arc::new).to_vec()
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
                    dropped: false,
                },
            )
        };
        let types = SignalTypes {
            signals: undeclared.iter().map(column).collect(),
        };
        let declared = declared.iter().map(column).collect();
        Columns {
            declared,
            derived: HashSet::new(),
            types,
        }
    }

    #[test]
    fn a_kind_has_so_many_undeclared_names_and_one_that_is_dropped_makes_room() {
        let kinds = contract::Kinds::builtin();
        let mut kind = kinds.get("vehicle").unwrap().clone();
        kind.max_undeclared = 2;
        let mut types = SignalTypes::default();
        let names = ["engine_rpm", "_more", "a", "A", "b", "c"];
        assert!(types.add(&kind, names.map(|name| (name, ColumnType::Number))));
        let names: Vec<_> = types.names().collect();
        assert_eq!(
            names,
            [("a", ColumnType::Number), ("b", ColumnType::Number)]
        );
        assert!(!types.add(&kind, [("c", ColumnType::Text)]));
        assert!(types.drop_name("A") && !types.drop_name("a") && !types.drop_name("x"));
        assert!(types.add(&kind, [("c", ColumnType::Text)]));
        assert!(!types.add(&kind, [("a", ColumnType::Text)]));
        assert!(types.drop_name("b") && types.add(&kind, [("a", ColumnType::Text)]));
        let stored = serde_json::to_string(&types).unwrap();
        let types: SignalTypes = serde_json::from_str(&stored).unwrap();
        let columns = Columns::new(&kind, types);
        let of = |signal: &str| columns.field(signal, ColumnType::Text);
        assert_eq!(of("a").unwrap().name(), "a__text", "the type of a stays");
        assert_eq!(of("c").unwrap().name(), "c");
        assert!(of("b").is_none() && of("_more").is_none());
    }

    #[test]
    fn rows_that_were_made_before_a_type_was_stored_get_the_names_of_the_stored_one() {
        use ColumnType::{Number, Text};
        let before = columns(&[("x", Number)], &[("declared", Number)]);
        let fields = [before.field("X", Number), before.field("declared", Number)];
        let fields = fields.map(Option::unwrap).to_vec();
        let values: arrow::array::ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.5]));
        let schema = Arc::new(Schema::new(fields));
        let rows = RecordBatch::try_new(schema, vec![values.clone(), values]).unwrap();
        let stored = columns(&[("X", Text)], &[("declared", Number)]);
        let renamed = stored.rename(&rows).unwrap();
        let names: Vec<_> = renamed.schema_ref().fields().iter().collect();
        assert_eq!(names[0].name(), "X__number");
        assert_eq!(names[1].name(), "declared");
        assert_eq!(renamed.columns(), rows.columns());
        let signals: Vec<_> = signals_in(&renamed).collect();
        assert_eq!(signals, [("X", Number), ("declared", Number)]);
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
        let of = |signal: &str, r#type| columns.field(signal, r#type).unwrap().name().clone();
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
