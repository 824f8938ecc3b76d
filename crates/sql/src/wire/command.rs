//! What a statement asks of the session, before anything is planned: only what reads is let through.

use std::time::Duration;

use datafusion::sql::sqlparser::ast::{
    CloseCursor, ContextModifier, CopyTarget, DiscardObject, Expr, FetchDirection, Ident,
    ObjectName, Query, Reset, Set, Statement, Value,
};

use super::copy_form::{CopyForm, copied, form_of};
use super::error::{PgError, of_sql};
use crate::statement::parse_postgres;

/// A statement by what it does to the session.
#[derive(Debug)]
pub enum Command {
    /// To be planned and run.
    Select(Statement),
    /// `SET`: name, value (none for DEFAULT), whether only for this transaction.
    Set(String, Option<String>, bool),
    /// `RESET`: the setting; none for all.
    Reset(Option<String>),
    /// `SHOW`: the setting, `all` for all.
    Show(String),
    /// Does nothing here but has this answer.
    Nothing(&'static str),
    /// `BEGIN`.
    Begin(&'static str),
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`; to a savepoint when true.
    Rollback(bool),
    /// `DECLARE name CURSOR FOR query`.
    Declare(String, Statement),
    /// `FETCH`: cursor and number of rows; none for all.
    Fetch(String, Option<u64>),
    /// `CLOSE`: the cursor; none for all.
    Close(Option<String>),
    /// `COPY (query) TO STDOUT`.
    Copy(Statement, CopyForm),
    /// `DEALLOCATE`: the prepared statement; none for all.
    Deallocate(Option<String>),
    /// `DISCARD ALL`.
    DiscardAll,
    /// `PREPARE name AS statement`, with the types given.
    Prepare(String, Vec<String>, Statement),
    /// `EXECUTE name (values)`.
    Execute(String, Vec<Expr>),
}

/// The statements of a query string, with parameters.
///
/// # Errors
///
/// 42601, with the place; 54000 and 54001 for what is too long or too deep.
pub fn parse(sql: &str) -> Result<Vec<Statement>, PgError> {
    parse_postgres(sql).map_err(|error| of_sql(error, sql))
}

/// A name as PostgreSQL folds it.
pub(super) fn name_of(ident: &Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_ascii_lowercase()
    }
}

fn setting_of(name: &ObjectName) -> String {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(name_of)
        .collect();
    parts.join(".")
}

/// Sorts a statement.
///
/// # Errors
///
/// 25006 for what would write, 42501 for what would reach files or other sessions, 0A000 for the rest.
pub fn of(statement: Statement) -> Result<Command, PgError> {
    Ok(match statement {
        Statement::Query(query) => {
            if query.to_string().is_empty() {
                return Err(PgError::new("42601", "syntax error: the query is empty"));
            }
            if writes(&query) {
                return Err(read_only("this statement"));
            }
            Command::Select(Statement::Query(query))
        }
        Statement::Explain {
            analyze,
            statement: inner,
            ..
        } if matches!(*inner, Statement::Query(_)) => {
            let mut text = format!("EXPLAIN {}{inner}", if analyze { "ANALYZE " } else { "" });
            // PostgreSQL's options name forms that DataFusion has not.
            text = text.replace('\0', "");
            Command::Select(
                parse(&text)?
                    .pop()
                    .ok_or_else(|| PgError::new("42601", "syntax error"))?,
            )
        }
        Statement::Set(set) => of_set(set)?,
        Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Command::Reset(None),
            Reset::ConfigurationParameter(name) => Command::Reset(Some(setting_of(&name))),
        },
        Statement::ShowVariable { variable } => {
            Command::Show(variable.iter().map(name_of).collect::<Vec<_>>().join(" "))
        }
        Statement::StartTransaction { begin, .. } => {
            Command::Begin(if begin { "BEGIN" } else { "START TRANSACTION" })
        }
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint, .. } => Command::Rollback(savepoint.is_some()),
        Statement::Savepoint { .. } => Command::Nothing("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Command::Nothing("RELEASE"),
        Statement::LISTEN { .. } => Command::Nothing("LISTEN"),
        Statement::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Statement::Declare { mut stmts } => match (stmts.pop(), stmts.is_empty()) {
            (Some(declare), true) => match (declare.names.first(), declare.for_query) {
                (Some(name), Some(query)) => {
                    Command::Declare(name_of(name), Statement::Query(query))
                }
                _ => {
                    return Err(PgError::new(
                        "0A000",
                        "DECLARE is for cursors: DECLARE name CURSOR FOR query",
                    ));
                }
            },
            _ => return Err(PgError::new("0A000", "DECLARE is for one cursor at a time")),
        },
        Statement::Fetch {
            name, direction, ..
        } => Command::Fetch(name_of(&name), rows_of(&direction)?),
        Statement::Close {
            cursor: CloseCursor::All,
        } => Command::Close(None),
        Statement::Close {
            cursor: CloseCursor::Specific { name },
        } => Command::Close(Some(name_of(&name))),
        Statement::Copy {
            source,
            to: true,
            target: CopyTarget::Stdout,
            options,
            legacy_options,
            ..
        } => Command::Copy(copied(source)?, form_of(&options, &legacy_options)?),
        Statement::Copy { to: true, .. } => {
            return Err(PgError::new(
                "42501",
                "COPY writes to STDOUT only, not to files or programs of the server",
            ));
        }
        Statement::Deallocate { name, .. } => {
            let name = name_of(&name);
            Command::Deallocate((name != "all").then_some(name))
        }
        Statement::Discard {
            object_type: DiscardObject::ALL,
        } => Command::DiscardAll,
        Statement::Discard { object_type } => Command::Nothing(match object_type {
            DiscardObject::PLANS => "DISCARD PLANS",
            DiscardObject::SEQUENCES => "DISCARD SEQUENCES",
            _ => "DISCARD TEMP",
        }),
        Statement::Prepare {
            name,
            data_types,
            statement,
        } => Command::Prepare(
            name_of(&name),
            data_types.iter().map(ToString::to_string).collect(),
            *statement,
        ),
        Statement::Execute {
            name: Some(name),
            parameters,
            ..
        } => Command::Execute(setting_of(&name), parameters),
        other => return Err(refused(&other)),
    })
}

/// `WITH x AS (DELETE …)` and `SELECT … INTO`.
fn writes(query: &Query) -> bool {
    use datafusion::sql::sqlparser::ast::SetExpr;
    let body = match &*query.body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::Select(select) => select.into.is_some(),
        _ => false,
    };
    body || query
        .with
        .as_ref()
        .is_some_and(|with| with.cte_tables.iter().any(|cte| writes(&cte.query)))
}

fn read_only(what: &str) -> PgError {
    PgError::new(
        "25006",
        format!("cannot execute {what}: the lake is read through SQL, not written"),
    )
    .hint("events are written by posting them to ingest")
}

fn refused(statement: &Statement) -> PgError {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    let first = verb
        .first()
        .map(|word| word.to_ascii_uppercase())
        .unwrap_or_default();
    match first.as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "COPY" | "CREATE" | "ALTER"
        | "DROP" | "COMMENT" | "GRANT" | "REVOKE" | "VACUUM" | "ANALYZE" | "LOCK" => {
            let words = if matches!(first.as_str(), "CREATE" | "ALTER" | "DROP") {
                verb.join(" ")
            } else {
                first
            };
            read_only(&words.to_ascii_uppercase())
        }
        "LOAD" | "CALL" | "NOTIFY" | "KILL" | "ATTACH" | "INSTALL" => PgError::new(
            "42501",
            format!("permission denied for {first}: this service only reads"),
        ),
        "SHOW" => PgError::new("0A000", format!("{} is not supported", verb.join(" ")))
            .hint("ask information_schema.tables or information_schema.columns"),
        _ => PgError::new(
            "0A000",
            format!("{first} is not supported: this service only reads"),
        ),
    }
}

fn of_set(set: Set) -> Result<Command, PgError> {
    let local = |scope: &Option<ContextModifier>| matches!(scope, Some(ContextModifier::Local));
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => {
            let local = local(&scope);
            let values: Vec<String> = values.iter().map(value_of).collect();
            let default = values.len() == 1 && values[0].eq_ignore_ascii_case("default");
            Command::Set(
                setting_of(&variable),
                (!default).then(|| values.join(", ")),
                local,
            )
        }
        Set::SetTimeZone { local, value } => {
            let zone = value_of(&value);
            let default =
                zone.eq_ignore_ascii_case("default") || zone.eq_ignore_ascii_case("local");
            Command::Set("timezone".to_owned(), (!default).then_some(zone), local)
        }
        Set::SetNames { charset_name, .. } => Command::Set(
            "client_encoding".to_owned(),
            Some(charset_name.value),
            false,
        ),
        Set::SetTransaction { .. } | Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
            Command::Nothing("SET")
        }
        other => return Err(PgError::new("0A000", format!("{other} is not supported"))),
    })
}

/// The value of a setting as text: `SET x = on` and `SET x = 'on'` are the same.
fn value_of(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(name) => name.value.clone(),
        Expr::Interval(interval) => value_of(&interval.value),
        other => other.to_string(),
    }
}

fn rows_of(direction: &FetchDirection) -> Result<Option<u64>, PgError> {
    let count = |limit: &datafusion::sql::sqlparser::ast::ValueWithSpan| {
        limit
            .value
            .to_string()
            .parse()
            .map_err(|_| PgError::new("22023", "FETCH takes a number of rows"))
    };
    Ok(match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Some(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            Some(count(limit)?)
        }
        FetchDirection::All | FetchDirection::ForwardAll => None,
        _ => {
            return Err(PgError::new("55000", "cursor can only scan forward")
                .hint("FETCH FORWARD or FETCH NEXT"));
        }
    })
}

/// A time as settings write it: a number of milliseconds, or a number with its unit. Zero is no limit.
///
/// # Errors
///
/// 22023.
pub fn duration(value: &str) -> Result<Duration, PgError> {
    let value = value.trim();
    let digits = value
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let wrong = || PgError::new("22023", format!("invalid value for a time: \"{value}\""));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(sql: &str) -> Result<Command, PgError> {
        of(parse(sql).unwrap().pop().unwrap())
    }

    #[test]
    fn what_writes_is_refused_with_its_name() {
        for (sql, code) in [
            ("insert into vehicle values (1)", "25006"),
            ("drop table vehicle", "25006"),
            ("create table t (a int)", "25006"),
            ("delete from vehicle", "25006"),
            ("copy vehicle to '/tmp/x'", "42501"),
            (
                "with x as (delete from vehicle returning *) select * from x",
                "25006",
            ),
            ("select * into t from vehicle", "25006"),
        ] {
            assert_eq!(command(sql).unwrap_err().code, code, "{sql}");
        }
    }

    #[test]
    fn settings_cursors_and_copies() {
        assert!(matches!(command("SET TIME ZONE 'Europe/Berlin'").unwrap(),
            Command::Set(name, Some(zone), false) if name == "timezone" && zone == "Europe/Berlin"));
        assert!(
            matches!(command("SET statement_timeout TO '5s'").unwrap(), Command::Set(_, Some(v), false) if v == "5s")
        );
        assert!(
            matches!(command("FETCH FORWARD ALL FROM \"srv\"").unwrap(), Command::Fetch(name, None) if name == "srv")
        );
        let declared = command("DECLARE \"srv\" CURSOR FOR select 1").unwrap();
        assert!(matches!(declared, Command::Declare(name, _) if name == "srv"));
        let Command::Copy(_, form) =
            command("COPY (select 1) TO STDOUT (FORMAT csv, HEADER)").unwrap()
        else {
            panic!("COPY is a copy");
        };
        assert!(form.csv && form.header && form.delimiter == ',');
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("250").unwrap(), Duration::from_millis(250));
    }
}
