//! Packs lines, or with `PACKING=none` makes each line a message, and sends the messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws::{CallError, Outgoing, Queue};
use bytes::Bytes;
use contract::{Pack, Packer};
use service::ready::Ready;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use crate::config::Packing;
use crate::memory::pages::PageBuf;
use crate::queue::plain::one_by_one;

/// More bytes of lines than these are packed off the runtime's own threads: about 1 ms of work.
const PACK_INLINE_BYTES: usize = 64 * 1024;

/// Least bytes of packs in a send that show how well events compress: smaller packs compress worse than full ones.
const TELLING_BYTES: usize = contract::MAX_PACK_BYTES / 2;

pub(crate) const PACKS: &str = "headwater_ingest_packs_total";
pub(crate) const PACK_BYTES: &str = "headwater_ingest_pack_bytes_total";
pub(crate) const SEND_FAILURES: &str = "headwater_ingest_send_failures_total";

/// Where packs go: SQS, or in tests a fake.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Sends the messages; the results are in their order.
    fn send(
        &self,
        messages: &[Outgoing],
    ) -> impl Future<Output = Vec<Result<(), CallError>>> + Send;
}

impl Sink for Queue {
    fn send(
        &self,
        messages: &[Outgoing],
    ) -> impl Future<Output = Vec<Result<(), CallError>>> + Send {
        Queue::send(self, messages)
    }
}

/// Why events are not known to be in SQS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// No answer within the time allowed.
    #[error("the queue did not confirm within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The send failed, and may succeed later.
    #[error("the queue did not take the events")]
    Failed,
    /// SQS refused the send, and will again until its operator has mended what is wrong: nothing was taken.
    #[error("the queue refused the events")]
    Refused,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

/// What gives the answers to sends, for readiness.
const SENDS: &str = "sqs:SendMessageBatch";

/// The reason of a service that is not ready after a send that SQS did not confirm.
const UNCONFIRMED: &str = "queue_unconfirmed";

/// The reason of a service that is not ready, where SQS refuses a call: the queue or its key is gone, or a permission.
pub(crate) const REFUSED: &str = "queue_refused";

/// How long a failed send makes the service not ready, if no other send follows: a service that gets no events because
/// it is not ready could not find out that SQS is well again.
const FAILURE_LASTS: Duration = Duration::from_secs(30);

/// The number of events of a pack, and whether SQS has the pack.
type PackResult = (usize, Result<(), CommitError>);

/// What became of the packs of a delivery, in the order of its lines.
#[derive(Default)]
pub(crate) struct Delivery {
    packs: Vec<PackResult>,
    /// Bytes of packs for each byte of lines; absent if the packs were too small to tell.
    pub(crate) ratio: Option<f64>,
}

impl Delivery {
    /// Records that `lines` were not sent.
    fn lose(&mut self, lines: &[u8], error: CommitError) {
        let events = lines.iter().filter(|byte| **byte == b'\n').count();
        self.packs.push((events, Err(error)));
    }

    /// What became of `count` events from `first` on: the first error of the packs that hold any of them.
    pub(crate) fn outcome(&self, first: usize, count: usize) -> Result<(), CommitError> {
        let mut start = 0;
        let mut held = 0;
        for (events, result) in &self.packs {
            let end = start + events;
            let common = end.min(first + count).saturating_sub(start.max(first));
            if common > 0 {
                result.clone()?;
            }
            held += common;
            start = end;
        }
        if held == count {
            Ok(())
        } else {
            Err(CommitError::Failed)
        }
    }
}

/// Packs lines and sends them to a sink.
pub(crate) struct PackSender<S> {
    sink: S,
    /// How long each request waits; named in the answer when its deadline has passed.
    send_timeout: Duration,
    /// Packers that no send uses now. Each has learnt how well the events compress.
    packers: Arc<Mutex<Vec<Packer>>>,
    packing: Packing,
    /// Told how each send ended.
    ready: Ready,
}

/// The packs of one call, and how many bytes of lines they hold.
type Packed = (Vec<Pack>, usize);

impl<S: Sink> PackSender<S> {
    pub(crate) fn new(
        sink: S,
        send_timeout: Duration,
        packing: Packing,
        ready: Ready,
    ) -> PackSender<S> {
        PackSender {
            ready,
            sink,
            send_timeout,
            packers: Arc::default(),
            packing,
        }
    }

