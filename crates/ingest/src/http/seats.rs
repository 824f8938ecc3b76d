//! The seats of connections, and which connection gives its seat to a new one (ADR 0016).
//!
//! A connection waits for a request, receives one, or works on it. When every seat is taken, the connection that has
//! waited longest gives way, else the one whose body has been arriving longest; when the byte budget is exhausted,
//! only the latter. Neither is asked before [`SHORT_WAIT`] or [`SLOW_BODY`] is over; a connection at work is never
//! asked.
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

/// A connection that has waited this long for a request gives way to others. A new connection's request comes right
/// behind it, and an answer may be followed at once by the next request.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// How long to wait for a free seat before asking another connection to give way.
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
    waker: AtomicWaker,
}

#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Activity {
    Working,
    Waiting,
    Receiving,
}

/// What is asked of a connection; each includes those before it.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Demand {
    Stay,
    /// Close once there is no request.
    End,
    /// Close, without waiting for the rest of a body.
    GiveWay,
}

impl Seats {
    pub(crate) fn new(count: usize) -> Seats {
        Seats {
            free: Arc::new(Semaphore::new(count)),
            taken: Arc::default(),
            start: Instant::now(),
        }
    }

    /// A seat, as soon as one is free; meanwhile connections are asked to give way.
    pub(crate) async fn seat(&self) -> Seat {
        let permit = loop {
            if self.free.available_permits() == 0 {
                self.one_gives_way();
            }
            let free = timeout(PATIENCE, self.free.clone().acquire_owned());
            // The semaphore never closes.
            if let Ok(Ok(permit)) = free.await {
                break permit;
            }
        };
        let shared = Arc::new(Shared {
            activity: AtomicU64::new(0),
            demand: AtomicU8::new(Demand::Stay as u8),
            waker: AtomicWaker::new(),
        });
        let number = {
            let mut taken = self.taken();
            taken.last += 1;
            let number = taken.last;
            taken.seats.insert(number, shared.clone());
            number
        };
        let seat = Seat {
            seats: self.clone(),
            number,
            shared,
            _permit: permit,
        };
        seat.waits();
        seat
    }

    /// Asks one connection to give way, unless all are at work or quick enough.
    pub(crate) fn one_gives_way(&self) {
        if !self.longest_gives_way(Activity::Waiting, SHORT_WAIT) {
            self.longest_gives_way(Activity::Receiving, SLOW_BODY);
        }
    }

    /// Asks every connection whose body is arriving to give way.
    pub(crate) fn all_bodies_give_way(&self) {
        for (_, seat) in self.taken().at(Activity::Receiving) {
            seat.ask(Demand::GiveWay);
        }
    }

