//! The task that groups requests and sends the groups: [`Grouping`] decides when, [`group`] sends.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use service::supervise;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::Packing;
use crate::counts::Counts;
use crate::queue::arrivals::{Arrivals, Arriving};
use crate::queue::group::{self, Submission};
use crate::queue::grouping::{Grouping, Next};
use crate::queue::pack_sender::{PackSender, Sink};

/// How groups are made and sent.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) linger: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) send_timeout: Duration,
    pub(crate) packing: Packing,
}

/// Groups and sends what `submissions` gives, until `closing` is cancelled and everything is sent.
///
/// # Errors
///
/// If a send panics.
pub(crate) async fn run<S: Sink>(
    mut submissions: UnboundedReceiver<(Submission, Arriving)>,
    sender: PackSender<S>,
    rules: Rules,
    arrivals: Arc<Arrivals>,
    closing: CancellationToken,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let sender = Arc::new(sender);
    let mut grouping = Grouping::<Submission>::new(rules.linger, rules.max_in_flight);
    if rules.packing == Packing::None {
        grouping.fill_by_number(aws::MAX_ENTRIES);
    }
    // How many requests of each key wait.
    let mut waiting = HashMap::<u64, usize>::new();
    let mut sends = JoinSet::new();
    let mut open = true;
    loop {
        let keys = waiting.keys().copied();
        let wake = match grouping.next(arrivals.has_each(keys), Instant::now()) {
            Next::Send(group) => {
                for request in &group {
                    leave(&mut waiting, request.key);
                }
                sends.spawn(group::send(sender.clone(), group));
                counts.sends_in_flight(sends.len());
                continue;
            }
            Next::Wait(wake) => wake,
        };
        if !open && grouping.is_empty() && sends.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = closing.cancelled(), if !submissions.is_closed() => {
                submissions.close();
                grouping.hurry();
            }
            Some(sent) = sends.join_next() => {
                let sent = supervise::joined("send", sent)?;
                // Before the clients are answered: a client that comes back is not counted twice.
                let keys = sent.group.iter().map(|request| request.key);
                let arriving = arrivals.count(keys.chain(waiting.keys().copied()));
                grouping.returned(sent.group.len().max(1), arriving, Instant::now());
                if let Some(ratio) = sent.delivery.ratio {
                    grouping.observe(ratio);
                }
                sent.answer(&counts);
                counts.sends_in_flight(sends.len());
            }
            submission = submissions.recv(), if open => match submission {
                Some(mut submission) => loop {
                    let size = match rules.packing {
                        Packing::Zstd => submission.0.lines.len(),
                        Packing::None => submission.0.events,
                    };
                    *waiting.entry(submission.0.key).or_default() += 1;
                    grouping.add(submission.0, size, Instant::now());
                    match submissions.try_recv() {
                        Ok(next) => submission = next,
                        Err(_) => break,
                    }
                },
                None => open = false,
            },
            () = arrivals.none_left.notified() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

/// One request of the key waits no more.
fn leave(waiting: &mut HashMap<u64, usize>, key: u64) {
    if let Entry::Occupied(mut entry) = waiting.entry(key) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}
