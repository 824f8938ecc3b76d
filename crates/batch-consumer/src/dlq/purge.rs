//! Deleting letters for good.

use aws::{CallError, Queue};
use tokio_util::sync::CancellationToken;

use super::sweep::{Filter, Sweep};

/// How a purge went.
#[derive(Debug, Default)]
pub struct Purged {
    /// Letters that were meant.
    pub matched: usize,
    /// Letters that are deleted; none in a dry run.
    pub deleted: usize,
    /// Letters that could not be deleted; they stay.
    pub undeleted: usize,
    /// The last failure.
    pub failure: Option<CallError>,
    /// Whether `stop` ended it early.
    pub stopped: bool,
}

/// Deletes the letters that `filter` means; a dry run only counts. They are deleted one by one, so
/// that the count is exact and letters that come meanwhile, past the filter's instant, stay.
///
/// # Errors
///
/// [`CallError`] of a receive; what was deleted until then stays so.
pub async fn purge(
    dlq: &Queue,
    filter: &Filter,
    dry_run: bool,
    stop: &CancellationToken,
) -> Result<Purged, CallError> {
    let (mut sweep, _) = Sweep::open(dlq).await?;
    let mut purged = Purged::default();
    let result = async {
        while let Some(messages) = sweep.next(stop).await? {
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
        Ok(())
    }
    .await;
    purged.stopped = stop.is_cancelled();
    sweep.close().await;
    result.map(|()| purged)
}
