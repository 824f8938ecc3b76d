//! The bound on memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many full batches may be in memory: one open, some being written, some waiting.
const BATCHES_IN_MEMORY: usize = 8;

/// Bounds the memory of messages that are received and not written yet.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// One for each free KiB.
    permits: Arc<Semaphore>,
    total_kib: u32,
}

impl Budget {
    /// A budget of eight batches, 1 MiB at least.
    pub(crate) fn for_batches_of(bytes: usize) -> Budget {
        let total_kib = kib(bytes.saturating_mul(BATCHES_IN_MEMORY)).max(1024);
        Budget {
            permits: Arc::new(Semaphore::new(total_kib as usize)),
            total_kib,
        }
    }

    /// Waits until at least one KiB is free.
    pub(crate) async fn available(&self) {
        // The semaphore is never closed.
        let _ = self.permits.acquire().await;
    }

    /// Takes that many bytes once they are free; of more than there are in total, all.
    pub(crate) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let share = kib(bytes).min(self.total_kib);
        self.permits.clone().acquire_many_owned(share).await.ok()
    }
}

fn kib(bytes: usize) -> u32 {
    // The bound is far below the most permits that a semaphore takes.
    bytes.div_ceil(1024).min(1 << 28) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_waited_for_and_given_back() {
        let budget = Budget::for_batches_of(1024 * 1024);
        let most = budget.take(100 * 1024 * 1024).await;
        assert!(most.is_some());
        let more = tokio::time::timeout(Duration::from_secs(60), budget.take(1)).await;
        assert!(more.is_err());
        drop(most);
        assert!(budget.take(1).await.is_some());
        budget.available().await;
    }
}