    pub(crate) fn send_timeout(&self) -> Duration {
        self.send_timeout
    }

    /// Packs the lines and sends them until `deadline`, one batch call after the other, so that only the packs of one
    /// call are in memory.
    pub(crate) async fn deliver(&self, lines: PageBuf, deadline: Instant) -> Delivery {
        let lines = Bytes::from_owner(lines);
        let mut delivery = Delivery::default();
        let (mut from, mut packed) = (0, 0);
        while from < lines.len() {
            if Instant::now() >= deadline {
                delivery.lose(&lines[from..], CommitError::TimedOut(self.send_timeout));
                break;
            }
            let (packs, to) = match self.pack(lines.slice(from..)).await {
                Ok((packs, bytes)) => (packs, from + bytes),
                Err(error) => {
                    let size = lines.len() - from;
                    error!(event = "pack_failed", %error, "cannot pack {size} bytes of events");
                    delivery.lose(&lines[from..], CommitError::Failed);
                    break;
                }
            };
            from = to;
            packed += packs.iter().map(|pack| pack.body.len()).sum::<usize>();
            delivery.packs.extend(self.send(packs, deadline).await);
        }
        if packed >= TELLING_BYTES && self.packing == Packing::Zstd {
            delivery.ratio = Some(packed as f64 / from as f64);
        }
        delivery
    }

    async fn send(&self, packs: Vec<Pack>, deadline: Instant) -> Vec<PackResult> {
        let events: Vec<usize> = packs.iter().map(|pack| pack.events).collect();
        let bytes: usize = packs.iter().map(|pack| pack.body.len()).sum();
        metrics::counter!(PACKS).increment(packs.len() as u64);
        metrics::counter!(PACK_BYTES).increment(bytes as u64);
        for events in &events {
            metrics::histogram!("headwater_ingest_pack_events").record(*events as f64);
        }
        let message = |pack| message(pack, self.packing);
        let messages: Vec<Outgoing> = packs.into_iter().map(message).collect();
        let started = Instant::now();
        let sent = timeout_at(deadline, self.sink.send(&messages)).await;
        metrics::histogram!("headwater_ingest_send_seconds").record(started.elapsed());
        let Ok(results) = sent else {
            warn!(
                event = "send_failed",
                messages = messages.len(),
                "no answer from the queue within {:?}",
                started.elapsed()
            );
            metrics::counter!(SEND_FAILURES).increment(messages.len() as u64);
            self.ready.failed(SENDS, UNCONFIRMED, FAILURE_LASTS);
            let lost = |events| (events, Err(CommitError::TimedOut(self.send_timeout)));
            return events.into_iter().map(lost).collect();
        };
        let failed = results.iter().filter(|result| result.is_err()).count();
        if failed < results.len() {
            self.ready.succeeded(SENDS);
        }
        if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
            metrics::counter!(SEND_FAILURES).increment(failed as u64);
            if failed == results.len() {
                let code = if error.is_transient() {
                    UNCONFIRMED
                } else {
                    REFUSED
                };
                self.ready.failed(SENDS, code, FAILURE_LASTS);
            }
            if error.is_transient() {
                warn!(event = "send_failed", messages = failed, %error, "the queue did not take {failed} messages");
            } else {
                error!(event = "send_failed", messages = failed, %error, "the queue refused {failed} messages");
            }
        }
        let results = results
            .into_iter()
            .map(|result| result.map_err(commit_error));
        events.into_iter().zip(results).collect()
    }

    async fn pack(&self, lines: Bytes) -> std::io::Result<Packed> {
        if self.packing == Packing::None {
            return one_by_one(&lines);
        }
        if lines.len() <= PACK_INLINE_BYTES {
            return pack(&self.packers, &lines);
        }
        let packers = self.packers.clone();
        tokio::task::spawn_blocking(move || pack(&packers, &lines)).await?
    }
}

fn commit_error(error: CallError) -> CommitError {
    if error.is_transient() {
        CommitError::Failed
    } else {
        CommitError::Refused
    }
}

/// Packs lines from the first on, as many as one batch call takes.
fn pack(idle: &Mutex<Vec<Packer>>, lines: &[u8]) -> std::io::Result<Packed> {
    let packer = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut packer = packer.map_or_else(Packer::new, Ok)?;
    let (packs, rest) = packer.pack_some(lines, aws::MAX_ENTRIES)?;
    let bytes = lines.len() - rest.len();
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(packer);
    Ok((packs, bytes))
}

