//! What each kind of statement does to the session.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::sql::sqlparser::ast::{Expr, Statement};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::startup::ParameterStatus;

use super::command::{self, Command};
use super::connection::{Connection, Failure};
use super::copy_form::CopyForm;
use super::encode::Column;
use super::error::PgError;
use super::prepared::Prepared;
use super::rows::Rows;
use super::texts::zone_of;
use super::{plan, startup};
use crate::catalog::types;

/// What a statement answers.
pub(super) enum Outcome {
    /// A tag only.
    Done(String),
    /// Rows, of which at most so many are sent, then the tag with their number.
    Rows(Rows, &'static str),
    /// Rows of a cursor: its name, the most rows.
    Fetch(String, Option<u64>),
    /// Rows in the form of COPY.
    Copy(Rows, CopyForm),
}

impl Connection {
    /// Does what a statement asks; `values` are its parameters.
    pub(super) async fn execute(
        &mut self,
        statement: Statement,
        values: Vec<Expr>,
        sql: &Arc<str>,
    ) -> Result<Outcome, Failure> {
        let command = command::of(statement)?;
        let ends = matches!(command, Command::Rollback(_) | Command::Commit);
        if self.transaction == TransactionStatus::Error && !ends {
            let words =
                "current transaction is aborted, commands ignored until end of transaction block";
            return Err(PgError::new("25P02", words).into());
        }
        let done = |tag: &str| Ok(Outcome::Done(tag.to_owned()));
        match command {
            Command::Select(statement) => {
                let explain = matches!(statement, Statement::Explain { .. });
                let rows = self.select(statement, values, sql).await?;
                Ok(Outcome::Rows(
                    rows,
                    if explain { "EXPLAIN" } else { "SELECT" },
                ))
            }
            Command::Copy(statement, form) => Ok(Outcome::Copy(
                self.select(statement, values, sql).await?,
                form,
            )),
            Command::Declare(name, statement) => {
                let rows = self.select(statement, values, sql).await?;
                if self.cursors.contains_key(&name) {
                    return Err(
                        PgError::new("42P03", format!("cursor \"{name}\" already exists")).into(),
                    );
                }
                self.cursors.insert(name, rows);
                done("DECLARE CURSOR")
            }
            Command::Fetch(name, count) => {
                if !self.cursors.contains_key(&name) {
                    return Err(no_cursor(&name).into());
                }
                Ok(Outcome::Fetch(name, count))
            }
            Command::Close(None) => {
                self.cursors.clear();
                done("CLOSE CURSOR ALL")
            }
            Command::Close(Some(name)) => match self.cursors.remove(&name) {
                Some(_) => done("CLOSE CURSOR"),
                None => Err(no_cursor(&name).into()),
            },
            Command::Set(name, value, local) => {
                self.set(&name, value, local).await?;
                done("SET")
            }
            Command::Reset(name) => {
                self.session.reset(name.as_deref());
                done("RESET")
            }
            Command::Show(name) => Ok(Outcome::Rows(self.show(&name)?, "SHOW")),
            Command::Nothing(tag) => done(tag),
            Command::Begin(tag) => {
                self.transaction = TransactionStatus::Transaction;
                done(tag)
            }
            Command::Commit => {
                let failed = self.transaction == TransactionStatus::Error;
                self.end_transaction();
                done(if failed { "ROLLBACK" } else { "COMMIT" })
            }
            Command::Rollback(true) => {
                self.transaction = TransactionStatus::Transaction;
                done("ROLLBACK")
            }
            Command::Rollback(false) => {
                self.end_transaction();
                done("ROLLBACK")
            }
            Command::Deallocate(Some(name)) => match self.prepared.remove(&name) {
                Some(_) => done("DEALLOCATE"),
                None => Err(PgError::new(
                    "26000",
                    format!("prepared statement \"{name}\" does not exist"),
                )
                .into()),
            },
            Command::Deallocate(None) => {
                self.prepared.clear();
                done("DEALLOCATE ALL")
            }
            Command::DiscardAll => {
                self.prepared.clear();
                self.portals.clear();
                self.cursors.clear();
                self.session.reset(None);
                done("DISCARD ALL")
            }
            Command::Prepare(name, given, statement) => {
                let given: Vec<u32> = given
                    .iter()
                    .map(|name| types::by_name(name).unwrap_or(0))
                    .collect();
                let prepared = Prepared::new(Some(statement), &given, Arc::clone(sql))?;
                self.prepared.insert(name, prepared);
                done("PREPARE")
            }
            Command::Execute(name, values) => {
                let Some(Prepared {
                    statement: Some(statement),
                    sql,
                    ..
                }) = self.prepared.get(&name)
                else {
                    let words = format!("prepared statement \"{name}\" does not exist");
                    return Err(PgError::new("26000", words).into());
                };
                let (statement, sql) = (statement.clone(), Arc::clone(sql));
                // Only what is planned: EXECUTE of an EXECUTE has no end.
                match command::of(statement)? {
                    Command::Select(statement) => Ok(Outcome::Rows(
                        self.select(statement, values, &sql).await?,
                        "SELECT",
                    )),
                    _ => Err(PgError::new("0A000", "EXECUTE is for prepared queries").into()),
                }
            }
        }
    }

