//! Which statement a cancel request ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// The connections that can be named in a cancel request, by number and secret.
#[derive(Debug, Default)]
pub struct Cancels {
    connections: Mutex<HashMap<i32, (Bytes, CancellationToken)>>,
}

/// A connection's place; dropped with it.
#[derive(Debug)]
pub struct Place {
    cancels: Arc<Cancels>,
    process: i32,
}

impl Cancels {
    /// A place under a number that no other connection has; `secret` must come with each request for it.
    pub fn enter(self: &Arc<Cancels>, secret: Bytes) -> Place {
        let mut connections = self.lock();
        let mut process = rand::random::<i32>() & i32::MAX;
        while process == 0 || connections.contains_key(&process) {
            process = rand::random::<i32>() & i32::MAX;
        }
        connections.insert(process, (secret, CancellationToken::new()));
        Place {
            cancels: Arc::clone(self),
            process,
        }
    }

    /// Cancels the statement that this connection runs. A wrong secret does nothing.
    pub fn cancel(&self, process: i32, secret: &[u8]) {
        if let Some((known, running)) = self.lock().get(&process)
            && bool::from(known[..].ct_eq(secret))
        {
            running.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, (Bytes, CancellationToken)>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The number that the client sends to cancel.
    pub fn process(&self) -> i32 {
        self.process
    }

    /// A token for the next statement: requests from now on are for it.
    pub fn next(&self) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some((_, running)) = self.cancels.lock().get_mut(&self.process) {
            *running = token.clone();
        }
        token
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_the_statement_that_runs_and_needs_its_secret() {
        let cancels = Arc::new(Cancels::default());
        let place = cancels.enter(Bytes::from_static(b"1234"));
        let first = place.next();
        cancels.cancel(place.process(), b"4321");
        assert!(!first.is_cancelled());
        cancels.cancel(place.process(), b"1234");
        assert!(first.is_cancelled());
        assert!(!place.next().is_cancelled());
        drop(place);
        assert!(cancels.lock().is_empty());
    }
}
