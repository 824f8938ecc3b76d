//! Computation that takes long enough to keep others waiting.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work` on this thread, and lets the other tasks of a runtime with several threads go on meanwhile. To be
/// called within a runtime.
pub(super) fn compute<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    if flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread) {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
