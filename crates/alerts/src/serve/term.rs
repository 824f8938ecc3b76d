//! One time at the log: stand by, lead, and end by a stop or because another process leads.

use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
use uuid::Uuid;

use crate::api::{ApiState, router};
use crate::journal::{Journal, JournalError, JournalSettings, JournalWriter};
use crate::notify::Notifier;
use crate::serve::evaluating::Evaluating;
use crate::serve::front::Front;
use crate::serve::shared::{LAKE, Shared};

/// How a time at the log ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The service was told to stop.
    Stopped,
    /// Another process leads: this one may stand by.
    LostLead,
}

/// Opens the log, and evaluates and answers until `stop`, or until another process leads.
pub(super) async fn term(
    shared: Arc<Shared>,
    front: &Front,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    let settings = JournalSettings {
        snapshot_every: shared.config.snapshot_every,
        ..JournalSettings::new(Uuid::new_v4())
    };
    let opened = Journal::open(shared.lake.clone(), shared.clock, settings).await;
    let (journal, writer) = opened.context("cannot open the log of alerts")?;
    let api = ApiState::new(
        journal.clone(),
        shared.routing.subscribe(),
        shared.shown.clone(),
        shared.keys.clone(),
    )
    .with_figures(shared.figures.subscribe());
    let _open = front.open(router(api));
    work(shared, journal, writer, stop).await
}

async fn work(
    shared: Arc<Shared>,
    journal: Journal,
    writer: JournalWriter,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    // The log is written until all that is under way is recorded.
    let last = CancellationToken::new();
    let mut writing: BoxFuture<'_, _> = Box::pin(writer.run(&last));
    let notifier = Notifier::new(
        journal.clone(),
        shared.routing.subscribe(),
        shared.transport.clone(),
    );
    // A task of its own: however long it computes, the log is written meanwhile, or another process would take over.
    let leading = tokio::spawn(lead(shared, journal, stop.clone()));
    let leading = AbortOnDropHandle::new(leading);
    let notifying: BoxFuture<'_, _> = Box::pin(notifier.run(&stop));
    let working = async {
        let leading = async { leading.await? };
        let notifying = async { notifying.await.map_err(anyhow::Error::from) };
        let ended = tokio::try_join!(leading, notifying);
        last.cancel();
        ended.map(|_| ())
    };
    // Once the log is no longer written, nothing of this process may be sent: what is under way is dropped.
    let mut working = std::pin::pin!(working);
    let written = tokio::select! {
        biased;
        written = &mut writing => written,
        worked = &mut working => {
            let written = writing.await;
            if written.is_ok() {
                worked?;
            }
            written
        }
    };
    match written {
        Ok(()) => Ok(Ended::Stopped),
        Err(lost @ JournalError::LostLead(_)) => {
            warn!(event = "lost_lead", "{lost}: this one stands by");
            Ok(Ended::LostLead)
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits until this process leads, and evaluates until `stop`.
async fn lead(
    shared: Arc<Shared>,
    journal: Journal,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if !journal.is_leader() {
        // Another process evaluates: this one does what it should.
        shared.ready.succeeded(LAKE);
        shared.ready.set(true);
    }
    let Some(leads) = stop.run_until_cancelled(journal.until_leader()).await else {
        return Ok(());
    };
    leads?;
    let figures = shared.figures.clone();
    let ended = Evaluating::begin(shared, journal).run(stop).await;
    figures.send_replace(None);
    ended
}
