//! The functions that PostgreSQL clients call and DataFusion has not.
//!
//! [`super::rewrite`] takes `pg_catalog.` off their names. What only describes objects that do not exist here (indexes,
//! constraints, triggers) answers NULL.

use std::sync::{Arc, LazyLock, PoisonError};

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Offset, TimeZone, Utc};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::session::Session;
use super::udf::{back, constant, function, of_texts, rows_of, text_constant, texts};
use super::{DATABASE, SCHEMA, relations, types};

/// Functions that describe what does not exist here: NULL, as text.
const NULL_TEXTS: &[&str] = &[
    "pg_get_expr",
    "obj_description",
    "col_description",
    "shobj_description",
    "pg_get_constraintdef",
    "pg_get_indexdef",
    "pg_get_viewdef",
    "pg_get_ruledef",
    "pg_get_triggerdef",
    "pg_get_functiondef",
    "pg_get_function_result",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_statisticsobjdef_columns",
    "pg_get_partkeydef",
    "pg_get_serial_sequence",
    "pg_tablespace_location",
    "json_build_object",
    "inet_client_addr",
    "inet_server_addr",
];

/// Functions that say yes: everything is visible and may be read.
const TRUES: &[&str] = &[
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_collation_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "has_column_privilege",
    "has_any_column_privilege",
];

const FALSES: &[&str] = &[
    "pg_is_in_recovery",
    "pg_relation_is_publishable",
    "has_function_privilege",
    "pg_has_role",
];

const NULL_SIZES: &[&str] = &[
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
];

/// Those that are the same for every session.
static SHARED: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let mut all = vec![
        text_constant("version", &super::version()),
        text_constant("current_database", DATABASE),
        text_constant("current_catalog", DATABASE),
        text_constant("current_schema", SCHEMA),
        text_constant("pg_encoding_to_char", "UTF8"),
        constant("pg_my_temp_schema", ScalarValue::UInt32(Some(0))),
        constant("txid_current", ScalarValue::Int64(Some(1))),
        constant("inet_server_port", ScalarValue::Int32(None)),
        constant(
            "pg_postmaster_start_time",
            ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
        ),
        of_texts("quote_ident", |row| Ok(first(row).map(quote_ident))),
        of_texts("quote_literal", |row| {
            Ok(first(row).map(|text| format!("'{}'", text.replace('\'', "''"))))
        }),
        of_texts("pg_size_pretty", |row| {
            Ok(first(row).map(|bytes| format!("{bytes} bytes")))
        }),
        of_texts("format_type", |row| {
            Ok(first(row)
                .and_then(|oid| oid.parse().ok())
                .map(types::sql_name))
        }),
        of_texts("pg_like_escape", |row| match row {
            [Some(text), Some(pattern), Some(escape)] => {
                Ok(Some(like(text, pattern, escape).to_string()))
            }
            _ => Ok(None),
        }),
        array_bound("array_lower", |_| 1),
        array_bound("array_upper", |length| length),
        oid_of("to_regtype", types::by_name),
        oid_of("to_regclass", |name| {
            Some(relations::oid_of(last_name(name)))
        }),
        current_schemas(),
        parse_ident(),
        at_time_zone(),
    ];
    all.extend(
        NULL_TEXTS
            .iter()
            .map(|name| constant(name, ScalarValue::Utf8(None))),
    );
    all.extend(
        NULL_SIZES
            .iter()
            .map(|name| constant(name, ScalarValue::Int64(None))),
    );
    all.extend(
        TRUES
            .iter()
            .map(|name| constant(name, ScalarValue::Boolean(Some(true)))),
    );
    all.extend(
        FALSES
            .iter()
            .map(|name| constant(name, ScalarValue::Boolean(Some(false)))),
    );
    all
});

