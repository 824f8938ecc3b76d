//! Sending letters back to the queue of events.

use aws::{CallError, Message, Outgoing, Queue};
use contract::{ATTRIBUTE_CODEC, ATTRIBUTE_REASON};
use tokio_util::sync::CancellationToken;

use super::sweep::{Filter, Sweep};
use crate::receive::dead_letter::{
    ATTRIBUTE_DETAIL, ATTRIBUTE_RECEIVED_AT, ATTRIBUTE_SOURCE, received_at,
};

/// How a replay went.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Letters that were meant.
    pub matched: usize,
    /// Letters that are in the queue of events again; none in a dry run.
    pub sent: usize,
    /// Letters that could not be sent; they stay.
    pub unsent: usize,
    /// Letters that were sent and could not be deleted: a later replay sends them again.
    pub undeleted: usize,
    /// The last failure.
    pub failure: Option<CallError>,
    /// Whether `stop` ended it early.
    pub stopped: bool,
}

/// Sends the letters that `filter` means to `queue`, each as it was before it died, and deletes
/// each only once it is sent: cut off halfway and run again it may send one twice, and loses none.
/// A dry run only counts. The letters that stay are visible again when it returns.
///
/// `progress` is told how many letters have been dealt with, and how many there are, about.
///
/// # Errors
///
/// [`CallError`] of a receive; what was replayed until then stays so.
pub async fn replay(
    dlq: &Queue,
    queue: &Queue,
    filter: &Filter,
    dry_run: bool,
    stop: &CancellationToken,
    mut progress: impl FnMut(usize, usize),
) -> Result<Replayed, CallError> {
    let (mut sweep, depth) = Sweep::open(dlq).await?;
    let mut replayed = Replayed::default();
    let result = async {
        while let Some(messages) = sweep.next(stop).await? {
            let letters = filter.pick(messages, replayed.matched);
            replayed.matched += letters.len();
            if !dry_run {
                send(&mut sweep, queue, &letters, &mut replayed).await;
            }
            progress(replayed.matched, filter.limit.unwrap_or(depth).min(depth));
            if filter.is_satisfied(replayed.matched) {
                break;
            }
        }
        Ok(())
    }
    .await;
    replayed.stopped = stop.is_cancelled();
    sweep.close().await;
    result.map(|()| replayed)
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

/// The letter as a message of the queue of events. Plain events keep the time at which they were
/// received first, so that one which is replayed twice gives the same line twice.
fn revived(letter: &Message) -> Outgoing {
    let mut attributes = letter.attributes.clone();
    for name in [ATTRIBUTE_REASON, ATTRIBUTE_DETAIL, ATTRIBUTE_SOURCE] {
        attributes.remove(name);
    }
    if attributes.contains_key(ATTRIBUTE_CODEC) {
        // A pack's lines say themselves when they were received.
        attributes.remove(ATTRIBUTE_RECEIVED_AT);
    } else {
        attributes.insert(
            ATTRIBUTE_RECEIVED_AT.to_owned(),
            contract::format_millis(received_at(letter)),
        );
    }
    Outgoing {
        body: letter.body.clone(),
        attributes,
    }
}
