//! Asks SQS how it is, no more often than need be.

use std::time::Duration;

use aws::{Depth, Queue};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Longest time that an answer is waited for: probes give up after a few seconds themselves.
const LONGEST: Duration = Duration::from_secs(3);

/// How old an answer may be for `/health`.
pub(crate) const FRESH: Duration = Duration::from_secs(2);

/// How old an answer may be for `/readyz`: each one is a billed request.
pub(crate) const RECENT: Duration = Duration::from_secs(10);

/// The queue's depth, remembered.
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

    /// The queue's depth, at most `age` old, or why SQS cannot be asked. Probes at the same time
    /// share one request; a failure is asked again after [`FRESH`].
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
