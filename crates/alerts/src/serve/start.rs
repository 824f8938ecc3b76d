//! The service without a port of its own: settings are checked, and the lake is looked at.

use std::sync::{Arc, RwLock};

use anyhow::Context;
use aws::{Aws, Queue};
use axum::routing::MethodRouter;
use service::keys::Keys;
use service::metrics::Ready;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::Config;
use crate::notify::Transport;
use crate::serve::front::Front;
use crate::serve::rules_view::CurrentRules;
use crate::serve::shared::{Queues, Shared, note};
use crate::serve::term::{Ended, term};

/// The paths that [`Started::api`] answers.
pub const API: &str = "/api/{*rest}";

/// A service that may lead. Nothing happens before [`lead`](Started::lead).
pub struct Started {
    pub(super) shared: Arc<Shared>,
    front: Front,
}

impl Started {
    /// Answers requests to the API while [`lead`](Started::lead) goes on, and with 503 else.
    pub fn api(&self) -> MethodRouter {
        self.front.route()
    }

    /// Opens the log and stands by or leads, again if another process took over, until `stop`; then what is under way
    /// is recorded.
    ///
    /// # Errors
    ///
    /// If the log cannot be read or written.
    pub async fn lead(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let keys = &self.shared.keys;
        tokio::select! {
            ended = self.lead_again(stop) => ended,
            () = keys.follow(), if keys.has_file() => Ok(()),
        }
    }

    async fn lead_again(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        while term(self.shared.clone(), &self.front, stop.clone()).await? == Ended::LostLead {}
        Ok(())
    }
}

/// Looks at the lake, the queues, the rules and the routes.
///
/// # Errors
///
/// If a setting or a file is wrong, S3 cannot be reached, or the bucket is missing.
pub async fn start(
    config: Config,
    aws: &Aws,
    transport: Arc<dyn Transport>,
) -> anyhow::Result<Started> {
    config.check()?;
    let bucket = &config.lake.lake_bucket;
    let lake = aws.lake(bucket);
    let probed = lake.probe().await.map_err(|error| aws.explain(error));
    probed.with_context(|| format!("cannot read the lake `{bucket}`"))?;
    let without = "a stopped consumer looks like silent devices";
    let events = find(aws, &config.queue.queue_name, without).await;
    let without = "rules about `dead_letters` have no data";
    let dead_letters = find(aws, &config.dlq.dlq_name, without).await;
    let (rules, routing) = (config.rules()?, config.routing()?);
    let kinds = Arc::new(config.kinds()?);
    note(&rules, &kinds);
    let shown = Arc::new(CurrentRules::default());
    shown.set(&rules);
    let clock = aws.clock();
    let keys = Keys::load(&config.keys()?, move || clock.now())?;
    let shared = Shared {
        keys,
        lake,
        queues: Queues {
            events,
            dead_letters,
        },
        kinds,
        clock,
        ready: Ready::default(),
        transport,
        routing: watch::Sender::new(Arc::new(routing)),
        shown,
        reload: watch::Sender::new(0),
        rules: RwLock::new(rules),
        figures: watch::Sender::new(None),
        config,
    };
    Ok(Started {
        shared: Arc::new(shared),
        front: Front::default(),
    })
}

/// The queue of that name, if it can be asked what it holds.
async fn find(aws: &Aws, name: &str, without: &str) -> Option<Queue> {
    match aws.queue(name).await {
        Ok(queue) => Some(queue),
        Err(error) => {
            let reason = service::errors::chain(&error);
            warn!(event = "no_queue", %reason, "cannot ask what waits in the queue `{name}`: {without}");
            None
        }
    }
}