    /// Asks every connection to end once it has no request.
    pub(crate) fn end_all(&self) {
        for seat in self.taken().seats.values() {
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
                let waiting = taken.at(Activity::Waiting);
                for (_, idle) in waiting.filter(|(since, _)| *since <= latest) {
                    idle.ask(Demand::GiveWay);
                }
            }
        }
    }

    /// Asks the connection that has been at `activity` the longest, if that is at least `long_enough`; whether there
    /// was one.
    fn longest_gives_way(&self, activity: Activity, long_enough: Duration) -> bool {
        let taken = self.taken();
        let unasked = taken
            .at(activity)
            .filter(|(_, seat)| !seat.is_asked(Demand::GiveWay));
        let longest = unasked.min_by_key(|(since, _)| *since);
        let latest = self.micros_ago(long_enough);
        let longest = longest.filter(|(since, _)| latest.is_some_and(|latest| *since <= latest));
        longest.map(|(_, seat)| seat.ask(Demand::GiveWay)).is_some()
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
    }

    fn is_asked(&self, demand: Demand) -> bool {
        self.demand.load(Ordering::Acquire) >= demand as u8
    }

    /// Ready once `demand`, or more, is asked. One task at a time may wait.
    fn poll_asked(&self, demand: Demand, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_asked(demand) {
            self.waker.register(context.waker());
            // The demand may have come just before the waker was there.
            if !self.is_asked(demand) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Seat {
    /// The connection waits for a request.
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

    pub(crate) fn is_waiting(&self) -> bool {
        let now = self.shared.activity.load(Ordering::Relaxed);
        now % 4 == Activity::Waiting as u64
    }

    /// Ready once the connection is to end. Only its own task may ask.
    pub(crate) fn poll_end(&self, context: &mut Context<'_>) -> Poll<()> {
        self.shared.poll_asked(Demand::End, context)
    }

    /// Returns once the connection is to stop waiting for a body, with the least time that bodies are given. Only the
    /// connection's own task may ask.
    pub(crate) async fn called_off(&self) -> Duration {
        std::future::poll_fn(|context| self.shared.poll_asked(Demand::GiveWay, context)).await;
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
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    async fn is_asked(seat: &Seat) -> bool {
        timeout(Duration::ZERO, seat.called_off()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_waited_longest_gives_its_seat_to_the_next() {
        let seats = Seats::new(3);
        let (first, second, third) = (seats.seat().await, seats.seat().await, seats.seat().await);
        // The first has had a request since: it has waited for less time than the others.
        advance(Duration::from_millis(1)).await;
        first.receives();
        first.waits();
        let next = tokio::spawn({
            let seats = seats.clone();
            async move { seats.seat().await }
        });
        second.called_off().await;
        assert!(!is_asked(&first).await && !is_asked(&third).await);
        drop(second);
        next.await.unwrap();
        assert!(!is_asked(&first).await && !is_asked(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_gives_way_after_five_seconds_and_work_never() {
        let seats = Seats::new(2);
        let (slow, at_work) = (seats.seat().await, seats.seat().await);
        slow.receives();
        at_work.receives();
        at_work.works();
        let started = Instant::now();
        let next = tokio::spawn({
            let seats = seats.clone();
            async move { seats.seat().await }
        });
        assert_eq!(slow.called_off().await, SLOW_BODY);
        assert!(started.elapsed() >= SLOW_BODY);
        drop(slow);
        let next = next.await.unwrap();
        assert!(!is_asked(&at_work).await);
        // A connection that has left is not asked.
        drop(at_work);
        next.receives();
        advance(SLOW_BODY).await;
        next.overloaded();
        assert!(is_asked(&next).await);
    }

    #[tokio::test(start_paused = true)]
    async fn only_connections_that_receive_are_asked_when_all_bodies_give_way() {
        let seats = Seats::new(3);
        let (receiving, waiting, working) =
            (seats.seat().await, seats.seat().await, seats.seat().await);
        receiving.receives();
        working.works();
        seats.all_bodies_give_way();
        assert!(is_asked(&receiving).await);
        assert!(!is_asked(&waiting).await && !is_asked(&working).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_ended_after_the_head_timeout() {
        let seats = Seats::new(3);
        let (idle, busy) = (seats.seat().await, seats.seat().await);
        busy.receives();
        let later = tokio::spawn({
            let seats = seats.clone();
            async move { seats.end_idle().await }
        });
        sleep(HEAD_TIMEOUT - LOOK_EVERY).await;
        assert!(!is_asked(&idle).await);
        let back = seats.seat().await;
        sleep(2 * LOOK_EVERY).await;
        assert!(is_asked(&idle).await);
        assert!(!is_asked(&busy).await && !is_asked(&back).await);
        later.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_asked_to_end_is_not_asked_to_drop_its_body() {
        let seats = Seats::new(1);
        let seat = seats.seat().await;
        seat.receives();
        let ends = || timeout(Duration::ZERO, std::future::poll_fn(|cx| seat.poll_end(cx)));
        assert!(ends().await.is_err());
        seats.end_all();
        assert!(ends().await.is_ok());
        assert!(!is_asked(&seat).await);
    }
}