    async fn select(
        &mut self,
        statement: Statement,
        values: Vec<Expr>,
        sql: &Arc<str>,
    ) -> Result<Rows, Failure> {
        let source = Arc::clone(&self.server.source);
        let (session, idle) = (Arc::clone(&self.session), self.server.settings.timeout);
        let run = plan::run(source, session, statement, values, Arc::clone(sql), idle);
        Ok(self.watch(run).await??)
    }

    fn end_transaction(&mut self) {
        self.transaction = TransactionStatus::Idle;
        self.cursors.clear();
        for (name, value) in self.local.drain(..) {
            self.session.set(&name, &value);
        }
    }

    async fn set(&mut self, name: &str, value: Option<String>, local: bool) -> Result<(), Failure> {
        let before = self.session.setting(name);
        match value {
            None => self.session.reset(Some(name)),
            Some(value) => {
                let value = check(name, value)?;
                if !self.session.set(name, &value) {
                    let words = format!(
                        "unrecognized or fixed configuration parameter \"{name}\" is left as it is"
                    );
                    return self.feed(PgError::new("42704", words).notice()).await;
                }
            }
        }
        if let (true, Some(before)) = (local, before) {
            self.local.push((name.to_owned(), before));
        }
        if let Some((name, reported)) = startup::REPORTED
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            let value = self.session.setting(name).unwrap_or_default();
            let status = ParameterStatus::new((*reported).to_owned(), value);
            self.feed(PgWireBackendMessage::ParameterStatus(status))
                .await?;
        }
        Ok(())
    }

    fn show(&self, name: &str) -> Result<Rows, PgError> {
        let columns = show_columns(name);
        let values: Vec<ArrayRef> = if name == "all" {
            let settings = self.session.settings();
            let names: StringArray = settings
                .iter()
                .map(|(name, _)| Some(name.as_str()))
                .collect();
            let values: StringArray = settings
                .iter()
                .map(|(_, value)| Some(value.as_str()))
                .collect();
            vec![
                Arc::new(names),
                Arc::new(values),
                Arc::new(StringArray::new_null(settings.len())),
            ]
        } else {
            let value = self.session.setting(name);
            let value = value.ok_or_else(|| {
                PgError::new(
                    "42704",
                    format!("unrecognized configuration parameter \"{name}\""),
                )
            })?;
            vec![Arc::new(StringArray::from(vec![value]))]
        };
        let named = columns
            .iter()
            .map(|column| column.name.as_str())
            .zip(values);
        let batch = RecordBatch::try_from_iter_with_nullable(
            named.map(|(name, array)| (name, array, true)),
        );
        let batch = batch.map_err(|error| PgError::new("XX000", error.to_string()))?;
        Ok(Rows::of_batch(batch, columns))
    }
}

/// The columns of `SHOW`.
pub(super) fn show_columns(name: &str) -> Arc<[Column]> {
    let text = |name: &str| Column {
        name: name.to_owned(),
        oid: 25,
    };
    if name == "all" {
        return ["name", "setting", "description"].map(text).into();
    }
    let reported = startup::REPORTED.iter().find(|(known, _)| *known == name);
    let heading = reported.map_or_else(
        || name.replace(' ', "_"),
        |(_, reported)| (*reported).to_owned(),
    );
    [text(&heading)].into()
}

pub(super) fn no_cursor(name: &str) -> PgError {
    PgError::new("34000", format!("cursor \"{name}\" does not exist"))
}

/// The value of a setting as it is kept.
fn check(name: &str, value: String) -> Result<String, PgError> {
    match name.to_ascii_lowercase().as_str() {
        "timezone" => match zone_of(&value) {
            Some(_) => Ok(value),
            None => Err(PgError::new(
                "22023",
                format!("invalid value for parameter \"TimeZone\": \"{value}\""),
            )),
        },
        "client_encoding" => {
            let encoding = value.to_ascii_lowercase().replace(['-', '_'], "");
            if matches!(encoding.as_str(), "utf8" | "unicode" | "sqlascii") {
                Ok("UTF8".to_owned())
            } else {
                Err(PgError::new(
                    "0A000",
                    format!("client_encoding {value} is not supported: UTF8 is"),
                ))
            }
        }
        "statement_timeout" | "lock_timeout" => command::duration(&value).map(|_| value),
        _ => Ok(value),
    }
}
