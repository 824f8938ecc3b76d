//! Sending letters back to the queue of events.

use aws::{CallError, MAX_BATCH_BYTES, Message, Outgoing, Queue};
use contract::{ATTRIBUTE_REASON, Envelope};
use tokio_util::sync::CancellationToken;

use super::filter::Filter;
use super::sweep::{Looked, Sweep};
use crate::receive::dead_letter::{ATTRIBUTE_DETAIL, ATTRIBUTE_SOURCE, ATTRIBUTE_WHOLE};
use crate::receive::receipt::{ATTRIBUTE_RECEIVED_AT, received_at};

/// How a replay went.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Letters that match the filter.
    pub matched: usize,
    /// Letters that are in the queue of events again; 0 in a dry run.
    pub sent: usize,
    /// Letters that could not be sent; they stay.
    pub unsent: usize,
    /// Letters that match and hold only the beginning of their body, see `whole_body` in their attributes. They are not
    /// sent, and stay: what they hold is not what was received.
    pub cut: usize,
    /// Letters that were sent and could not be deleted: a later replay sends them again.
    pub undeleted: usize,
    /// The last sending or deletion that failed.
    pub failure: Option<CallError>,
    /// How many letters were looked at.
    pub looked: Looked,
    /// Whether `stop` came before all letters were seen.
    pub stopped: bool,
}

/// Sends the letters that match `filter` to `queue`, each as its message was before, and deletes each
/// letter only after that: a replay that is cut off and run again may send a letter twice, and loses
/// none. A dry run only counts. The letters that stay are visible again when it returns.
///
/// `progress` is told how many letters were dealt with, and approximately how many there are.
///
/// # Errors
///
/// [`CallError`] of a receive; the letters that were replayed before stay replayed.
pub async fn replay(
    dlq: &Queue,
    queue: &Queue,
    filter: &Filter,
    dry_run: bool,
    stop: &CancellationToken,
    mut progress: impl FnMut(usize, usize),
) -> Result<Replayed, CallError> {
    let mut sweep = Sweep::open(dlq, stop).await?;
    let all = filter.limit.unwrap_or(usize::MAX).min(sweep.depth);
    let mut replayed = Replayed::default();
    while let Some(messages) = sweep.next().await {
        let mut letters = filter.pick(messages, replayed.matched);
        let matched = letters.len();
        replayed.matched += matched;
        letters.retain(|letter| !letter.attributes.contains_key(ATTRIBUTE_WHOLE));
        replayed.cut += matched - letters.len();
        if !dry_run {
            send(&mut sweep, queue, &letters, &mut replayed).await;
        }
        progress(replayed.matched, all);
        if filter.is_satisfied(replayed.matched) {
            break;
        }
    }
    replayed.stopped = stop.is_cancelled();
    let enough = filter.is_satisfied(replayed.matched);
    replayed.looked = sweep.close(enough).await?;
    Ok(replayed)
}

async fn send(sweep: &mut Sweep<'_>, queue: &Queue, letters: &[Message], replayed: &mut Replayed) {
    let outgoing: Vec<Outgoing> = letters.iter().map(revived).collect();
    let mut sent = Vec::with_capacity(letters.len());
    for (letter, result) in letters.iter().zip(queue.send(&outgoing).await) {
        match result {
            Ok(()) => sent.push(letter.id.clone()),
            Err(error) => {
                replayed.unsent += 1;
                replayed.failure = Some(error);
            }
        }
    }
    replayed.sent += sent.len();
    let failures = sweep.delete(&sent).await;
    replayed.undeleted += failures.len();
    replayed.failure = failures.into_iter().next_back().or(replayed.failure.take());
}

/// The letter as a message of the queue of events. Plain events keep their first time of receipt, so
/// that an event which is replayed twice gives the same line twice; where SQS would take no attribute more, the time of
/// the sending takes its place.
fn revived(letter: &Message) -> Outgoing {
    let mut attributes = letter.attributes.clone();
    for name in [ATTRIBUTE_REASON, ATTRIBUTE_DETAIL, ATTRIBUTE_SOURCE] {
        attributes.remove(name);
    }
    if Envelope::read(&letter.body, &letter.attributes).is_pack() {
        // The lines of a pack have their time of receipt.
        attributes.remove(ATTRIBUTE_RECEIVED_AT);
    } else {
        attributes.insert(
            ATTRIBUTE_RECEIVED_AT.to_owned(),
            contract::format_millis(received_at(letter)),
        );
    }
    let mut outgoing = Outgoing {
        body: letter.body.clone(),
        attributes,
    };
    if outgoing.size() > MAX_BATCH_BYTES {
        outgoing.attributes.remove(ATTRIBUTE_RECEIVED_AT);
    }
    outgoing
}
