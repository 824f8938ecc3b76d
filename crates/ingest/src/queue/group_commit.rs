//! Group commit: the events of concurrent requests share SQS messages, and each request waits for
//! those that carry its own.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use planted::Defect;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::config::Packing;
use crate::counts::Counts;
use crate::memory::budget::{Buffer, Reservation};
use crate::memory::pages::{Expected, Memory};
use crate::queue::grouping::{Gather, Next};
use crate::queue::pack_sender::{CommitError, Delivery, Sender, Sink};

/// The lines of one request.
struct Submission {
    lines: Memory,
    events: usize,
    /// Until when its client waits.
    deadline: Instant,
    /// None once it is answered.
    done: Option<oneshot::Sender<Result<(), CommitError>>>,
    /// Both are held until the request is answered.
    _share: Reservation,
    _pending: Pending,
}

impl Submission {
    /// Whether its client waits for an answer.
    fn is_waiting(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !done.is_closed())
    }

    fn answer(&mut self, result: Result<(), CommitError>) {
        if let Some(done) = self.done.take() {
            // An error says that the client has left.
            let _ = done.send(result);
        }
    }
}

/// How groups are made and sent.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) linger: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) send_timeout: Duration,
    pub(crate) packing: Packing,
}

/// Hands requests to the task that groups and sends them.
pub(crate) struct Committer {
    submissions: mpsc::UnboundedSender<(Submission, Reading)>,
    readers: Arc<Readers>,
    send_timeout: Duration,
    closing: CancellationToken,
    task: TaskTracker,
    pending_events: Arc<AtomicUsize>,
}

impl Committer {
    pub(crate) fn spawn<S: Sink>(sink: S, rules: Rules, counts: Arc<Counts>) -> Committer {
        // Unbounded: every request in it holds a share of the byte budget.
        let (submissions, receiver) = mpsc::unbounded_channel();
        let readers = Arc::<Readers>::default();
        let closing = CancellationToken::new();
        let task = TaskTracker::new();
        let send_timeout = rules.send_timeout;
        let sender = Arc::new(Sender::new(sink, send_timeout, rules.packing));
        task.spawn(work(
            receiver,
            sender,
            rules,
            readers.clone(),
            closing.clone(),
            counts,
        ));
        Committer {
            submissions,
            readers,
            send_timeout,
            closing,
            task,
            pending_events: Arc::default(),
        }
    }

    /// Says that a request is being read, so that a group may wait for it.
    pub(crate) fn reading(&self) -> Reading {
        self.readers.count.fetch_add(1, Ordering::Relaxed);
        Reading(Some(self.readers.clone()))
    }

    /// Returns once SQS has all `events` of `lines`.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; some or all of the events may be in SQS all the same.
    pub(crate) async fn commit(
        &self,
        lines: Buffer,
        events: usize,
        reading: Reading,
    ) -> Result<(), CommitError> {
        let (done, answer) = oneshot::channel();
        let pending = Pending::new(&self.pending_events, events);
        let deadline = Instant::now() + self.send_timeout;
        let (lines, share) = lines.into_parts();
        let submission = Submission {
            lines,
            events,
            deadline,
            done: Some(done),
            _share: share,
            _pending: pending,
        };
        self.submissions
            .send((submission, reading))
            .map_err(|_| CommitError::Stopping)?;
        if planted::has(Defect::AcknowledgeBeforeSend) {
            tokio::spawn(answer);
            return Ok(());
        }
        // Those who send it keep to its deadline: one timer a group.
        answer.await.unwrap_or(Err(CommitError::Failed))
    }

    /// Events that wait for SQS.
    pub(crate) fn pending_events(&self) -> usize {
        self.pending_events.load(Ordering::Relaxed)
    }

    /// Sends what waits without further delay, and returns when that is done. Requests that come
    /// later are refused.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.task.close();
        self.task.wait().await;
    }
}

/// Requests that are being read.
#[derive(Default)]
struct Readers {
    count: AtomicUsize,
    none_left: Notify,
}

/// One request that is being read.
pub(crate) struct Reading(Option<Arc<Readers>>);

