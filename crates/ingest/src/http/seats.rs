//! The seats of connections, and which connection gives its seat to a new one (ADR 0016).
//!
//! A connection waits for its first request or for another one, receives one, or works on it. When every seat is taken,
//! the connection that has waited longest for its first request gives way, else the one that has waited longest for
//! another, else the one whose body has been arriving longest; when the byte budget is exhausted, only the last. None
//! is asked before [`NO_REQUEST`], [`IDLE`] or [`SLOW_BODY`] is over; a connection at work is never asked. Where none
//! gives way, whoever comes is answered `503`: nobody waits for a seat.
//!
//! Activity changes several times a request, so it is one atomic store. Choosing who gives way is rare, so it looks at
//! all seats.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// A body that has been arriving for this long gives way to others.
pub(crate) const SLOW_BODY: Duration = Duration::from_secs(5);

/// Longest time for a connection to be idle, and for the head of a request to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often connections past [`HEAD_TIMEOUT`] are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A new connection that has waited this long for its first request gives way to others: the request comes right behind
/// the connection where a client, or a load balancer, has one to send.
pub(crate) const NO_REQUEST: Duration = Duration::from_millis(250);

/// A connection that has waited this long for another request gives way to others. Not sooner, because a client that
/// sends just then finds its connection closed, and a load balancer that keeps connections answers `502` in its stead.
/// Not later, because after an outage of SQS the connections of all whose posts hung are idle, and others want seats.
const IDLE: Duration = Duration::from_secs(1);

/// Longest time for a connection that is asked to give way to do so, before whoever wants its seat is answered `503`.
const PATIENCE: Duration = Duration::from_millis(50);

/// All seats. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
    start: Instant,
}

/// The taken seats, by a number that grows.
#[derive(Debug, Default)]
struct Taken {
    last: u64,
    /// Whether every connection is to end, those to come included.
    ending: bool,
    seats: BTreeMap<u64, Arc<Shared>>,
}

/// A connection's seat, free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    number: u64,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

/// What others see of a connection, and ask of it.
#[derive(Debug)]
struct Shared {
    /// An [`Activity`] and when it began: `microseconds since the start * 4 + activity`.
    activity: AtomicU64,
    /// A [`Demand`].
    demand: AtomicU8,
    /// Of the connection.
    waker: AtomicWaker,
    /// Of the request whose body is arriving: over HTTP/2 it runs in another task.
    body_waker: AtomicWaker,
}

#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Activity {
    Working,
    /// For the first request of the connection.
    New,
    /// For another request.
    Waiting,
    Receiving,
}

/// What is asked of a connection; each includes those before it.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Demand {
    Stay,
    /// Close once there is no request, and none has come for a moment.
    End,
    /// Close at once unless there is a request, or an answer that the client has yet to read.
    Leave,
    /// Close, without waiting for the rest of a body that is slow.
    CutBody,
}

impl Seats {
    pub(crate) fn new(count: usize) -> Seats {
        Seats {
            free: Arc::new(Semaphore::new(count)),
            taken: Arc::default(),
            start: Instant::now(),
        }
    }

