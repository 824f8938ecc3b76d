//! The seats of the requests of an HTTP/2 connection.
//!
//! A seat stands for one request at a time, and bounds memory so. The first request of a connection has the
//! connection's own seat; each one beside it takes a seat like a new connection, and is answered `503` where none is
//! free. The connection's own seat waits only while none of them is under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::seats::{Seat, Seats};

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct Streams {
    own: Arc<Seat>,
    seats: Seats,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Whether a request has the connection's own seat.
    has_own: bool,
    /// Requests that have a seat beside it, or none.
    beside: usize,
}

/// A request's place, which it leaves once this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<Streams>,
    is_own: bool,
}

impl Streams {
    pub(crate) fn new(own: Arc<Seat>, seats: Seats) -> Streams {
        Streams {
            own,
            seats,
            open: Mutex::default(),
        }
    }

    /// A place for a request, and its seat, if there is one.
    pub(crate) async fn enter(self: &Arc<Streams>) -> (Place, Option<Arc<Seat>>) {
        let place = {
            let mut open = self.open();
            // From here on nobody takes the connection for an idle one.
            self.own.works();
            let is_own = !open.has_own;
            if is_own {
                open.has_own = true;
            } else {
                open.beside += 1;
            }
            Place {
                streams: self.clone(),
                is_own,
            }
        };
        if place.is_own {
            return (place, Some(self.own.clone()));
        }
        let seat = match self.seats.free_seat() {
            None => self.seats.given_up_seat().await,
            free => free,
        };
        (place, seat.map(Arc::new))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        if self.is_own {
            open.has_own = false;
        } else {
            open.beside -= 1;
        }
        if open.has_own {
            // Its own request says what it does.
        } else if open.beside == 0 {
            self.streams.own.waits();
        } else {
            self.streams.own.works();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_once_none_of_its_requests_is_under_way() {
        let seats = Seats::new(2);
        let own = Arc::new(seats.free_seat().unwrap());
        let streams = Arc::new(Streams::new(own.clone(), seats.clone()));
        let (first, seat) = streams.enter().await;
        assert!(Arc::ptr_eq(&seat.unwrap(), &own) && !own.is_waiting());
        let (second, seat) = streams.enter().await;
        let beside = seat.unwrap();
        assert!(!Arc::ptr_eq(&beside, &own) && seats.free_seat().is_none());
        let (third, seat) = streams.enter().await;
        assert!(seat.is_none(), "no connection gives way to itself");
        drop((third, first));
        assert!(!own.is_waiting(), "the second request is under way");
        drop((second, beside));
        assert!(own.is_waiting() && seats.free_seat().is_some());
    }
}
