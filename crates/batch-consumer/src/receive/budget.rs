//! The bound on memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many full batches may be in memory: one open, some being written, some waiting.
const BATCHES_IN_MEMORY: usize = 8;

/// Bounds the memory of what was received and is not written yet.
#[derive(Debug, Clone)]
pub struct Budget {
    permits: Arc<Semaphore>,
    /// All there are, in KiB.
    size: u32,
}

impl Budget {
    /// Budget for eight batches of that many bytes.
    pub fn for_batches_of(bytes: usize) -> Budget {
        let size = kib(bytes.saturating_mul(BATCHES_IN_MEMORY)).max(1024);
        Budget {
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
        }
    }

    /// Waits until there is some.
    pub async fn available(&self) {
        // The semaphore is never closed.
        let _ = self.permits.acquire().await;
    }

    /// Takes that many bytes, at most all there are, as soon as they are free.
    pub async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let size = kib(bytes).min(self.size);
        self.permits.clone().acquire_many_owned(size).await.ok()
    }
}

fn kib(bytes: usize) -> u32 {
    // Far below the most permits that a semaphore takes.
    u32::try_from(bytes.div_ceil(1024))
        .unwrap_or(u32::MAX)
        .min(1 << 28)
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
