//! Group commit: the events of concurrent requests share SQS messages, and each request waits for the messages that
//! carry its own.

use std::sync::Arc;
use std::time::Duration;

use planted::Defect;
use service::ready::Ready;
use service::supervise::{self, Supervised};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counts::Counts;
use crate::memory::budget::{Budget, Buffer};
use crate::queue::arrivals::{Arrivals, Arriving};
use crate::queue::group::Submission;
use crate::queue::group_task::{self, Rules};
use crate::queue::pack_sender::{CommitError, PackSender, Sink};

/// Hands requests to the task that groups and sends them.
pub(crate) struct GroupCommit {
    submissions: mpsc::UnboundedSender<(Submission, Arriving)>,
    arrivals: Arc<Arrivals>,
    send_timeout: Duration,
    closing: CancellationToken,
    task: Supervised,
    /// Counts events rather than bytes, without a bound.
    pending_events: Budget,
}

impl GroupCommit {
    /// Starts the task; to be called within a runtime.
    pub(crate) fn spawn<S: Sink>(
        sink: S,
        rules: Rules,
        counts: Arc<Counts>,
        ready: Ready,
    ) -> GroupCommit {
        // Unbounded: every request in it holds a share of the byte budget.
        let (submissions, receiver) = mpsc::unbounded_channel();
        let (arrivals, closing) = (Arc::<Arrivals>::default(), CancellationToken::new());
        let send_timeout = rules.send_timeout;
        let sender = PackSender::new(sink, send_timeout, rules.packing, ready);
        let groups = group_task::run(
            receiver,
            sender,
            rules,
            arrivals.clone(),
            closing.clone(),
            counts,
        );
        let task = supervise::spawn("grouping", groups);
        GroupCommit {
            submissions,
            arrivals,
            send_timeout,
            closing,
            task,
            pending_events: Budget::new(usize::MAX),
        }
    }

    /// Says that a request of the key with this number is being read, so that a group may wait for it.
    pub(crate) fn arriving(&self, key: u64) -> Arriving {
        self.arrivals.one_more(key)
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
        arriving: Arriving,
    ) -> Result<(), CommitError> {
        let (done, answer) = oneshot::channel();
        let (lines, share) = lines.into_parts();
        let mut pending = self.pending_events.reserve();
        pending.grow(events).map_err(|_| CommitError::Failed)?;
        let submission = Submission {
            key: arriving.key,
            lines,
            events,
            deadline: Instant::now() + self.send_timeout,
            done: Some(done),
            _share: share,
            _pending: pending,
        };
        self.submissions
            .send((submission, arriving))
            .map_err(|_| CommitError::Stopping)?;
        if planted::has(Defect::AcknowledgeBeforeSend) {
            tokio::spawn(answer);
            return Ok(());
        }
        // The task keeps to the deadline: one timer for a group rather than one for each request.
        answer.await.unwrap_or(Err(CommitError::Failed))
    }

    /// Events that wait for SQS.
    pub(crate) fn pending_events(&self) -> usize {
        self.pending_events.used()
    }

