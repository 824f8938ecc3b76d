//! Requests on their way to a group: the number of bodies that are being read, so that a group may wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Arrivals {
    count: AtomicUsize,
    /// Told when the last one has arrived or was given up.
    pub(crate) none_left: Notify,
}

impl Arrivals {
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one more, until the guard is dropped.
    pub(crate) fn one_more(self: &Arc<Arrivals>) -> Arriving {
        self.count.fetch_add(1, Ordering::Relaxed);
        Arriving(Some(self.clone()))
    }
}

/// One request that is being read.
pub(crate) struct Arriving(Option<Arc<Arrivals>>);

impl Arriving {
    /// No group waits for this request any longer.
    pub(crate) fn give_up(&mut self) {
        if let Some(arrivals) = self.0.take()
            && arrivals.count.fetch_sub(1, Ordering::Relaxed) == 1
        {
            arrivals.none_left.notify_one();
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.give_up();
    }
}
