//! Which query runs, and which waits.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::refusal::Refusal;

/// Lets a number of queries run at a time, and a number wait.
pub(crate) struct Turns {
    running: Semaphore,
    waiting: AtomicU32,
    most_waiting: u32,
}

/// Counts a query that waits until it is dropped.
struct Waiting<'t>(&'t AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    pub(crate) fn new(most: u32, most_waiting: u32) -> Turns {
        Turns {
            running: Semaphore::new(most as usize),
            waiting: AtomicU32::new(0),
            most_waiting,
        }
    }

    /// Runs the query when it is its turn; its wait counts against `limit`. Dropping the future ends the query.
    pub(crate) async fn run<T>(
        &self,
        limit: Duration,
        query: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let run = async {
            let turn = match self.running.try_acquire() {
                Ok(turn) => Ok(turn),
                Err(_) => {
                    let before = self.waiting.fetch_add(1, Relaxed);
                    let _waiting = Waiting(&self.waiting);
                    if before >= self.most_waiting {
                        return Err(Refusal::TooManyQueries(self.most_waiting));
                    }
                    self.running.acquire().await
                }
            };
            // The semaphore never closes.
            let _turn = turn.map_err(|_| Refusal::Fault)?;
            query.await
        };
        let done = timeout(limit, run).await;
        done.unwrap_or(Err(Refusal::TimedOut(limit)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn queries_past_the_queue_are_refused_and_waiting_ones_run_in_time() {
        let turns = Turns::new(1, 1);
        let second = Duration::from_secs(1);
        let stuck = || turns.run(second, pending::<Result<(), Refusal>>());
        let quick = |limit| turns.run(limit, async { Ok(7) });
        let (first, waits, refused) = tokio::join!(stuck(), quick(3 * second), quick(second));
        assert!(matches!(first, Err(Refusal::TimedOut(limit)) if limit == second));
        assert_eq!(waits.unwrap(), 7);
        assert!(matches!(refused, Err(Refusal::TooManyQueries(1))));
        let (_, late) = tokio::join!(stuck(), quick(second / 2));
        assert!(matches!(late, Err(Refusal::TimedOut(_))));
        assert_eq!(quick(second).await.unwrap(), 7);
    }
}
