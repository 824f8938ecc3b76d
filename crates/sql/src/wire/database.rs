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
            Ok(Database::context(self, &options).await?.0)
        }
        .boxed()
    }

    fn turn(&self) -> BoxFuture<'static, Result<Box<dyn Any + Send>, PgError>> {
        let engine = Arc::clone(self.engine());
        async move {
            match engine.turns.take().await {
                Ok(turn) => Ok(Box::new(turn) as Box<dyn Any + Send>),
                Err(error) => Err(SqlError::from(error).into()),
            }
        }
        .boxed()
    }
}