    /// A seat, if one is free.
    pub(crate) fn free_seat(&self) -> Option<Seat> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(self.seat(permit))
    }

    /// The seat of a connection that gives way, if one does.
    pub(crate) async fn given_up_seat(&self) -> Option<Seat> {
        if !self.one_gives_way() {
            return None;
        }
        let permit = timeout(PATIENCE, self.free.clone().acquire_owned()).await;
        // The semaphore never closes.
        Some(self.seat(permit.ok()?.ok()?))
    }

    fn seat(&self, permit: OwnedSemaphorePermit) -> Seat {
        let shared = Arc::new(Shared {
            activity: AtomicU64::new(0),
            demand: AtomicU8::new(Demand::Stay as u8),
            waker: AtomicWaker::new(),
            body_waker: AtomicWaker::new(),
        });
        let number = {
            let mut taken = self.taken();
            taken.last += 1;
            let number = taken.last;
            taken.seats.insert(number, shared.clone());
            if taken.ending {
                shared.ask(Demand::End);
            }
            number
        };
        let seat = Seat {
            seats: self.clone(),
            number,
            shared,
            _permit: permit,
        };
        seat.set(Activity::New);
        seat
    }

    /// Asks one connection to give way, unless all are at work or quick enough; whether one was asked.
    pub(crate) fn one_gives_way(&self) -> bool {
        self.longest_gives_way(Activity::New, NO_REQUEST)
            || self.longest_gives_way(Activity::Waiting, IDLE)
            || self.longest_gives_way(Activity::Receiving, SLOW_BODY)
    }

    /// Asks every connection whose body has been arriving for [`SLOW_BODY`] to give way.
    pub(crate) fn slow_bodies_give_way(&self) {
        while self.longest_gives_way(Activity::Receiving, SLOW_BODY) {}
    }

    /// Asks every connection to end once it has no request, also those that take a seat later.
    pub(crate) fn end_all(&self) {
        let mut taken = self.taken();
        taken.ending = true;
        for seat in taken.seats.values() {
            seat.ask(Demand::End);
        }
    }

    /// Ends connections whose next request takes too long to come, for ever. Looking at all of them each second costs
    /// less than a timer for each request.
    pub(crate) async fn end_idle(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(latest) = self.micros_ago(HEAD_TIMEOUT) {
                let taken = self.taken();
                let (new, waiting) = (taken.at(Activity::New), taken.at(Activity::Waiting));
                for (_, idle) in new.chain(waiting).filter(|(since, _)| *since <= latest) {
                    idle.ask(Demand::Leave);
                }
            }
        }
    }

    /// Asks the connection that has been at `activity` the longest, if that is at least `long_enough`; whether there
    /// was one.
    fn longest_gives_way(&self, activity: Activity, long_enough: Duration) -> bool {
        let demand = match activity {
            Activity::Receiving => Demand::CutBody,
            _ => Demand::Leave,
        };
        let taken = self.taken();
        let unasked = taken
            .at(activity)
            .filter(|(_, seat)| !seat.is_asked(demand));
        let longest = unasked.min_by_key(|(since, _)| *since);
        let latest = self.micros_ago(long_enough);
        let longest = longest.filter(|(since, _)| latest.is_some_and(|latest| *since <= latest));
        longest.map(|(_, seat)| seat.ask(demand)).is_some()
    }

    fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn micros_ago(&self, time: Duration) -> Option<u64> {
        self.micros().checked_sub(time.as_micros() as u64)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The connections at `activity`, each with the microsecond at which it began.
    fn at(&self, activity: Activity) -> impl Iterator<Item = (u64, &Shared)> {
        self.seats.values().filter_map(move |seat| {
            let now = seat.activity.load(Ordering::Relaxed);
            (now % 4 == activity as u64).then_some((now / 4, &**seat))
        })
    }
}

impl Shared {
    fn ask(&self, demand: Demand) {
        self.demand.fetch_max(demand as u8, Ordering::Release);
        self.waker.wake();
        self.body_waker.wake();
    }

    fn is_asked(&self, demand: Demand) -> bool {
        self.demand.load(Ordering::Acquire) >= demand as u8
    }

    /// Ready once `demand`, or more, is asked. One task at a time may wait with each waker.
    fn poll_asked(
        &self,
        demand: Demand,
        waker: &AtomicWaker,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.is_asked(demand) {
            waker.register(context.waker());
            // The demand may have come just before the waker was there.
            if !self.is_asked(demand) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Seat {
    /// The connection's handshake is done: its first request is yet to come.
    pub(crate) fn arrives(&self) {
        self.set(Activity::New);
    }

    /// The connection has answered a request, and waits for another.
    pub(crate) fn waits(&self) {
        self.set(Activity::Waiting);
    }

    /// The connection has the head of a request, whose body is on its way.
    pub(crate) fn receives(&self) {
        self.set(Activity::Receiving);
    }

    /// The connection has the whole request.
    pub(crate) fn works(&self) {
        self.set(Activity::Working);
    }

    /// The request found the byte budget exhausted: asks another connection, whose body takes long, to give way.
    pub(crate) fn overloaded(&self) {
        self.seats.longest_gives_way(Activity::Receiving, SLOW_BODY);
    }

    /// Whether the connection has no request.
    pub(crate) fn is_waiting(&self) -> bool {
        let now = self.shared.activity.load(Ordering::Relaxed) % 4;
        now == Activity::New as u64 || now == Activity::Waiting as u64
    }

    /// Whether the connection is to close as soon as it has no request.
    pub(crate) fn must_leave(&self) -> bool {
        self.shared.is_asked(Demand::Leave)
    }

    /// Ready once the connection is to end. Only its own task may ask.
    pub(crate) fn poll_end(&self, context: &mut Context<'_>) -> Poll<()> {
        let waker = &self.shared.waker;
        self.shared.poll_asked(Demand::End, waker, context)
    }

    /// Returns once the connection is to stop waiting for a body, with the least time that bodies are given. Only the
    /// request's own task may ask.
    pub(crate) async fn called_off(&self) -> Duration {
        std::future::poll_fn(|context| {
            let waker = &self.shared.body_waker;
            let asked = self.shared.poll_asked(Demand::CutBody, waker, context);
            // A body that has only begun is not meant: the one before it had ended just as it was asked for.
            let since = self.shared.activity.load(Ordering::Relaxed) / 4;
            let is_slow = self
                .seats
                .micros_ago(SLOW_BODY)
                .is_some_and(|latest| since <= latest);
            if is_slow { asked } else { Poll::Pending }
        })
        .await;
        SLOW_BODY
    }

    fn set(&self, activity: Activity) {
        let now = self.seats.micros() * 4 + activity as u64;
        self.shared.activity.store(now, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
