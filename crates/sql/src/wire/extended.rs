//! The extended protocol: prepared statements, portals, values in text and binary.

use std::sync::Arc;

use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    PortalSuspended, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::command::{self, Command};
use super::connection::{Connection, Failure};
use super::encode::{Column, format_of};
use super::error::PgError;
use super::execute::{Outcome, no_cursor, show_columns};
use super::prepared::{Portal, Prepared};
use super::{params, plan};

/// More statements than this in one session are a leak of the client's.
const MOST_PREPARED: usize = 10_000;

impl Connection {
    /// Answers one message of the extended protocol.
    pub(super) async fn extended(&mut self, message: PgWireFrontendMessage) -> Result<(), Failure> {
        if let PgWireFrontendMessage::Sync(_) = message {
            self.skipping = false;
            if self.transaction == pgwire::messages::response::TransactionStatus::Idle {
                self.portals.clear();
            }
            return self.ready().await;
        }
        if self.skipping {
            return Ok(());
        }
        let answered = match message {
            PgWireFrontendMessage::Parse(parse) => self.parse(parse).await,
            PgWireFrontendMessage::Bind(bind) => self.bind(bind).await,
            PgWireFrontendMessage::Describe(describe) => self.describe(describe).await,
            PgWireFrontendMessage::Execute(execute) => self.execute_portal(execute).await,
            PgWireFrontendMessage::Close(close) => self.close(close).await,
            PgWireFrontendMessage::Flush(_) => {
                use futures::SinkExt;
                Ok(self.socket.flush().await?)
            }
            // What a client sends after a COPY that was refused.
            PgWireFrontendMessage::CopyData(_)
            | PgWireFrontendMessage::CopyDone(_)
            | PgWireFrontendMessage::CopyFail(_) => Ok(()),
            _ => Err(PgError::fatal("08P01", "unexpected message").into()),
        };
        if let Err(failure) = answered {
            self.skipping = true;
            self.tell(failure).await?;
        }
        Ok(())
    }

