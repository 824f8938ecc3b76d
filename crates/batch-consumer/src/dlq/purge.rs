//! Deleting letters for good.

use aws::{CallError, Queue};
use tokio_util::sync::CancellationToken;

use super::filter::Filter;
use super::sweep::{Looked, Sweep};

/// How a purge went.
#[derive(Debug, Default)]
pub struct Purged {
    /// Letters that match the filter.
    pub matched: usize,
    /// Letters that were deleted; 0 in a dry run.
    pub deleted: usize,
    /// Letters that could not be deleted; they stay.
    pub undeleted: usize,
    /// The last deletion that failed.
    pub failure: Option<CallError>,
    /// How many letters were looked at.
    pub looked: Looked,
    /// Whether `stop` came before all letters were seen.
    pub stopped: bool,
}

/// Deletes the letters that match `filter`; a dry run only counts them. The queue itself is not
/// purged, so that the count is exact and letters that come meanwhile, past the filter's instant, stay.
///
/// # Errors
///
/// [`CallError`] of a receive; the letters that were deleted before stay deleted.
pub async fn purge(
    dlq: &Queue,
    filter: &Filter,
    dry_run: bool,
    stop: &CancellationToken,
) -> Result<Purged, CallError> {
    let mut sweep = Sweep::open(dlq, stop).await?;
    let mut purged = Purged::default();
    while let Some(messages) = sweep.next().await {
        let letters = filter.pick(messages, purged.matched);
        purged.matched += letters.len();
        if !dry_run {
            let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
            let failures = sweep.delete(&ids).await;
            purged.deleted += ids.len() - failures.len();
            purged.undeleted += failures.len();
            purged.failure = failures.into_iter().next_back().or(purged.failure.take());
        }
        if filter.is_satisfied(purged.matched) {
            break;
        }
    }
    purged.stopped = stop.is_cancelled();
    let enough = filter.is_satisfied(purged.matched);
    purged.looked = sweep.close(enough).await?;
    Ok(purged)
}
