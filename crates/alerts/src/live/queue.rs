//! How many messages a queue has: where events wait, silence in the lake says nothing about devices.

use std::time::Duration;

use aws::Queue;
use tokio::time::Instant;
use tracing::warn;

/// Time between two looks at the queue of events. Until then events count as being on their way, which takes them a
/// little longer ([`WatermarkSettings::way`](windows::WatermarkSettings::way)).
pub const QUEUE_EVERY: Duration = Duration::from_secs(5);

/// What a queue holds, as of the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages in all states; None if there is no queue to look at, or it does not answer.
    pub messages: Option<u64>,
    /// Whether messages may wait: there are some, or the queue does not answer.
    pub may_wait: bool,
    /// When the queue was asked; None if there is no queue. What came since may wait all the same.
    pub asked: Option<Instant>,
    /// No look since this time, in milliseconds since 1970, has found the queue empty. None while it is empty, or
    /// nothing is known.
    pub since: Option<i64>,
}

/// Looks at a queue now and then; each look is billed.
#[derive(Debug)]
pub struct QueueLook {
    queue: Option<Queue>,
    every: Duration,
    looked: Option<Instant>,
    waiting: Waiting,
    /// When the queue was found empty last; the first look, until it is.
    empty_at: Option<i64>,
}

impl QueueLook {
    /// Looks at `queue` at most once in `every`. Without a queue, nothing ever seems to wait.
    pub fn new(queue: Option<Queue>, every: Duration) -> QueueLook {
        QueueLook {
            queue,
            every,
            looked: None,
            waiting: Waiting::default(),
            empty_at: None,
        }
    }

    /// What waits, as of a look that is `every` old at most; `now` is the time of day.
    pub async fn waiting(&mut self, now: i64) -> Waiting {
        let Some(queue) = &self.queue else {
            return Waiting::default();
        };
        if self.looked.is_some_and(|at| at.elapsed() < self.every) {
            return self.waiting;
        }
        let was_answered = self.looked.is_none() || self.waiting.messages.is_some();
        // Before the answer, which may be late.
        let asked = Instant::now();
        let depth = queue.depth().await;
        self.looked = Some(Instant::now());
        let messages = match depth {
            Ok(depth) => Some(depth.total()),
            Err(error) => {
                if was_answered {
                    let reason = service::errors::chain(&error);
                    warn!(
                        event = "queue_unknown",
                        queue = queue.name(),
                        %reason,
                        "cannot ask how many messages wait in `{}`: what depends on it waits until it answers",
                        queue.name()
                    );
                }
                None
            }
        };
        self.take(messages, now, asked);
        self.waiting
    }

    fn take(&mut self, messages: Option<u64>, now: i64, asked: Instant) {
        if messages == Some(0) || self.empty_at.is_none() {
            self.empty_at = Some(now);
        }
        self.waiting = Waiting {
            messages,
            may_wait: messages != Some(0),
            asked: Some(asked),
            since: messages.filter(|count| *count > 0).and(self.empty_at),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_queue_nothing_waits_and_nothing_is_known() {
        let mut look = QueueLook::new(None, Duration::from_secs(5));
        let waiting = look.waiting(1_000).await;
        assert_eq!((waiting.messages, waiting.may_wait), (None, false));
    }

    #[test]
    fn the_time_since_which_messages_wait_is_that_of_the_last_empty_look() {
        let mut look = QueueLook::new(None, Duration::from_secs(5));
        let mut since = |messages, now| {
            look.take(messages, now, Instant::now());
            (look.waiting.may_wait, look.waiting.since)
        };
        assert_eq!(since(Some(3), 10), (true, Some(10)));
        assert_eq!(since(Some(3), 20), (true, Some(10)));
        assert_eq!(since(Some(0), 30), (false, None));
        assert_eq!(since(None, 40), (true, None));
        assert_eq!(since(Some(1), 50), (true, Some(30)));
    }
}
