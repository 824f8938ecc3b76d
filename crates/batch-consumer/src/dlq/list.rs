//! Looking at letters.

use aws::{CallError, Queue};
use contract::Kinds;
use tokio_util::sync::CancellationToken;

use super::filter::Filter;
use super::summary::{Letter, Summary};
use super::sweep::{Looked, Sweep};

/// What a listing found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The letters that match the filter, oldest first.
    pub letters: Vec<Summary>,
    /// How many letters were looked at.
    pub looked: Looked,
    /// Whether the limit or `stop` ended the listing before all letters were seen.
    pub partial: bool,
}

/// What was found of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The letter; `None` if no letter that was looked at has the message id.
    pub letter: Option<Letter>,
    /// How many letters were looked at.
    pub looked: Looked,
}

/// Lists the letters that match `filter`. All letters are visible again when it returns.
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
    let mut sweep = Sweep::open(dlq, stop).await?;
    let mut listing = Listing::default();
    while let Some(messages) = sweep.next().await {
        let picked = filter.pick(messages, listing.letters.len());
        let summaries = picked.iter().map(|message| Summary::of(kinds, message));
        listing.letters.extend(summaries);
        if filter.is_satisfied(listing.letters.len()) {
            listing.partial = true;
            break;
        }
    }
    listing.partial |= stop.is_cancelled();
    listing.looked = sweep.close(listing.partial).await?;
    listing
        .letters
        .sort_by(|a, b| (a.received_at, &a.message_id).cmp(&(b.received_at, &b.message_id)));
    Ok(listing)
}

/// Looks for the letter with that message id.
///
/// # Errors
///
/// [`CallError`] of a receive.
pub async fn show(
    dlq: &Queue,
    kinds: &Kinds,
    message_id: &str,
    stop: &CancellationToken,
) -> Result<Shown, CallError> {
    let mut sweep = Sweep::open(dlq, stop).await?;
    let mut found = None;
    while let Some(messages) = sweep.next().await {
        found = messages.into_iter().find(|one| one.id == message_id);
        if found.is_some() {
            break;
        }
    }
    let looked = sweep.close(found.is_some()).await?;
    let letter = found.map(|message| Letter::of(kinds, message));
    Ok(Shown { letter, looked })
}
