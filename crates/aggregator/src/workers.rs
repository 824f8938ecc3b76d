//! Computation on all cores, beside the I/O of one thread.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Runs computations on a number of threads; with one thread they run where they are awaited.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    threads: usize,
    free: Arc<Semaphore>,
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Workers {
        let threads = threads.max(1);
        let free = Arc::new(Semaphore::new(threads));
        Workers { threads, free }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// What `work` returns. A panic in it goes on here.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if self.threads == 1 {
            return work();
        }
        let _turn = self.free.acquire().await;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only when the runtime ends, and then nobody waits for the answer.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
