//! Asks SQS for the depth of the queue, for health and readiness: no more often than needed, because each request is
//! billed.

use std::time::Duration;

use aws::{Depth, Queue};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Longest wait for SQS: whoever probes gives up after a few seconds.
const LONGEST: Duration = Duration::from_secs(3);

/// Greatest age of the depth that `/health` shows.
pub(crate) const FRESH: Duration = Duration::from_secs(2);

/// Greatest age of the depth that `/readyz` goes by.
pub(crate) const RECENT: Duration = Duration::from_secs(10);

/// The queue and its last known depth.
pub(crate) struct Probe {
    queue: Queue,
    last: Mutex<Option<(Instant, Result<Depth, String>)>>,
}

impl Probe {
    pub(crate) fn new(queue: Queue) -> Probe {
        Probe {
            queue,
            last: Mutex::default(),
        }
    }

    /// The queue's depth, at most `age` old, or why SQS cannot be asked. Concurrent calls share one request; a
    /// failure is remembered for [`FRESH`].
    pub(crate) async fn depth(&self, age: Duration) -> Result<Depth, String> {
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last {
            let age = if result.is_ok() { age } else { FRESH };
            if at.elapsed() < age {
                return result.clone();
            }
        }
        let result = match timeout(LONGEST, self.queue.depth()).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!(
                "SQS did not answer within {}",
                humantime::format_duration(LONGEST)
            )),
        };
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
