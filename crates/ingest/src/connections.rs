//! Who is connected, and who gives way where there is no room for one more.
//!
//! A connection waits for a request, receives its body, or is at work on it. Where all places are
//! taken, the one that waits the longest gives way, or else the one whose body takes the longest;
//! where the byte budget is, the latter. None does before it has had a while, [`SHORT_WAIT`] or
//! [`SLOW_BODY`], and work is never broken off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A body that has taken so long gives way to others.
pub(crate) const SLOW_BODY: Duration = Duration::from_secs(5);

/// A connection that has waited so long for a request gives way to others. The request of one that
/// is new comes right behind it, and an answer may be followed at once by the next.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// How long a place is waited for before it is looked again who could give way.
const PATIENCE: Duration = Duration::from_millis(50);

/// All connections.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    table: Arc<Mutex<Table>>,
}

/// Those that can give way, by a number that grows: the longest at it come first.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    waiting: Line,
    receiving: Line,
}

/// Since when, and what is cancelled when it is to give way.
type Line = BTreeMap<u64, (Instant, CancellationToken)>;

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Seat {
    connections: Connections,
    state: Mutex<State>,
    /// Cancelled when it is to give way.
    gives_way: CancellationToken,
    _place: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(u64),
    Receiving(u64),
    AtWork,
}

impl Connections {
    /// Places for that many connections.
    pub(crate) fn with_places(places: usize) -> Connections {
        Connections {
            places: Arc::new(Semaphore::new(places)),
            table: Arc::default(),
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
        let seat = Seat {
            connections: self.clone(),
            state: Mutex::new(State::AtWork),
            gives_way: CancellationToken::new(),
            _place: place,
        };
        seat.waits();
        seat
    }

    /// Asks one connection to give way; none where all are at work or quick enough.
    pub(crate) fn one_gives_way(&self) {
        let mut table = self.table();
        if !first_gives_way(&mut table.waiting, SHORT_WAIT) {
            first_gives_way(&mut table.receiving, SLOW_BODY);
        }
    }

    /// All whose bodies are on their way give way.
    pub(crate) fn all_bodies_give_way(&self) {
        for (_, (_, token)) in std::mem::take(&mut self.table().receiving) {
            token.cancel();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the first has been in line for long enough to be asked.
fn first_gives_way(line: &mut Line, long_enough: Duration) -> bool {
    let first = line.first_entry();
    let Some(first) = first.filter(|first| first.get().0.elapsed() >= long_enough) else {
        return false;
    };
    first.remove().1.cancel();
    true
}

impl Seat {
    /// It waits for a request.
    pub(crate) fn waits(&self) {
        self.change(|table, number, token| {
            table.waiting.insert(number, (Instant::now(), token));
            State::Waiting(number)
        });
    }

    /// It has a request whose body is on its way.
    pub(crate) fn receives(&self) {
        self.change(|table, number, token| {
            table.receiving.insert(number, (Instant::now(), token));
            State::Receiving(number)
        });
    }

    /// It has the whole request and works on it.
    pub(crate) fn works(&self) {
        self.change(|_, _, _| State::AtWork);
    }

    /// Its request found the byte budget exhausted: a body that takes long is to give way.
    pub(crate) fn overloaded(&self) {
        first_gives_way(&mut self.connections.table().receiving, SLOW_BODY);
    }

    /// Whether it has no request.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.state(), State::Waiting(_))
    }

    /// Returns once the connection is to give way.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.cancelled().await;
    }

    /// Returns once its body is to give way, and says how long it was given at least.
    pub(crate) async fn called_off(&self) -> Duration {
        self.gives_way.cancelled().await;
        SLOW_BODY
    }

    fn change(&self, to: impl FnOnce(&mut Table, u64, CancellationToken) -> State) {
        let mut state = self.state();
        let mut table = self.connections.table();
        table.remove(*state);
        table.next += 1;
        let number = table.next;
        *state = to(&mut table, number, self.gives_way.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let state = *self.state();
        self.connections.table().remove(state);
    }
}

impl Table {
    fn remove(&mut self, state: State) {
        match state {
            State::Waiting(number) => drop(self.waiting.remove(&number)),
            State::Receiving(number) => drop(self.receiving.remove(&number)),
            State::AtWork => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    async fn is_asked(seat: &Seat) -> bool {
        timeout(Duration::ZERO, seat.gives_way()).await.is_ok()
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
        first.receives();
        first.waits();
        let next = tokio::spawn({
            let connections = connections.clone();
            async move { connections.seat().await }
        });
        second.gives_way().await;
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
}
