//! Batch calls: what goes into one call, and how each of its entries fares. Entries that fail alone through no fault
//! of their own are sent again alone, so that one bad entry neither stops nor repeats its neighbours.

use std::time::Duration;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use backon::{BackoffBuilder, ExponentialBuilder};
use planted::Defect;

use crate::error::CallError;
use crate::queue::message::Outgoing;

/// Most entries of a batch call (SQS API reference, `SendMessageBatch`, read 2026-11-21).
pub const MAX_ENTRIES: usize = 10;

/// Most bytes of a message and of a batch call, attributes included: 1 MiB since August 2025, 256 KiB before
/// (SQS API reference, `SendMessageBatch`, read 2026-11-21).
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// The pauses between attempts at entries that failed alone: six, of 50 ms doubling to at most 2 s, each lengthened at
/// random by up to its own length: 3.2 to 6.3 s in all.
pub fn retry_delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(6)
        .with_jitter()
        .build()
}

/// The answer to a batch call: the ids of the entries that succeeded, and the entries that failed. An entry in neither
/// has failed too.
type BatchAnswer = (Vec<String>, Vec<BatchResultErrorEntry>);

type EntryResult = Result<(), CallError>;

/// Makes a batch call for entries `0..count`, and again for the entries that failed alone through no fault of their
/// own, for as long as [`retry_delays`] lasts. `call` is given the entries to send, and uses their numbers as ids.
///
/// `call` is a function that gives a future rather than an `AsyncFn`: only of the former can the compiler tell that
/// the future is `Send`, which callers on a runtime of several threads need.
pub(crate) async fn each_entry<F>(
    count: usize,
    operation: &'static str,
    call: impl Fn(Vec<usize>) -> F,
) -> Vec<EntryResult>
where
    F: Future<Output = Result<BatchAnswer, CallError>>,
{
    const UNMENTIONED: &str = "the answer does not mention the entry";
    let mut results: Vec<EntryResult> = (0..count)
        .map(|_| Err(CallError::transient(operation, UNMENTIONED)))
        .collect();
    let mut pending: Vec<usize> = (0..count).collect();
    let mut delays = retry_delays();
    loop {
        match call(pending.clone()).await {
            Ok(answer) => record(answer, operation, &mut results),
            Err(error) => {
                // The SDK has retried the call as a whole already.
                for at in pending {
                    results[at] = Err(error.clone());
                }
                return results;
            }
        }
        pending.retain(|at| results[*at].as_ref().is_err_and(CallError::is_transient));
        match delays.next() {
            Some(delay) if !pending.is_empty() => tokio::time::sleep(delay).await,
            _ => return results,
        }
    }
}

/// Writes the answer into the results. Ids that no entry has are left aside.
fn record((successful, failed): BatchAnswer, operation: &'static str, results: &mut [EntryResult]) {
    for id in successful {
        if let Some(result) = result_of(&id, results) {
            *result = Ok(());
        }
    }
    for entry in failed {
        let Some(result) = result_of(&entry.id, results) else {
            continue;
        };
        if planted::has(Defect::IgnoreFailedEntries) {
            *result = Ok(());
            continue;
        }
        let reason = format!("{}: {}", entry.code, entry.message.unwrap_or_default());
        *result = Err(if entry.sender_fault {
            CallError::permanent(operation, reason)
        } else {
            CallError::transient(operation, reason)
        });
    }
}

fn result_of<'r>(id: &str, results: &'r mut [EntryResult]) -> Option<&'r mut EntryResult> {
    let at: usize = id.parse().ok()?;
    results.get_mut(at)
}

/// Makes batch calls for the receipt handles, up to ten a call, as [`each_entry`] does. `call` is given pairs of an id
/// for the entry and its handle. The results are in the order of the handles.
pub(crate) async fn each_handle<F>(
    receipt_handles: &[String],
    operation: &'static str,
    call: impl Fn(Vec<(String, String)>) -> F,
) -> Vec<EntryResult>
where
    F: Future<Output = Result<BatchAnswer, CallError>>,
{
    let mut results = Vec::with_capacity(receipt_handles.len());
    for chunk in receipt_handles.chunks(MAX_ENTRIES) {
        let with_id = |at: usize| (at.to_string(), chunk[at].clone());
        let called = each_entry(chunk.len(), operation, |pending| {
            call(pending.into_iter().map(with_id).collect())
        });
        results.extend(called.await);
    }
    results
}

/// Cuts the messages into calls of at most [`MAX_ENTRIES`] and [`MAX_BATCH_BYTES`]. A message that is larger alone
/// gets a call alone, which SQS then refuses.
pub(crate) fn chunks(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, message) in messages.iter().enumerate() {
        let size = message.size();
        if at > start && (at - start == MAX_ENTRIES || bytes + size > MAX_BATCH_BYTES) {
            chunks.push(&messages[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < messages.len() {
        chunks.push(&messages[start..]);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SEND: &str = "sqs:SendMessageBatch";

    fn message(bytes: usize) -> Outgoing {
        Outgoing {
            body: "x".repeat(bytes),
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn calls_hold_at_most_ten_entries_and_one_mebibyte() {
        let many: Vec<_> = (0..25).map(|_| message(10)).collect();
        assert_eq!(
            chunks(&many)
                .iter()
                .map(|chunk| chunk.len())
                .collect::<Vec<_>>(),
            [10, 10, 5]
        );
        let large: Vec<_> = (0..3).map(|_| message(600 * 1024)).collect();
        assert_eq!(chunks(&large).len(), 3);
        assert!(chunks(&[]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_fail_alone_are_tried_again_and_their_neighbours_are_not() {
        let calls = std::sync::Mutex::new(Vec::new());
        let failed = |id: usize, sender_fault| {
            BatchResultErrorEntry::builder()
                .id(id.to_string())
                .code("X")
                .sender_fault(sender_fault)
                .build()
                .unwrap()
        };
        let results = each_entry(4, SEND, async |pending| {
            let mut calls = calls.lock().unwrap();
            calls.push(pending.clone());
            Ok(match calls.len() {
                1 => (vec!["0".into()], vec![failed(1, false), failed(2, true)]),
                _ => (pending.iter().map(ToString::to_string).collect(), vec![]),
            })
        })
        .await;
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![1, 3]]);
        assert!(results[0].is_ok() && results[1].is_ok() && results[3].is_ok());
        assert!(matches!(results[2], Err(CallError::Permanent { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_a_whole_call_is_that_of_each_entry_word_for_word() {
        let whole = [
            CallError::transient(SEND, "timed out"),
            CallError::permanent(SEND, "AccessDenied"),
            CallError::NotFound {
                operation: SEND,
                reason: "there is no queue".to_owned(),
            },
        ];
        for error in whole {
            let results = each_entry(2, SEND, async |_| Err(error.clone())).await;
            for entry in results {
                let entry = entry.unwrap_err();
                assert_eq!(entry.to_string(), error.to_string());
                assert_eq!(entry.is_transient(), error.is_transient());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_go_on_failing_are_given_up() {
        let results = each_entry(1, SEND, async |_| Ok((vec![], vec![]))).await;
        assert!(results[0].as_ref().is_err_and(CallError::is_transient));
    }
}
