//! The PostgreSQL wire: what psql, Grafana, notebooks and drivers connect to.
//!
//! `pgwire` gives the messages and their codec; the rest is here, because a query must end when it is cancelled, when
//! its time is over and when its client has left, also while rows are being sent. A connection is one task
//! (`connection`) that reads on its socket while a query runs in another (`rows`).
//!
//! A password is a read key (SCRAM-SHA-256, any user name). Statements only read; each sees one snapshot, the newest
//! at its start. A transaction is answered, and binds nothing: two statements in it may see two snapshots.

pub mod cancel;
pub mod command;
mod connection;
mod copy;
mod copy_form;
mod database;
pub mod encode;
pub mod error;
mod execute;
mod extended;
#[cfg(test)]
mod fuzz;
mod listen;
mod literals;
pub mod params;
mod params_binary;
mod plan;
mod prepared;
mod receive;
pub mod rows;
pub mod scram;
mod server;
mod simple;
mod startup;
mod texts;

use std::any::Any;
use std::time::Duration;

use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use service::keys::Keys;
use service::tls::Tls;

pub use error::PgError;
pub use listen::serve;
pub use server::Server;

/// What statements run on.
pub trait Source: Send + Sync + 'static {
    /// A context for one statement, with the tables of the newest snapshot. `zone` is that of times without one; UTC
    /// without.
    ///
    /// # Errors
    ///
    /// When there is no snapshot yet.
    fn context(&self, zone: Option<String>) -> BoxFuture<'_, Result<SessionContext, PgError>>;

    /// A turn among the queries that read the lake, kept until the query has ended.
    ///
    /// # Errors
    ///
    /// 53300 when too many wait.
    fn turn(&self) -> BoxFuture<'static, Result<Box<dyn Any + Send>, PgError>>;
}

/// Settings of the wire.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The passwords that are let in: keys that may read, those of a file where they have a verifier.
    pub keys: Keys,
    /// Its TLS; without, connections are in clear.
    pub tls: Option<Tls>,
    /// Whether connections may be in clear although there is TLS: the client decides.
    pub takes_clear: bool,
    /// Connections at once; one more is told 53300.
    pub connections: usize,
    /// Longest time of a statement, rows sent included; `SET statement_timeout` may only lower it.
    pub timeout: Duration,
    /// Time that running statements have to end once the service stops.
    pub grace: Duration,
}
