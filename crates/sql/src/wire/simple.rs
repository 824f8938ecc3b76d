//! The simple protocol: a string of statements, answered in text.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Statement;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::EmptyQueryResponse;

use super::command;
use super::connection::{Connection, Failure};
use super::execute::{Outcome, no_cursor};

impl Connection {
    /// Answers a message Query: each statement in turn, up to the first error.
    pub(super) async fn simple(&mut self, sql: &str) -> Result<(), Failure> {
        self.portals.clear();
        let sql: Arc<str> = Arc::from(sql);
        match command::parse(&sql) {
            Err(error) => self.tell(error.into()).await?,
            Ok(statements) if statements.is_empty() => {
                // A comment or a lone semicolon: what Grafana and pgx send to see whether somebody is there.
                self.feed(PgWireBackendMessage::EmptyQueryResponse(
                    EmptyQueryResponse::new(),
                ))
                .await?;
            }
            Ok(statements) => {
                for statement in statements {
                    self.arm();
                    if let Err(failure) = self.answer_statement(statement, &sql).await {
                        self.tell(failure).await?;
                        break;
                    }
                }
            }
        }
        self.ready().await
    }

    async fn answer_statement(
        &mut self,
        statement: Statement,
        sql: &Arc<str>,
    ) -> Result<(), Failure> {
        match Box::pin(self.execute(statement, Vec::new(), sql)).await? {
            Outcome::Done(tag) => self.complete(tag).await,
            Outcome::Rows(mut rows, tag) => {
                self.feed(Connection::description(&rows.columns, &[]))
                    .await?;
                let (sent, _) = self.send_rows(&mut rows, &[], None).await?;
                self.complete(if tag == "SELECT" {
                    format!("SELECT {sent}")
                } else {
                    tag.to_owned()
                })
                .await
            }
            Outcome::Fetch(name, limit) => {
                let mut rows = self.cursors.remove(&name).ok_or_else(|| no_cursor(&name))?;
                self.feed(Connection::description(&rows.columns, &[]))
                    .await?;
                let (sent, _) = self.send_rows(&mut rows, &[], limit).await?;
                self.cursors.insert(name, rows);
                self.complete(format!("FETCH {sent}")).await
            }
            Outcome::Copy(rows, form) => self.copy(rows, &form).await,
        }
    }
}
