//! What the handlers answer from.

use std::fmt;
use std::sync::Arc;

use service::keys::Keys;
use tokio::sync::watch;

use super::figures::QueueFigures;
use super::rules_view::RulesView;
use crate::journal::Journal;
use crate::notify::Routing;

/// What the handlers answer from.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) journal: Journal,
    pub(crate) routing: watch::Receiver<Arc<Routing>>,
    pub(crate) rules: Arc<dyn RulesView>,
    pub(crate) keys: Keys,
    pub(crate) figures: Option<watch::Receiver<Option<QueueFigures>>>,
    /// In milliseconds since 1970.
    pub(crate) started_at: i64,
}

impl ApiState {
    /// `keys` are those that clients may send.
    pub fn new(
        journal: Journal,
        routing: watch::Receiver<Arc<Routing>>,
        rules: Arc<dyn RulesView>,
        keys: Keys,
    ) -> ApiState {
        ApiState {
            started_at: journal.now(),
            keys,
            journal,
            routing,
            rules,
            figures: None,
        }
    }

    /// Tells what `figures` has of the queues.
    #[must_use]
    pub fn with_figures(mut self, figures: watch::Receiver<Option<QueueFigures>>) -> ApiState {
        self.figures = Some(figures);
        self
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}
