//! Which query runs, and which waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Lets a number of queries run at a time, and a number wait.
#[derive(Debug)]
pub struct Turns {
    running: Arc<Semaphore>,
    waiting: AtomicU32,
    most_waiting: u32,
}

/// Why a query did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// It took longer than this, its wait included.
    #[error("the query took longer than {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// So many queries wait already.
    #[error("{0} queries wait already (MAX_WAITING_QUERIES)")]
    TooMany(u32),
}

/// A query's turn; it is over when this is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

/// Counts a query that waits until it is dropped.
struct Waiting<'t>(&'t AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    /// `most` run at a time and `most_waiting` wait.
    pub fn new(most: u32, most_waiting: u32) -> Turns {
        Turns {
            running: Arc::new(Semaphore::new(most as usize)),
            waiting: AtomicU32::new(0),
            most_waiting,
        }
    }

    /// Runs the query when it is its turn; its wait counts against `limit`. Dropping the future ends the query.
    ///
    /// # Errors
    ///
    /// A [`TurnError`] where the query did not run to its end, and the query's own.
    pub async fn run<T, E: From<TurnError>>(
        &self,
        limit: Duration,
        query: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let run = async {
            let _turn = self.take().await?;
            query.await
        };
        let done = timeout(limit, run).await;
        done.unwrap_or_else(|_| Err(TurnError::TimedOut(limit).into()))
    }

    /// Waits for a turn, which lasts until it is dropped.
    ///
    /// # Errors
    ///
    /// [`TurnError::TooMany`] where too many wait already.
    pub async fn take(&self) -> Result<Turn, TurnError> {
        let free = self.running.clone().try_acquire_owned();
        let turn = match free {
            Ok(turn) => Ok(turn),
            Err(_) => {
                let before = self.waiting.fetch_add(1, Relaxed);
                let _waiting = Waiting(&self.waiting);
                if before >= self.most_waiting {
                    return Err(TurnError::TooMany(self.most_waiting));
                }
                self.running.clone().acquire_owned().await
            }
        };
        // The semaphore never closes.
        turn.map(Turn)
            .map_err(|_| TurnError::TooMany(self.most_waiting))
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
        let stuck = || turns.run(second, pending::<Result<(), TurnError>>());
        let quick = |limit| turns.run(limit, async { Ok::<_, TurnError>(7) });
        let (first, waits, refused) = tokio::join!(stuck(), quick(3 * second), quick(second));
        assert!(matches!(first, Err(TurnError::TimedOut(limit)) if limit == second));
        assert_eq!(waits.unwrap(), 7);
        assert!(matches!(refused, Err(TurnError::TooMany(1))));
        let (_, late) = tokio::join!(stuck(), quick(second / 2));
        assert!(matches!(late, Err(TurnError::TimedOut(_))));
        assert_eq!(quick(second).await.unwrap(), 7);
    }
}
