//! The lake as what statements run on.

use std::any::Any;
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::Source;
use super::error::PgError;
use crate::{Database, SessionOptions, SqlError};

impl Source for Arc<Database> {
    fn context(&self, zone: Option<String>) -> BoxFuture<'_, Result<SessionContext, PgError>> {
        async move {
            let options = SessionOptions {
                time_zone: zone,
                ..SessionOptions::default()
            };
            Database::context(self, &options)
                .await
                .map_err(|error| of_sql(&error))
        }
        .boxed()
    }

    fn turn(&self) -> BoxFuture<'static, Result<Box<dyn Any + Send>, PgError>> {
        let engine = Arc::clone(self.engine());
        async move {
            match engine.turns.take().await {
                Ok(turn) => Ok(Box::new(turn) as Box<dyn Any + Send>),
                Err(error) => Err(PgError::new("53300", error.to_string())),
            }
        }
        .boxed()
    }
}

fn of_sql(error: &SqlError) -> PgError {
    let code = match error {
        SqlError::Starting => "57P03",
        SqlError::Lake(_) | SqlError::Scan(_) => "58030",
        SqlError::Turn(_) => "53300",
        SqlError::Memory => "53200",
        // configuration_limit_exceeded
        SqlError::ScanTooLarge(_) => "53400",
        SqlError::ReadOnly(_) => "25006",
        SqlError::Syntax { .. } | SqlError::Invalid(_) => "42601",
        SqlError::Fault(_) => "XX000",
    };
    PgError::new(code, error.to_string())
}