/// All functions, those of the session among them.
pub fn all(session: &Arc<Session>) -> Vec<ScalarUDF> {
    let mut all = SHARED.clone();
    for name in [
        "current_user",
        "session_user",
        "user",
        "current_role",
        "pg_get_userbyid",
    ] {
        all.push(text_constant(name, session.user()));
    }
    all.push(constant(
        "pg_backend_pid",
        ScalarValue::Int32(Some(session.process)),
    ));
    let named = Arc::clone(session);
    all.push(of_texts("pg_regclass_text", move |row| {
        let names = named.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |oid: &str| {
            oid.parse()
                .ok()
                .and_then(|oid: u32| names.get(&oid).cloned())
        };
        Ok(first(row).map(|oid| name(oid).unwrap_or_else(|| oid.to_owned())))
    }));
    let reader = Arc::clone(session);
    all.push(of_texts("current_setting", move |row| {
        let Some(name) = first(row) else {
            return Ok(None);
        };
        let missing_ok = row.get(1).is_some_and(|ok| *ok == Some("true"));
        match reader.setting(name) {
            Some(value) => Ok(Some(value)),
            None if missing_ok => Ok(None),
            None => exec_err!("unrecognized configuration parameter \"{name}\""),
        }
    }));
    let writer = Arc::clone(session);
    let set_config = of_texts("set_config", move |row| match row {
        [Some(name), Some(value), ..] => {
            if writer.set(name, value) {
                Ok(writer.setting(name))
            } else {
                exec_err!("unrecognized configuration parameter \"{name}\"")
            }
        }
        _ => Ok(None),
    });
    all.push(set_config);
    all
}

fn first<'a>(row: &[Option<&'a str>]) -> Option<&'a str> {
    row.first().copied().flatten()
}

/// As PostgreSQL's: in quotes unless it is a plain name in lower case.
pub fn quote_ident(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty();
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn last_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name).trim_matches('"')
}

/// `LIKE` with an escape character of its own.
fn like(text: &str, pattern: &str, escape: &str) -> bool {
    let mut regex = String::from("(?s)^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if escape.starts_with(character) {
            let next = characters.next().map(String::from).unwrap_or_default();
            regex.push_str(&regex::escape(&next));
        } else {
            match character {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
    }
    regex.push('$');
    regex::Regex::new(&regex).is_ok_and(|regex| regex.is_match(text))
}

fn array_bound(name: &'static str, bound: fn(i64) -> i64) -> ScalarUDF {
    let run = move |arguments: &ScalarFunctionArgs| {
        let Some(argument) = arguments.args.first() else {
            return exec_err!("{name} takes an array and a dimension");
        };
        let array = argument.to_array(rows_of(arguments))?;
        let bounds: Int64Array = match array.as_list_opt::<i32>() {
            None => (0..array.len()).map(|_| None).collect(),
            Some(lists) => lists
                .iter()
                .map(|list| {
                    list.filter(|list| !list.is_empty())
                        .map(|list| bound(list.len() as i64))
                })
                .collect(),
        };
        Ok(back(arguments, Arc::new(bounds)))
    };
    function(name, Volatility::Immutable, DataType::Int64, Arc::new(run))
}

fn oid_of(name: &'static str, find: fn(&str) -> Option<u32>) -> ScalarUDF {
    let run = move |arguments: &ScalarFunctionArgs| {
        let texts = texts(arguments)?;
        let Some(texts) = texts.first() else {
            return exec_err!("{name} takes a name");
        };
        let oids: UInt32Array = texts
            .as_string::<i32>()
            .iter()
            .map(|text| find(text?))
            .collect();
        Ok(back(arguments, Arc::new(oids)))
    };
    function(name, Volatility::Stable, DataType::UInt32, Arc::new(run))
}

fn list_of(texts: &[String]) -> ScalarValue {
    let values: Vec<ScalarValue> = texts
        .iter()
        .map(|text| ScalarValue::Utf8(Some(text.clone())))
        .collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8))
}

fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn current_schemas() -> ScalarUDF {
    let run = |arguments: &ScalarFunctionArgs| {
        let implicit = matches!(
            arguments.args.first(),
            Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
        );
        let mut schemas = vec![SCHEMA.to_owned()];
        if implicit {
            schemas.insert(0, "pg_catalog".to_owned());
        }
        Ok(ColumnarValue::Scalar(list_of(&schemas)))
    };
    function(
        "current_schemas",
        Volatility::Stable,
        text_list(),
        Arc::new(run),
    )
}

/// The parts of a name with dots, without their quotes. One name for the whole column: clients give a literal.
fn parse_ident() -> ScalarUDF {
    let run = |arguments: &ScalarFunctionArgs| {
        let texts = texts(arguments)?;
        let Some(text) = texts
            .first()
            .map(|texts| texts.as_string::<i32>())
            .filter(|texts| !texts.is_empty())
        else {
            return exec_err!("parse_ident takes a name");
        };
        let mut parts = vec![String::new()];
        let mut quoted = false;
        for character in text.value(0).chars() {
            match character {
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                other => {
                    let other = if quoted {
                        other
                    } else {
                        other.to_ascii_lowercase()
                    };
                    if let Some(part) = parts.last_mut() {
                        part.push(other);
                    }
                }
            }
        }
        Ok(ColumnarValue::Scalar(list_of(&parts)))
    };
    function(
        "parse_ident",
        Volatility::Immutable,
        text_list(),
        Arc::new(run),
    )
}

/// `timestamp AT TIME ZONE zone`: of a time with a zone the clock's time there, without a zone; of one without the
/// moment at which clocks there showed it.
fn at_time_zone() -> ScalarUDF {
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct AtTimeZone(Signature);
    impl ScalarUDFImpl for AtTimeZone {
        fn name(&self) -> &str {
            "pg_at_time_zone"
        }

        fn signature(&self) -> &Signature {
            &self.0
        }

        fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
            Ok(match arguments.first() {
                Some(DataType::Timestamp(_, Some(_))) => {
                    DataType::Timestamp(TimeUnit::Microsecond, None)
                }
                _ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            })
        }

        fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
            let [time, ColumnarValue::Scalar(zone)] = arguments.args.as_slice() else {
                return exec_err!("the zone after AT TIME ZONE must be a literal");
            };
            let zone = zone.try_as_str().flatten().unwrap_or("UTC");
            let zone: Arc<str> = Arc::from(if zone.eq_ignore_ascii_case("utc") {
                "+00:00"
            } else {
                zone
            });
            let time = time.to_array(arguments.number_rows)?;
            let micros = |zone: Option<Arc<str>>| DataType::Timestamp(TimeUnit::Microsecond, zone);
            let utc = micros(Some("UTC".into()));
            let array: ArrayRef = if matches!(time.data_type(), DataType::Timestamp(_, Some(_))) {
                let (zone, moments) = (zone.parse::<Tz>()?, cast(&time, &utc)?);
                let local = |micros: i64| {
                    let moment = DateTime::<Utc>::from_timestamp_micros(micros)?.naive_utc();
                    let offset = zone
                        .offset_from_utc_datetime(&moment)
                        .fix()
                        .local_minus_utc();
                    micros.checked_add(i64::from(offset) * 1_000_000)
                };
                let moments = moments.as_primitive::<TimestampMicrosecondType>().iter();
                let local: TimestampMicrosecondArray =
                    moments.map(|moment| local(moment?)).collect();
                Arc::new(local)
            } else {
                // Arrow takes a time without a zone for the clock's time in the zone it is cast to.
                cast(
                    &cast(&cast(&time, &micros(None))?, &micros(Some(zone)))?,
                    &utc,
                )?
            };
            Ok(ColumnarValue::Array(array))
        }
    }
    ScalarUDF::from(AtTimeZone(Signature::any(2, Volatility::Immutable)))
}
