//! What the parts of the service share.

use std::sync::{Arc, PoisonError, RwLock};

use aws::{Clock, Lake, Queue};
use contract::Kinds;
use service::keys::Keys;
use service::metrics::Ready;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::api::QueueFigures;
use crate::config::Config;
use crate::notify::{Routing, Transport};
use crate::rules::Rules;
use crate::serve::rules_view::CurrentRules;

/// What a failed look at the lake is called in [`Ready`].
pub(super) const LAKE: &str = "lake";

/// The queues that are asked what they hold, where they can be asked.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    pub(super) events: Option<Queue>,
    pub(super) dead_letters: Option<Queue>,
}

/// What the parts of the service share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) keys: Keys,
    pub(super) lake: Lake,
    pub(super) queues: Queues,
    pub(super) kinds: Arc<Kinds>,
    pub(super) clock: Clock,
    pub(super) ready: Ready,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) routing: watch::Sender<Arc<Routing>>,
    pub(super) shown: Arc<CurrentRules>,
    /// Changes each time that other rules are taken.
    pub(super) reload: watch::Sender<u64>,
    pub(super) rules: RwLock<Rules>,
    /// What is known of the queues; None while this process does not lead.
    pub(super) figures: watch::Sender<Option<QueueFigures>>,
}

impl Shared {
    /// The rules as they were read last.
    pub(super) fn rules(&self) -> Rules {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads rules and routes again. If anything in them is not taken, all of those from before stay.
    pub(super) fn read_again(&self) {
        let read = self
            .config
            .rules()
            .and_then(|rules| Ok((rules, self.config.routing()?)));
        let (rules, routing) = match read {
            Ok(read) => read,
            Err(reason) => return refuse(&reason),
        };
        note(&rules, &self.kinds);
        info!(
            event = "reloaded",
            rules = rules.all.len(),
            "rules and routes were read again"
        );
        self.shown.set(&rules);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.routing.send_replace(Arc::new(routing));
        self.reload.send_modify(|times| *times += 1);
    }
}

/// Says what is special about `rules`.
pub(super) fn note(rules: &Rules, kinds: &Kinds) {
    for note in rules.notes.iter().chain(&rules.undeclared(kinds)) {
        warn!(event = "rules_note", "{note}");
    }
}

/// Says why rules are not taken; those from before stay.
fn refuse(reason: &anyhow::Error) {
    metrics::counter!("headwater_alerts_refused_reloads_total").increment(1);
    error!(
        event = "reload_refused",
        reason = format!("{reason:#}"),
        "the rules from before stay: {reason:#}"
    );
}