/// The message of a pack; a line of plain JSON needs no attributes.
fn message(pack: Pack, packing: Packing) -> Outgoing {
    let attributes = if packing == Packing::None {
        BTreeMap::new()
    } else {
        pack.attributes()
    };
    Outgoing {
        body: pack.body,
        attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::testing;

    #[test]
    fn a_request_fails_with_any_pack_that_holds_its_events_and_with_no_other() {
        let packs = vec![(3, Ok(())), (3, Err(CommitError::Failed)), (4, Ok(()))];
        let delivery = Delivery { packs, ratio: None };
        assert!(delivery.outcome(0, 3).is_ok());
        assert!(delivery.outcome(2, 2).is_err());
        assert!(delivery.outcome(3, 1).is_err());
        assert!(delivery.outcome(5, 2).is_err());
        assert!(delivery.outcome(6, 4).is_ok());
        assert!(
            delivery.outcome(8, 3).is_err(),
            "events that no pack holds were not sent"
        );
    }

    #[tokio::test]
    async fn each_message_says_codec_version_and_number_of_events() {
        let fake = testing::Fake::default();
        let mut lines = PageBuf::default();
        lines.append(b"{}\n{}\n", 0).unwrap();
        PackSender::new(
            fake.clone(),
            Duration::from_secs(1),
            Packing::Zstd,
            Ready::default(),
        )
        .deliver(lines, Instant::now() + Duration::from_secs(1))
        .await;
        let [message] = &fake.messages()[..] else {
            panic!("{} messages", fake.messages().len());
        };
        assert_eq!(message.attributes["events"], "2");
        assert_eq!(message.attributes["codec"], "ndjson+zstd+base64");
        assert_eq!(message.attributes["version"], "1");
        assert_eq!(fake.lines(), 2);
    }

    #[tokio::test]
    async fn without_packing_each_event_is_a_message_and_ten_are_a_call() {
        let fake = testing::Fake::default();
        let mut lines = PageBuf::default();
        for n in 0..25 {
            let line = format!("{{\"n\":{n}}}\n");
            lines.append(line.as_bytes(), 0).unwrap();
        }
        fake.fail_message(4);
        let second = Duration::from_secs(1);
        let delivery = PackSender::new(fake.clone(), second, Packing::None, Ready::default())
            .deliver(lines, Instant::now() + second)
            .await;
        assert_eq!(testing::sends(&fake), [10, 10, 5]);
        assert_eq!(fake.lines(), 25);
        assert!(delivery.outcome(5, 9).is_ok());
        assert!(delivery.outcome(4, 1).is_err() && delivery.outcome(14, 1).is_err());
        assert!(delivery.ratio.is_none());
        let messages = fake.messages();
        assert_eq!(messages[11].body, "{\"n\":11}");
        assert!(messages.iter().all(|message| message.attributes.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_send_says_whether_the_service_is_ready() {
        let ready = Ready::default();
        ready.set(true);
        let fake = testing::Fake::default();
        let second = Duration::from_secs(1);
        let sender = PackSender::new(fake.clone(), second, Packing::None, ready.clone());
        let send = async |count: usize| {
            let mut lines = PageBuf::default();
            lines.append("{}\n".repeat(count).as_bytes(), 0).unwrap();
            let delivery = sender.deliver(lines, Instant::now() + second).await;
            delivery.outcome(0, count)
        };
        fake.fail_message(0);
        assert_eq!(send(1).await, Err(CommitError::Refused));
        assert_eq!(ready.reason(), Some(REFUSED));
        assert_eq!(send(2).await, Err(CommitError::Refused));
        assert_eq!(ready.reason(), None, "SQS took one of them");
        assert!(send(1).await.is_err() && !ready.get());
        tokio::time::advance(FAILURE_LASTS).await;
        assert!(ready.get(), "nobody has sent since");
        let hanging = testing::Fake::taking(Duration::from_secs(3600));
        let sender = PackSender::new(hanging, second, Packing::None, ready.clone());
        let mut lines = PageBuf::default();
        lines.append(b"{}\n", 0).unwrap();
        sender.deliver(lines, Instant::now() + second).await;
        assert_eq!(ready.reason(), Some(UNCONFIRMED));
    }
}