impl Reading {
    /// Nobody waits for this one any longer.
    pub(crate) fn give_up(&mut self) {
        if let Some(readers) = self.0.take()
            && readers.count.fetch_sub(1, Ordering::Relaxed) == 1
        {
            readers.none_left.notify_one();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Events that wait, counted for as long as this lives.
struct Pending {
    all: Arc<AtomicUsize>,
    events: usize,
}

impl Pending {
    fn new(all: &Arc<AtomicUsize>, events: usize) -> Pending {
        all.fetch_add(events, Ordering::Relaxed);
        Pending {
            all: all.clone(),
            events,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.all.fetch_sub(self.events, Ordering::Relaxed);
    }
}

/// A send that is done.
#[derive(Default)]
struct Returned {
    /// The requests that are still to be answered, and what became of their events.
    group: Vec<Submission>,
    delivery: Delivery,
}

async fn work<S: Sink>(
    mut submissions: mpsc::UnboundedReceiver<(Submission, Reading)>,
    sender: Arc<Sender<S>>,
    rules: Rules,
    readers: Arc<Readers>,
    closing: CancellationToken,
    counts: Arc<Counts>,
) {
    let mut gather = Gather::new(rules.linger, rules.max_in_flight);
    if rules.packing == Packing::None {
        gather.fill_by_number(aws::MAX_ENTRIES);
    }
    let mut sends = JoinSet::new();
    let mut open = true;
    loop {
        let wake = match gather.next(readers.count.load(Ordering::Relaxed), Instant::now()) {
            Next::Send(group) => {
                sends.spawn(commit_group(sender.clone(), group));
                counts.sends_in_flight(sends.len());
                continue;
            }
            Next::Wait(wake) => wake,
        };
        if !open && gather.is_empty() && sends.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            () = closing.cancelled(), if !submissions.is_closed() => {
                submissions.close();
                gather.hurry();
            }
            Some(returned) = sends.join_next() => {
                // A send task does not panic; if one did, its requests see their answer dropped.
                let Returned { group, delivery } = returned.unwrap_or_default();
                // Before the clients are answered: those who come back are not counted twice.
                let reading = readers.count.load(Ordering::Relaxed);
                gather.returned(group.len().max(1), reading, Instant::now());
                if let Some(ratio) = delivery.ratio {
                    gather.observe(ratio);
                }
                answer(group, &delivery, &counts);
                counts.sends_in_flight(sends.len());
            }
            submission = submissions.recv(), if open => match submission {
                Some(mut submission) => loop {
                    let size = match rules.packing {
                        Packing::Zstd => submission.0.lines.len(),
                        Packing::None => submission.0.events,
                    };
                    gather.add(submission.0, size, Instant::now());
                    match submissions.try_recv() {
                        Ok(next) => submission = next,
                        Err(_) => break,
                    }
                },
                None => open = false,
            },
            () = readers.none_left.notified() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

/// Sends the group's lines. A request whose time is up is answered meanwhile.
async fn commit_group<S: Sink>(sender: Arc<Sender<S>>, mut group: Vec<Submission>) -> Returned {
    give_up_the_late(&mut group, sender.send_timeout());
    // Their clients have had a 503 or have left: nobody was told that these were accepted.
    group.retain(Submission::is_waiting);
    let requests = group.len();
    // Past the last one's time nobody waits.
    let deadline = group.iter().map(|request| request.deadline).max();
    let deadline = deadline.unwrap_or_else(Instant::now);
    let delivery = match join(&mut group) {
        Ok(lines) => {
            let mut delivering = pin!(sender.deliver(lines, deadline));
            loop {
                let waiting = group.iter().filter(|request| request.is_waiting());
                let Some(next) = waiting.map(|request| request.deadline).min() else {
                    break delivering.await;
                };
                match timeout_at(next, &mut delivering).await {
                    Ok(delivery) => break delivery,
                    Err(_) => give_up_the_late(&mut group, sender.send_timeout()),
                }
            }
        }
        Err(error) => {
            error!(event = "no_memory", %error, "cannot send {requests} requests together");
            Delivery::default()
        }
    };
    Returned { group, delivery }
}

/// Answers those whose time is up.
fn give_up_the_late(group: &mut [Submission], send_timeout: Duration) {
    let now = Instant::now();
    for request in group.iter_mut().filter(|request| request.deadline <= now) {
        request.answer(Err(CommitError::TimedOut(send_timeout)));
    }
}

/// Answers the requests of a group that was sent.
fn answer(group: Vec<Submission>, delivery: &Delivery, counts: &Counts) {
    let mut first = 0;
    for mut request in group {
        let result = delivery.outcome(first, request.events);
        first += request.events;
        if result.is_ok() {
            counts.accepted(request.events);
        }
        request.answer(result);
    }
}

/// The lines of all. Each request's own are let go of as they are copied: the group's memory is
/// what its requests have shares for.
fn join(group: &mut [Submission]) -> std::io::Result<Memory> {
    if let [alone] = group {
        return Ok(std::mem::take(&mut alone.lines));
    }
    let bytes = group.iter().map(|request| request.lines.len()).sum();
    let mut lines = Memory::with_room(bytes)?;
    for request in group {
        let own = std::mem::take(&mut request.lines);
        lines.append(&own, Expected::About(bytes))?;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::budget::Budget;
    use crate::queue::pack_sender::testing::{Fake, message_count};

    fn committer(fake: &Fake, linger_ms: u64) -> Arc<Committer> {
        let rules = Rules {
            linger: Duration::from_millis(linger_ms),
            max_in_flight: 4,
            send_timeout: Duration::from_secs(10),
            packing: Packing::Zstd,
        };
        Arc::new(Committer::spawn(fake.clone(), rules, Arc::default()))
    }

    async fn commit(committer: Arc<Committer>, text: String) -> Result<(), CommitError> {
        let events = text.lines().count();
        let reading = committer.reading();
        committer
            .commit(
                Budget::new(usize::MAX).buffer_of(text.as_bytes()),
                events,
                reading,
            )
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_takes_no_longer_than_its_send() {
        let fake = Fake::taking(Duration::from_millis(7));
        let committer = committer(&fake, 10);
        for _ in 0..3 {
            let started = Instant::now();
            commit(committer.clone(), "{}\n".into()).await.unwrap();
            assert!(
                started.elapsed() < Duration::from_millis(9),
                "{:?}",
                started.elapsed()
            );
        }
        assert_eq!(fake.lines(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn sixteen_clients_in_step_share_one_send_a_round() {
        let fake = Fake::taking(Duration::from_millis(20));
        let committer = committer(&fake, 10);
        let clients: Vec<_> = (0..16)
            .map(|client| {
                let committer = committer.clone();
                tokio::spawn(async move {
                    for round in 0..50 {
                        commit(
                            committer.clone(),
                            format!("{{\"client\":{client},\"round\":{round}}}\n"),
                        )
                        .await
                        .unwrap();
                        tokio::time::sleep(Duration::from_millis(client % 4)).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(fake.lines(), 800);
        assert!(fake.calls() <= 52, "{} sends", fake.calls());
    }

    #[tokio::test(start_paused = true)]
    async fn only_requests_with_lines_in_a_failed_pack_are_told_so() {
        let fake = Fake::taking(Duration::from_millis(20));
        // The first send keeps the others waiting, so that they share one.
        let committer = committer(&fake, 10);
        let first = tokio::spawn(commit(committer.clone(), "{}\n".into()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let noise = |seed: u64| {
            let mut state = seed;
            (0..2000)
                .map(|_| {
                    let digits: String = (0..4)
                        .map(|_| {
                            state = state
                                .wrapping_mul(6364136223846793005)
                                .wrapping_add(1442695040888963407);
                            format!("{state:016x}")
                        })
                        .collect();
                    format!("{{\"noise\":\"{digits}\"}}\n")
                })
                .collect::<String>()
        };
        let one = tokio::spawn(commit(committer.clone(), noise(1)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let two = tokio::spawn(commit(committer.clone(), noise(2)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let three = tokio::spawn(commit(committer.clone(), noise(3)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        fake.fail_message(0);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(one.await.unwrap(), Err(CommitError::Failed));
        two.await.unwrap().ok();
        assert_eq!(three.await.unwrap(), Ok(()));
        assert!(
            message_count(&fake) > 3,
            "the group must take several packs"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_hangs_is_given_up_and_what_waited_too_long_is_not_sent() {
        let fake = Fake::taking(Duration::from_secs(3600));
        let committer = committer(&fake, 10);
        let started = Instant::now();
        let result = commit(committer.clone(), "{}\n".into()).await;
        assert_eq!(result, Err(CommitError::TimedOut(Duration::from_secs(10))));
        assert_eq!(started.elapsed().as_secs(), 10);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(committer.pending_events(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_a_group_is_given_up_when_its_own_time_is_up() {
        let fake = Fake::taking(Duration::from_secs(3600));
        let committer = committer(&fake, 10);
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let committer = committer.clone();
            waiting.push(tokio::spawn(async move {
                let started = Instant::now();
                let result = commit(committer, "{}\n".into()).await;
                (result, started.elapsed())
            }));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for request in waiting {
            let (result, waited) = request.await.unwrap();
            assert_eq!(result, Err(CommitError::TimedOut(Duration::from_secs(10))));
            assert!(waited.as_millis().abs_diff(10_000) < 10, "{waited:?}");
        }
        assert_eq!(fake.calls(), 2, "the second and third shared a send");
    }

    #[tokio::test(start_paused = true)]
    async fn closing_sends_what_waits_at_once_and_refuses_the_rest() {
        let fake = Fake::taking(Duration::from_millis(20));
        let committer = committer(&fake, 1000);
        let waiting: Vec<_> = (0..5)
            .map(|_| tokio::spawn(commit(committer.clone(), "{}\n".into())))
            .collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let started = Instant::now();
        committer.close().await;
        assert!(started.elapsed() < Duration::from_millis(100));
        for request in waiting {
            assert_eq!(request.await.unwrap(), Ok(()));
        }
        assert_eq!(fake.lines(), 5);
        assert_eq!(
            commit(committer, "{}\n".into()).await,
            Err(CommitError::Stopping)
        );
    }
}