    async fn parse(&mut self, parse: Parse) -> Result<(), Failure> {
        let name = parse.name.unwrap_or_default();
        if !name.is_empty() && self.prepared.contains_key(&name) {
            return Err(PgError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        if self.prepared.len() >= MOST_PREPARED {
            let words = format!("{MOST_PREPARED} prepared statements in one session are the most");
            return Err(PgError::new("53400", words).hint("DEALLOCATE ALL").into());
        }
        let mut statements = command::parse(&parse.query)?;
        let statement = statements.pop();
        if !statements.is_empty() {
            let words = "cannot insert multiple commands into a prepared statement";
            return Err(PgError::new("42601", words).into());
        }
        let prepared = Prepared::new(statement, &parse.type_oids, Arc::from(parse.query))?;
        self.prepared.insert(name, prepared);
        self.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
            .await
    }

    /// Finds the types of parameters and the columns of a prepared statement, once.
    async fn know(&mut self, name: &str) -> Result<(Vec<u32>, Option<Arc<[Column]>>), Failure> {
        let prepared = self.prepared.get(name).ok_or_else(|| no_statement(name))?;
        if let Some(columns) = &prepared.described {
            return Ok((prepared.parameters.clone(), columns.clone()));
        }
        let (mut parameters, sql) = (prepared.parameters.clone(), Arc::clone(&prepared.sql));
        let columns = match prepared.statement.clone().map(command::of).transpose()? {
            Some(Command::Select(statement)) => {
                self.arm();
                let source = Arc::clone(&self.server.source);
                let session = Arc::clone(&self.session);
                let described = self
                    .watch(plan::describe(source, session, statement, parameters, sql))
                    .await??;
                parameters = described.0;
                Some(described.1)
            }
            Some(Command::Show(name)) => Some(show_columns(&name)),
            Some(Command::Fetch(cursor, _)) => {
                let rows = self
                    .cursors
                    .get(&cursor)
                    .ok_or_else(|| no_cursor(&cursor))?;
                // A cursor of that name may have other columns next time: not kept.
                return Ok((parameters, Some(Arc::clone(&rows.columns))));
            }
            Some(Command::Declare(_, statement) | Command::Copy(statement, _))
                if parameters.contains(&0) =>
            {
                let source = Arc::clone(&self.server.source);
                let session = Arc::clone(&self.session);
                parameters = self
                    .watch(plan::describe(source, session, statement, parameters, sql))
                    .await??
                    .0;
                None
            }
            _ => None,
        };
        for oid in &mut parameters {
            if *oid == 0 {
                *oid = 25;
            }
        }
        if let Some(prepared) = self.prepared.get_mut(name) {
            prepared.parameters.clone_from(&parameters);
            prepared.described = Some(columns.clone());
        }
        Ok((parameters, columns))
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let name = bind.statement_name.unwrap_or_default();
        let prepared = self
            .prepared
            .get(&name)
            .ok_or_else(|| no_statement(&name))?;
        let parameters = if prepared.parameters.contains(&0) {
            self.know(&name).await?.0
        } else {
            prepared.parameters.clone()
        };
        if bind.parameters.len() != parameters.len() {
            let words = format!(
                "bind message supplies {} parameters, but prepared statement \"{name}\" requires {}",
                bind.parameters.len(),
                parameters.len()
            );
            return Err(PgError::new("08P01", words).into());
        }
        let formats = &bind.parameter_format_codes;
        let values = bind.parameters.iter().zip(&parameters).enumerate();
        let values = values
            .map(|(index, (value, oid))| {
                params::literal(*oid, format_of(formats, index) == 1, value.as_deref())
            })
            .collect::<Result<_, _>>()?;
        let prepared = self
            .prepared
            .get(&name)
            .ok_or_else(|| no_statement(&name))?;
        let portal = Portal {
            statement: prepared.statement.clone(),
            sql: Arc::clone(&prepared.sql),
            described: prepared.described.clone().flatten(),
            prepared: name,
            values,
            formats: bind.result_column_format_codes,
            suspended: None,
        };
        self.portals
            .insert(bind.portal_name.unwrap_or_default(), portal);
        self.feed(PgWireBackendMessage::BindComplete(BindComplete::new()))
            .await
    }

    async fn describe(&mut self, describe: Describe) -> Result<(), Failure> {
        let name = describe.name.unwrap_or_default();
        let (columns, formats) = if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let (parameters, columns) = self.know(&name).await?;
            let description = ParameterDescription::new(parameters);
            self.feed(PgWireBackendMessage::ParameterDescription(description))
                .await?;
            (columns, Vec::new())
        } else {
            match self.portals.get(&name) {
                Some(portal) => {
                    let (prepared, formats) = (portal.prepared.clone(), portal.formats.clone());
                    let columns = self.know(&prepared).await?.1;
                    if let Some(portal) = self.portals.get_mut(&name) {
                        portal.described.clone_from(&columns);
                    }
                    (columns, formats)
                }
                // A cursor is a portal too: psycopg asks for the columns of one that it declared.
                None => {
                    let rows = self.cursors.get(&name).ok_or_else(|| no_portal(&name))?;
                    (Some(Arc::clone(&rows.columns)), Vec::new())
                }
            }
        };
        let message = match columns {
            Some(columns) => Connection::description(&columns, &formats),
            None => PgWireBackendMessage::NoData(NoData::new()),
        };
        self.feed(message).await
    }

    async fn execute_portal(&mut self, execute: Execute) -> Result<(), Failure> {
        let name = execute.name.unwrap_or_default();
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        self.arm();
        let limit = u64::try_from(execute.max_rows)
            .ok()
            .filter(|limit| *limit > 0);
        let (mut rows, tag, before) = match portal.suspended.take() {
            Some(suspended) => suspended,
            None => {
                let Some(statement) = portal.statement.clone() else {
                    self.portals.insert(name, portal);
                    return self
                        .feed(PgWireBackendMessage::EmptyQueryResponse(
                            EmptyQueryResponse::new(),
                        ))
                        .await;
                };
                let sql = Arc::clone(&portal.sql);
                let executed =
                    Box::pin(self.execute(statement, portal.values.clone(), &sql)).await?;
                match executed {
                    Outcome::Done(tag) => {
                        self.portals.insert(name, portal);
                        return self.complete(tag).await;
                    }
                    Outcome::Copy(rows, form) => return self.copy(rows, &form).await,
                    Outcome::Fetch(cursor, count) => {
                        let mut rows = self
                            .cursors
                            .remove(&cursor)
                            .ok_or_else(|| no_cursor(&cursor))?;
                        let (sent, _) = self.send_rows(&mut rows, &portal.formats, count).await?;
                        self.cursors.insert(cursor, rows);
                        return self.complete(format!("FETCH {sent}")).await;
                    }
                    Outcome::Rows(rows, tag) => (rows, tag, 0),
                }
            }
        };
        if let Some(told) = &portal.described
            && (told.len() != rows.columns.len()
                || told.iter().zip(&*rows.columns).any(|(a, b)| a.oid != b.oid))
        {
            // A column more since the statement was described: the client would read the wrong values.
            if let Some(prepared) = self.prepared.get_mut(&portal.prepared) {
                prepared.described = None;
            }
            return Err(
                PgError::new("0A000", "cached plan must not change result type")
                    .hint("prepare it anew")
                    .into(),
            );
        }
        let (sent, ended) = self.send_rows(&mut rows, &portal.formats, limit).await?;
        let all = before + sent;
        if ended {
            self.portals.insert(name, portal);
            return self
                .complete(if tag == "SELECT" {
                    format!("SELECT {all}")
                } else {
                    tag.to_owned()
                })
                .await;
        }
        portal.suspended = Some((rows, tag, all));
        self.portals.insert(name, portal);
        self.feed(PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))
            .await
    }

    async fn close(&mut self, close: Close) -> Result<(), Failure> {
        let name = close.name.unwrap_or_default();
        if close.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.prepared.remove(&name);
        } else {
            self.portals.remove(&name);
        }
        self.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new()))
            .await
    }
}

fn no_statement(name: &str) -> PgError {
    PgError::new(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

fn no_portal(name: &str) -> PgError {
    PgError::new("34000", format!("portal \"{name}\" does not exist"))
}