    /// Sends what waits without further delay, and returns when that is done. Requests that come
    /// later are refused.
    ///
    /// # Errors
    ///
    /// If the task broke instead.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        self.closing.cancel();
        self.task.end().await
    }

    /// Waits until the task breaks, and gives the reason: without it no request could be answered with success.
    pub(crate) async fn broken(&self) -> anyhow::Error {
        self.task.broken().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Packing;
    use crate::queue::testing::Fake;

    fn group_commit(fake: &Fake, linger_ms: u64) -> Arc<GroupCommit> {
        let rules = Rules {
            linger: Duration::from_millis(linger_ms),
            max_in_flight: 4,
            send_timeout: Duration::from_secs(10),
            packing: Packing::Zstd,
        };
        let (counts, ready) = (Arc::default(), Ready::default());
        Arc::new(GroupCommit::spawn(fake.clone(), rules, counts, ready))
    }

    async fn commit(group_commit: Arc<GroupCommit>, text: String) -> Result<(), CommitError> {
        let events = text.lines().count();
        let arriving = group_commit.arriving(1);
        group_commit
            .commit(
                Budget::new(usize::MAX).buffer_of(text.as_bytes()),
                events,
                arriving,
            )
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_takes_no_longer_than_its_send() {
        let fake = Fake::taking(Duration::from_millis(7));
        let group_commit = group_commit(&fake, 10);
        for _ in 0..3 {
            let started = Instant::now();
            commit(group_commit.clone(), "{}\n".into()).await.unwrap();
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
        let group_commit = group_commit(&fake, 10);
        let clients: Vec<_> = (0..16)
            .map(|client| {
                let group_commit = group_commit.clone();
                tokio::spawn(async move {
                    for round in 0..50 {
                        commit(
                            group_commit.clone(),
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
    async fn no_key_waits_for_bodies_of_another() {
        let fake = Fake::taking(Duration::from_millis(5));
        let group_commit = group_commit(&fake, 10);
        let _flood: Vec<_> = (0..8).map(|_| group_commit.arriving(2)).collect();
        for _ in 0..20 {
            let started = Instant::now();
            let both = [(); 2].map(|()| commit(group_commit.clone(), "{}\n".into()));
            for done in futures::future::join_all(both).await {
                done.unwrap();
            }
            let took = started.elapsed();
            assert!(took <= Duration::from_millis(5 + 10 + 5), "{took:?}");
        }
        // Of its own key another one is waited for.
        let _own = group_commit.arriving(1);
        let started = Instant::now();
        commit(group_commit.clone(), "{}\n".into()).await.unwrap();
        assert!(started.elapsed() > Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn only_requests_with_lines_in_a_failed_pack_are_told_so() {
        let fake = Fake::taking(Duration::from_millis(20));
        // The first send keeps the others waiting, so that they share one.
        let group_commit = group_commit(&fake, 10);
        let first = tokio::spawn(commit(group_commit.clone(), "{}\n".into()));
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
        let one = tokio::spawn(commit(group_commit.clone(), noise(1)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let two = tokio::spawn(commit(group_commit.clone(), noise(2)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let three = tokio::spawn(commit(group_commit.clone(), noise(3)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        // Each request fills a pack and begins the next: the second pack holds lines of the first two requests.
        fake.fail_message(1);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(one.await.unwrap(), Err(CommitError::Refused));
        assert_eq!(two.await.unwrap(), Err(CommitError::Refused));
        assert_eq!(three.await.unwrap(), Ok(()));
        assert!(
            fake.messages().len() > 3,
            "the group must take several packs"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_hangs_is_given_up_and_what_waited_too_long_is_not_sent() {
        let fake = Fake::taking(Duration::from_secs(3600));
        let group_commit = group_commit(&fake, 10);
        let started = Instant::now();
        let result = commit(group_commit.clone(), "{}\n".into()).await;
        assert_eq!(result, Err(CommitError::TimedOut(Duration::from_secs(10))));
        assert_eq!(started.elapsed().as_secs(), 10);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(group_commit.pending_events(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_a_group_is_given_up_when_its_own_time_is_up() {
        let fake = Fake::taking(Duration::from_secs(3600));
        let group_commit = group_commit(&fake, 10);
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let group_commit = group_commit.clone();
            waiting.push(tokio::spawn(async move {
                let started = Instant::now();
                let result = commit(group_commit, "{}\n".into()).await;
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
        let group_commit = group_commit(&fake, 1000);
        let waiting: Vec<_> = (0..5)
            .map(|_| tokio::spawn(commit(group_commit.clone(), "{}\n".into())))
            .collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let started = Instant::now();
        group_commit.close().await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(100));
        for request in waiting {
            assert_eq!(request.await.unwrap(), Ok(()));
        }
        assert_eq!(fake.lines(), 5);
        assert_eq!(
            commit(group_commit, "{}\n".into()).await,
            Err(CommitError::Stopping)
        );
    }

    /// A sink that is broken.
    struct Panicking;

    impl Sink for Panicking {
        async fn send(&self, _: &[aws::Outgoing]) -> Vec<Result<(), aws::CallError>> {
            panic!("no sink")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_panics_breaks_the_task_and_its_watchers_have_its_words() {
        let rules = Rules {
            linger: Duration::from_millis(10),
            max_in_flight: 4,
            send_timeout: Duration::from_secs(10),
            packing: Packing::Zstd,
        };
        let (counts, ready) = (Arc::default(), Ready::default());
        let group_commit = Arc::new(GroupCommit::spawn(Panicking, rules, counts, ready));
        let request = commit(group_commit.clone(), "{}\n".into());
        let (answer, reason) = tokio::join!(request, group_commit.broken());
        assert_eq!(answer, Err(CommitError::Failed));
        let reason = reason.to_string();
        assert!(
            reason.contains(r#"the task "send" panicked: no sink"#),
            "{reason}"
        );
        assert!(group_commit.close().await.is_err());
    }
}
