//! The table of topics, shared by the clients and by what follows the lake for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use aws::{Clock, Meter};
use axum::Router;
use engine::Engine;
use engine::snapshot::Arrivals;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::table::{Bounds, Table};
use crate::alerts_api::AlertsApi;
use crate::refusal::Refusal;
use crate::settings::ConsoleSettings;

/// Where what is new comes from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) engine: Arc<Engine>,
    pub(crate) arrivals: Arrivals,
    pub(crate) clock: Clock,
    pub(crate) meters: Vec<Meter>,
    /// The query service's routes, and a key that they take.
    pub(crate) query: Router,
    pub(crate) alerts: AlertsApi,
}

/// What the clients of the live stream share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) sources: Sources,
    pub(crate) most_clients: u32,
    table: Mutex<Table>,
    /// Whether somebody asks for something.
    followed: watch::Sender<bool>,
    /// Told when a series is asked for that was not before.
    pub(crate) unknown: Notify,
    /// Changes when a client asks for something, or no longer does.
    asked: watch::Sender<()>,
    pub(crate) closing: CancellationToken,
}

impl Hub {
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub(crate) fn new(sources: Sources, settings: &ConsoleSettings) -> anyhow::Result<Hub> {
        let mut boot = [0; 8];
        SysRng
            .try_fill_bytes(&mut boot)
            .context("no random bytes")?;
        let boot = boot.iter().map(|byte| format!("{byte:02x}")).collect();
        let size = |bytes: bytesize::ByteSize| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        let bounds = Bounds {
            clients: settings.live_max_clients,
            topics: settings.live_max_topics as usize,
            all_topics: settings.live_max_all_topics as usize,
            outbox: size(settings.live_outbox_bytes),
            history: size(settings.live_history_bytes),
        };
        Ok(Hub {
            sources,
            most_clients: settings.live_max_clients,
            table: Mutex::new(Table::new(boot, bounds)),
            followed: watch::Sender::new(false),
            unknown: Notify::new(),
            asked: watch::Sender::new(()),
            closing: CancellationToken::new(),
        })
    }

    /// Lets a client in.
    ///
    /// # Errors
    ///
    /// If all places are taken, or the service stops.
    pub(crate) fn enter(self: &Arc<Hub>) -> Result<Client, Refusal> {
        if self.closing.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let wake = Arc::new(Notify::new());
        let (at, mut table) = (self.now(), self.table());
        let entered = table.enter(at, wake.clone());
        let id = entered.ok_or(Refusal::TooManyClients(self.most_clients))?;
        metrics::gauge!("headwater_live_clients").set(table.clients() as f64);
        Ok(Client::new(self.clone(), id, table.boot().to_owned(), wake))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.sources.clock.now().timestamp_millis()
    }

    /// The table. Nobody keeps it over an await.
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether somebody asks for something, after a change.
    pub(crate) fn look(&self) {
        let (followed, topics, unknown) = {
            let table = self.table();
            (table.is_followed(), table.topics(), table.has_unknown())
        };
        metrics::gauge!("headwater_live_topics").set(topics as f64);
        self.followed
            .send_if_modified(|known| std::mem::replace(known, followed) != followed);
        if unknown {
            self.unknown.notify_one();
        }
        self.asked.send_replace(());
    }

    /// Whether somebody asks for something; changes are told.
    pub(crate) fn followed(&self) -> watch::Receiver<bool> {
        self.followed.subscribe()
    }

    /// Is told when a client asks for something, or no longer does.
    pub(crate) fn asked(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    /// Tells all clients to go, and lets no further one in.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }
}
