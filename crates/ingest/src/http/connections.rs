//! Who is connected, and who gives way where there is no room for one more.
//!
//! A connection waits for a request, receives its body, or is at work on it. Where all places are
//! taken, the one that waits the longest gives way, or else the one whose body takes the longest;
//! where the byte budget is, the latter. None does before it has had a while, [`SHORT_WAIT`] or
//! [`SLOW_BODY`], and work is never broken off.
//!
//! What a connection does changes several times a request, and who gives way is asked only where
//! something is short: so the former is a store, and the latter looks at all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// A body that has taken so long gives way to others.
pub(crate) const SLOW_BODY: Duration = Duration::from_secs(5);

/// Longest time for a request's head to arrive, and for a connection to lie idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked who has taken longer than that.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A connection that has waited so long for a request gives way to others. The request of one that
/// is new comes right behind it, and an answer may be followed at once by the next.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// How long a place is waited for before it is looked again who could give way.
const PATIENCE: Duration = Duration::from_millis(50);

/// All connections.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    seats: Arc<Mutex<Seats>>,
    origin: Instant,
}

/// The seats that are taken, by a number that grows.
#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Arc<Shared>>,
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Seat {
    connections: Connections,
    number: u64,
    shared: Arc<Shared>,
    _place: Option<OwnedSemaphorePermit>,
}

/// What others see of a connection, and ask of it.
#[derive(Debug)]
struct Shared {
    /// What it does, one of the three below, and since when: microseconds since the origin, times 4.
    doing: AtomicU64,
    /// One of the three below those.
    asked: AtomicU8,
    waker: AtomicWaker,
}

const AT_WORK: u64 = 0;
const WAITING: u64 = 1;
const RECEIVING: u64 = 2;

const STAY: u8 = 0;
/// To end once it has no request.
const END: u8 = 1;
/// To end, and not to wait for a body any longer.
const GIVE_WAY: u8 = 2;

impl Connections {
    /// Places for that many connections.
    pub(crate) fn with_places(places: usize) -> Connections {
        Connections {
            places: Arc::new(Semaphore::new(places)),
            seats: Arc::default(),
            origin: Instant::now(),
        }
    }

    /// A place, as soon as there is one.
    pub(crate) async fn seat(&self) -> Seat {
        let mut place = self.places.clone().try_acquire_owned().ok();
        while place.is_none() {
            self.one_gives_way();
            // It never closes.
            let freed = timeout(PATIENCE, self.places.clone().acquire_owned()).await;
            place = freed.ok().and_then(Result::ok);
        }
        let shared = Arc::new(Shared {
            doing: AtomicU64::new(AT_WORK),
            asked: AtomicU8::new(STAY),
            waker: AtomicWaker::new(),
        });
        let number = {
            let mut seats = self.seats();
            seats.next += 1;
            let number = seats.next;
            seats.taken.insert(number, shared.clone());
            number
        };
        let seat = Seat {
            connections: self.clone(),
            number,
            shared,
            _place: place,
        };
        seat.waits();
        seat
    }

    /// Asks one connection to give way; none where all are at work or quick enough.
    pub(crate) fn one_gives_way(&self) {
        if !self.first_gives_way(WAITING, SHORT_WAIT) {
            self.first_gives_way(RECEIVING, SLOW_BODY);
        }
    }

    /// All whose bodies are on their way give way.
    pub(crate) fn all_bodies_give_way(&self) {
        for seat in self.seats().at(RECEIVING) {
            seat.1.ask(GIVE_WAY);
        }
    }

    /// All end, each once it has no request.
    pub(crate) fn all_end(&self) {
        for seat in self.seats().taken.values() {
            seat.ask(END);
        }
    }

    /// Ends connections whose next request takes too long to come, for ever. A look at all of them
    /// now and then costs less than a timer for each request.
    pub(crate) async fn end_the_idle(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            let Some(latest) = self.micros().checked_sub(micros(HEAD_TIMEOUT)) else {
                continue;
            };
            let seats = self.seats();
            for (_, idle) in seats.at(WAITING).filter(|(since, _)| *since <= latest) {
                idle.ask(GIVE_WAY);
            }
        }
    }

    /// Whether there is one that has done that for long enough: the longest at it is asked.
    fn first_gives_way(&self, doing: u64, long_enough: Duration) -> bool {
        let seats = self.seats();
        let unasked = seats
            .at(doing)
            .filter(|(_, seat)| seat.asked.load(Ordering::Relaxed) < GIVE_WAY);
        let first = unasked.min_by_key(|(since, _)| *since);
        let latest = self.micros().checked_sub(micros(long_enough));
        let first = first.filter(|(since, _)| latest.is_some_and(|latest| *since <= latest));
        first.map(|(_, seat)| seat.ask(GIVE_WAY)).is_some()
    }

    /// Microseconds since the origin.
    fn micros(&self) -> u64 {
        micros(self.origin.elapsed())
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Those that do that, and since when.
    fn at(&self, doing: u64) -> impl Iterator<Item = (u64, &Shared)> {
        self.taken.values().filter_map(move |seat| {
            let now = seat.doing.load(Ordering::Relaxed);
            (now % 4 == doing).then_some((now / 4, &**seat))
        })
    }
}

