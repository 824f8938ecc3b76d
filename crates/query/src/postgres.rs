//! The PostgreSQL wire of the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use service::keys::Keys;
use service::tls::{Tls, TlsSettings};
use sql::Database;
use sql::wire::{Server, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::Config;

/// Settings of the PostgreSQL wire.
#[derive(Debug, Clone, Args)]
pub struct PgSettings {
    /// Address on which psql, Grafana and PostgreSQL drivers connect; the password is a read key.
    #[arg(long, env, default_value = "127.0.0.1:5433", value_parser = service::settings::address)]
    pub pg_listen: SocketAddr,

    /// Certificate chain (PEM) for PostgreSQL clients, if it is another than TLS_CERT. Where there is this one alone,
    /// they may also connect in clear.
    #[arg(long, env, requires = "pg_tls_key")]
    pub pg_tls_cert: Option<PathBuf>,

    /// Private key (PEM) of PG_TLS_CERT.
    #[arg(long, env, requires = "pg_tls_cert")]
    pub pg_tls_key: Option<PathBuf>,

    /// Most PostgreSQL connections at a time; one more is refused with SQLSTATE 53300.
    #[arg(long, env, default_value = "500")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub pg_connections: u32,
}

impl PgSettings {
    /// The TLS of the wire, if there is any: `tls` is that of the service.
    ///
    /// # Errors
    ///
    /// If a file of it cannot be used.
    pub(crate) fn tls(&self, tls: &TlsSettings) -> anyhow::Result<Option<Tls>> {
        match self.pg_tls_cert.clone().zip(self.pg_tls_key.clone()) {
            None => tls.load(),
            pair => tls.load_as("pg_tls", ["PG_TLS_CERT", "PG_TLS_KEY"], pair),
        }
    }
}

/// The wire over `database`, which will serve `listener`.
///
/// # Errors
///
/// When a file of its TLS cannot be used.
pub(crate) fn server(
    config: &Config,
    database: Arc<Database>,
    keys: Keys,
    listener: &TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<Arc<Server>> {
    let pg = &config.postgres;
    let settings = Settings {
        keys,
        tls: pg.tls(&config.tls)?,
        takes_clear: !config.tls.is_on(),
        connections: pg.pg_connections as usize,
        timeout: config.queries.query_timeout,
        grace: config.shutdown_grace,
    };
    let tls = settings.tls.is_some();
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    let source = Arc::new(database);
    let server = Server::new(source, settings, stop);
    info!(
        event = "started",
        pg_listen = %listen,
        tls,
        pg_connections = pg.pg_connections,
        "PostgreSQL clients connect by `psql \"host={} port={} dbname=headwater\"`, with a read key as password",
        listen.ip(),
        listen.port()
    );
    Ok(Arc::new(server))
}
