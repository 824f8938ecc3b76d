//! One group: requests whose lines go to SQS together, from the moment it is closed until each request is answered.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::error;

use crate::counts::Counts;
use crate::memory::budget::Reservation;
use crate::memory::pages::PageBuf;
use crate::queue::pack_sender::{CommitError, Delivery, PackSender, Sink};

/// The lines of one request.
pub(crate) struct Submission {
    /// Number of the key that it was sent with.
    pub(crate) key: u64,
    pub(crate) lines: PageBuf,
    pub(crate) events: usize,
    /// Until when the client waits.
    pub(crate) deadline: Instant,
    /// Absent once the request is answered.
    pub(crate) done: Option<oneshot::Sender<Result<(), CommitError>>>,
    /// Both are held until the request is answered.
    pub(crate) _share: Reservation,
    pub(crate) _pending: Reservation,
}

impl Submission {
    /// Whether the client waits for an answer.
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

/// A group that was sent; its requests are still to be answered.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) group: Vec<Submission>,
    pub(crate) delivery: Delivery,
}

impl Sent {
    /// Answers each request according to the packs that hold its events.
    pub(crate) fn answer(self, counts: &Counts) {
        let mut first = 0;
        for mut request in self.group {
            let result = self.delivery.outcome(first, request.events);
            first += request.events;
            if result.is_ok() {
                counts.accepted(request.events);
            }
            request.answer(result);
        }
    }
}

/// Sends the group's lines. A request whose time is up is answered meanwhile.
pub(crate) async fn send<S: Sink>(sender: Arc<PackSender<S>>, mut group: Vec<Submission>) -> Sent {
    give_up_the_late(&mut group, sender.send_timeout());
    // Clients of the others have had a 503 or have left: nobody was told that these events were accepted.
    group.retain(Submission::is_waiting);
    let requests = group.len();
    // After the last deadline nobody waits.
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
    Sent { group, delivery }
}

/// Answers requests whose deadline has passed.
fn give_up_the_late(group: &mut [Submission], send_timeout: Duration) {
    let now = Instant::now();
    for request in group.iter_mut().filter(|request| request.deadline <= now) {
        request.answer(Err(CommitError::TimedOut(send_timeout)));
    }
}

/// The lines of all requests. The lines of each are freed as they are copied: the group takes the memory that its
/// requests have reserved, and no more.
fn join(group: &mut [Submission]) -> std::io::Result<PageBuf> {
    if let [alone] = group {
        return Ok(std::mem::take(&mut alone.lines));
    }
    let bytes = group.iter().map(|request| request.lines.len()).sum();
    let mut lines = PageBuf::with_room(bytes)?;
    for request in group {
        let own = std::mem::take(&mut request.lines);
        lines.append(&own, 0)?;
    }
    Ok(lines)
}