impl Shared {
    fn ask(&self, what: u8) {
        self.asked.fetch_max(what, Ordering::Release);
        self.waker.wake();
    }

    /// Ready once it is asked that, or more. One task at a time may wait.
    fn poll_asked(&self, what: u8, context: &mut Context<'_>) -> Poll<()> {
        let asked = || self.asked.load(Ordering::Acquire) >= what;
        if !asked() {
            self.waker.register(context.waker());
            // It may have been asked just before.
            if !asked() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Seat {
    /// It waits for a request.
    pub(crate) fn waits(&self) {
        self.does(WAITING);
    }

    /// It has a request whose body is on its way.
    pub(crate) fn receives(&self) {
        self.does(RECEIVING);
    }

    /// It has the whole request and works on it.
    pub(crate) fn works(&self) {
        self.shared.doing.store(AT_WORK, Ordering::Relaxed);
    }

    /// Its request found the byte budget exhausted: a body that takes long is to give way.
    pub(crate) fn overloaded(&self) {
        self.connections.first_gives_way(RECEIVING, SLOW_BODY);
    }

    /// Whether it has no request.
    pub(crate) fn is_waiting(&self) -> bool {
        self.shared.doing.load(Ordering::Relaxed) % 4 == WAITING
    }

    /// Ready once the connection is to end. Only its own task may ask.
    pub(crate) fn poll_ends(&self, context: &mut Context<'_>) -> Poll<()> {
        self.shared.poll_asked(END, context)
    }

    /// Returns once its body is to give way, and says how long it was given at least. Only the
    /// connection's own task may ask.
    pub(crate) async fn called_off(&self) -> Duration {
        std::future::poll_fn(|context| self.shared.poll_asked(GIVE_WAY, context)).await;
        SLOW_BODY
    }

    fn does(&self, what: u64) {
        let doing = self.connections.micros() * 4 + what;
        self.shared.doing.store(doing, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.seats().taken.remove(&self.number);
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
    async fn the_one_that_waits_the_longest_gives_its_place_to_the_next() {
        let connections = Connections::with_places(3);
        let (first, second, third) = (
            connections.seat().await,
            connections.seat().await,
            connections.seat().await,
        );
        // What had a request since has waited for less time.
        advance(Duration::from_millis(1)).await;
        first.receives();
        first.waits();
        let next = tokio::spawn({
            let connections = connections.clone();
            async move { connections.seat().await }
        });
        second.called_off().await;
        assert!(!is_asked(&first).await && !is_asked(&third).await);
        drop(second);
        next.await.unwrap();
        assert!(!is_asked(&first).await && !is_asked(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_gives_way_only_after_a_while_and_work_never() {
        let connections = Connections::with_places(2);
        let (slow, at_work) = (connections.seat().await, connections.seat().await);
        slow.receives();
        at_work.receives();
        at_work.works();
        let started = Instant::now();
        let next = tokio::spawn({
            let connections = connections.clone();
            async move { connections.seat().await }
        });
        assert_eq!(slow.called_off().await, SLOW_BODY);
        assert!(started.elapsed() >= SLOW_BODY);
        drop(slow);
        let next = next.await.unwrap();
        assert!(!is_asked(&at_work).await);
        // What has left is not asked again.
        drop(at_work);
        next.receives();
        advance(SLOW_BODY).await;
        next.overloaded();
        assert!(is_asked(&next).await);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_all_bodies_give_way() {
        let connections = Connections::with_places(3);
        let (receiving, waiting, working) = (
            connections.seat().await,
            connections.seat().await,
            connections.seat().await,
        );
        receiving.receives();
        working.works();
        connections.all_bodies_give_way();
        assert!(is_asked(&receiving).await);
        assert!(!is_asked(&waiting).await && !is_asked(&working).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whose_request_takes_too_long_to_come_ends() {
        let connections = Connections::with_places(3);
        let (idle, busy) = (connections.seat().await, connections.seat().await);
        busy.receives();
        let later = tokio::spawn({
            let connections = connections.clone();
            async move { connections.end_the_idle().await }
        });
        sleep(HEAD_TIMEOUT - LOOK_EVERY).await;
        assert!(!is_asked(&idle).await);
        let back = connections.seat().await;
        sleep(2 * LOOK_EVERY).await;
        assert!(is_asked(&idle).await);
        assert!(!is_asked(&busy).await && !is_asked(&back).await);
        later.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_to_end_may_finish_its_body() {
        let connections = Connections::with_places(1);
        let seat = connections.seat().await;
        seat.receives();
        let ends = || {
            timeout(
                Duration::ZERO,
                std::future::poll_fn(|cx| seat.poll_ends(cx)),
            )
        };
        assert!(ends().await.is_err());
        connections.all_end();
        assert!(ends().await.is_ok());
        assert!(!is_asked(&seat).await);
    }
}
