//! Whether a service is ready for work: it serves, and what it needs has answered well the last time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whether a service is ready for work, and if not, why; its probes tell it. Clones share the state. Not ready until
/// [`set`](Ready::set) says so.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// The last answers that were failures, by what gave them, such as `sqs:SendMessageBatch`.
    failures: BTreeMap<&'static str, Failure>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    code: &'static str,
    at: Instant,
    lasts: Duration,
}

impl Ready {
    /// Sets whether the service serves; false after true says that it is stopping.
    pub fn set(&self, serves: bool) {
        let mut state = self.state();
        state.phase = match (serves, state.phase) {
            (true, _) => Phase::Serving,
            (false, Phase::Starting) => Phase::Starting,
            (false, _) => Phase::Stopping,
        };
    }

    /// The last answer of `dependency` was good.
    pub fn succeeded(&self, dependency: &'static str) {
        self.state().failures.remove(dependency);
    }

    /// The last answer of `dependency` was a failure: the service is not ready, with the reason `code`, until
    /// [`succeeded`](Ready::succeeded) is called for the same dependency or `lasts` is over. A service that asks its
    /// dependency by itself gives [`Duration::MAX`]. One that asks only when it is given work needs a bound: without
    /// work it could not find out that all is well again.
    pub fn failed(&self, dependency: &'static str, code: &'static str, lasts: Duration) {
        let at = Instant::now();
        let failure = Failure { code, at, lasts };
        self.state().failures.insert(dependency, failure);
    }

    /// Whether the service is ready.
    pub fn get(&self) -> bool {
        self.reason().is_none()
    }

    /// Why the service is not ready: `starting`, `stopping`, or the code of a failure. `None` if it is ready.
    pub fn reason(&self) -> Option<&'static str> {
        let state = self.state();
        match state.phase {
            Phase::Starting => return Some("starting"),
            Phase::Stopping => return Some("stopping"),
            Phase::Serving => {}
        }
        let mut failures = state.failures.values();
        let current = failures.find(|failure| failure.at.elapsed() < failure.lasts);
        current.map(|failure| failure.code)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_is_ready_while_it_serves_and_its_last_answers_were_good() {
        let ready = Ready::default();
        ready.set(false);
        assert_eq!(ready.reason(), Some("starting"));
        ready.set(true);
        assert!(ready.get());
        ready.failed("s3", "lake_unreachable", Duration::MAX);
        ready.failed("sqs", "queue_unreachable", Duration::from_secs(30));
        ready.succeeded("sqs");
        advance(Duration::from_secs(86_400)).await;
        assert_eq!(ready.reason(), Some("lake_unreachable"));
        ready.succeeded("s3");
        assert!(ready.get());
        ready.failed("sqs", "queue_refused", Duration::from_secs(30));
        advance(Duration::from_secs(29)).await;
        assert_eq!(ready.reason(), Some("queue_refused"));
        advance(Duration::from_secs(2)).await;
        assert!(ready.get(), "the failure is too old to count");
        ready.set(false);
        assert_eq!(ready.reason(), Some("stopping"));
    }
}
