//! Looking at letters.

use aws::{CallError, Queue};
use contract::Kinds;
use tokio_util::sync::CancellationToken;

use super::summary::{Letter, Summary};
use super::sweep::{Filter, Sweep};

/// What a listing found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The letters that are meant.
    pub letters: Vec<Summary>,
    /// How many letters were looked at.
    pub seen: usize,
    /// Whether it ended before all were seen, by its limit or by `stop`.
    pub partial: bool,
}

/// Lists the letters that `filter` means, oldest first. All are visible again when it returns.
///
/// # Errors
///
/// [`CallError`] of a receive.
pub async fn list(
    dlq: &Queue,
    kinds: &Kinds,
    filter: &Filter,
    stop: &CancellationToken,
) -> Result<Listing, CallError> {
    let (mut sweep, _) = Sweep::open(dlq).await?;
    let mut listing = Listing::default();
    let result = async {
        while let Some(messages) = sweep.next(stop).await? {
            let picked = filter.pick(messages, listing.letters.len());
            let summaries = picked.iter().map(|message| Summary::of(kinds, message));
            listing.letters.extend(summaries);
            if filter.is_satisfied(listing.letters.len()) {
                listing.partial = true;
                break;
            }
        }
        Ok(())
    }
    .await;
    listing.seen = sweep.seen();
    listing.partial |= stop.is_cancelled();
    sweep.close().await;
    result?;
    listing
        .letters
        .sort_by(|a, b| (a.received_at, &a.message_id).cmp(&(b.received_at, &b.message_id)));
    Ok(listing)
}

/// The letter with that message id; none if there is none.
///
/// # Errors
///
/// [`CallError`] of a receive.
pub async fn show(
    dlq: &Queue,
    kinds: &Kinds,
    message_id: &str,
    stop: &CancellationToken,
) -> Result<Option<Letter>, CallError> {
    let (mut sweep, _) = Sweep::open(dlq).await?;
    let result = async {
        while let Some(messages) = sweep.next(stop).await? {
            if let Some(found) = messages.into_iter().find(|one| one.id == message_id) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
    .await;
    sweep.close().await;
    Ok(result?.map(|message| Letter::of(kinds, message)))
}
