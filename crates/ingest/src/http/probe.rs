//! Asks SQS for the depth of the queue, for health and readiness: no more often than needed, because each request is
//! billed.

use std::time::Duration;

use aws::{Depth, Queue};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::queue::pack_sender::REFUSED;

/// Longest wait for SQS: whoever probes gives up after a few seconds.
const LONGEST: Duration = Duration::from_secs(3);

/// Greatest age of the depth that `/health` shows.
pub(crate) const FRESH: Duration = Duration::from_secs(2);

/// Greatest age of the depth that `/readyz` goes by.
pub(crate) const RECENT: Duration = Duration::from_secs(10);

/// The reason of a service that is not ready, where SQS cannot be reached, throttles or fails: it may pass by itself.
const UNREACHABLE: &str = "queue_unreachable";

/// The queue and its last known depth.
pub(crate) struct Probe {
    queue: Queue,
    last: Mutex<Option<(Instant, Result<Depth, &'static str>)>>,
}

impl Probe {
    pub(crate) fn new(queue: Queue) -> Probe {
        Probe {
            queue,
            last: Mutex::default(),
        }
    }

    /// The queue's depth, at most `age` old, or why SQS cannot be asked, as a code. Concurrent calls share one request;
    /// a failure is remembered for [`FRESH`]. What SQS says of itself is for the log alone: account, role and queue are
    /// nobody else's business.
    pub(crate) async fn depth(&self, age: Duration) -> Result<Depth, &'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last {
            let age = if result.is_ok() { age } else { FRESH };
            if at.elapsed() < age {
                return *result;
            }
        }
        let result = match timeout(LONGEST, self.queue.depth()).await {
            Ok(result) => result.map_err(|error| {
                warn!(event = "queue_depth_failed", %error, "cannot ask for the depth of the queue");
                if error.is_transient() {
                    UNREACHABLE
                } else {
                    REFUSED
                }
            }),
            Err(_) => {
                let waited = humantime::format_duration(LONGEST);
                warn!(event = "queue_depth_failed", "SQS did not tell the depth of the queue within {waited}");
                Err(UNREACHABLE)
            }
        };
        *last = Some((Instant::now(), result));
        result
    }
}
