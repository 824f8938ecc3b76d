//! Giving messages back to the queue.

use std::time::Duration;

use aws::Queue;
use tracing::info;

/// Calls at once: at a stop there may be hundreds of messages, and little time.
const CALLS_AT_ONCE: usize = 8;

/// Makes the deliveries visible again at once; one that fails comes back by itself, when its visibility timeout ends.
pub(crate) async fn give_back(queue: &Queue, receipt_handles: &[String]) {
    if receipt_handles.is_empty() {
        return;
    }
    let share = receipt_handles.len().div_ceil(CALLS_AT_ONCE);
    let calls = receipt_handles
        .chunks(share)
        .map(|handles| queue.change_visibility(handles, Duration::ZERO));
    let results = futures::future::join_all(calls).await;
    let failed = results.iter().flatten().filter(|result| result.is_err());
    let failed = failed.count();
    info!(
        event = "given_back",
        messages = receipt_handles.len() - failed,
        failed,
        "made messages visible to other consumers again"
    );
}
