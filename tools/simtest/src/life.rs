//! The state of a simulated process: running, frozen or dead.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Frozen,
    Dead,
}

/// The state of one process, from its start to its death. Clones share it.
#[derive(Debug, Clone)]
pub struct Life(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    was_frozen: AtomicBool,
}

impl Life {
    /// The state of a process that runs.
    pub fn new() -> Life {
        Life(Arc::new(Inner {
            state: Mutex::new(State::Running),
            changed: Notify::new(),
            was_frozen: AtomicBool::new(false),
        }))
    }

    /// Ends the process: none of its work goes on.
    pub fn kill(&self) {
        *self.state() = State::Dead;
        self.0.changed.notify_waiters();
    }

    /// Freezes the process if it runs; whether it did.
    pub fn freeze(&self) -> bool {
        let mut state = self.state();
        let runs = *state == State::Running;
        if runs {
            *state = State::Frozen;
            self.0.was_frozen.store(true, Ordering::Relaxed);
        }
        runs
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        let mut state = self.state();
        if *state == State::Frozen {
            *state = State::Running;
            self.0.changed.notify_waiters();
        }
    }

    /// Whether the process is dead.
    pub fn is_dead(&self) -> bool {
        *self.state() == State::Dead
    }

    /// Whether the process runs: it is neither dead nor frozen.
    pub fn runs(&self) -> bool {
        *self.state() == State::Running
    }

    /// Whether the process is frozen now.
    pub fn is_frozen(&self) -> bool {
        *self.state() == State::Frozen
    }

    /// Whether the process has ever been frozen.
    pub fn was_frozen(&self) -> bool {
        self.0.was_frozen.load(Ordering::Relaxed)
    }

    /// Waits until the process is dead.
    pub async fn died(&self) {
        self.until(|state| state == State::Dead).await;
    }

    /// Waits until the process runs; for ever if it is dead. Every request and answer of the process
    /// passes here.
    pub async fn goes_on(&self) {
        self.until(|state| state == State::Running).await;
    }

    /// Runs the process's work until it is done, or until the process is dead: then None. The work is
    /// not polled while the process is frozen.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut thawed = None;
        let mut still = std::future::poll_fn(|context| {
            loop {
                if self.is_frozen() && thawed.is_none() {
                    let life = self.clone();
                    thawed = Some(Box::pin(async move {
                        life.until(|state| state != State::Frozen).await;
                    }));
                }
                match &mut thawed {
                    Some(waiting) => {
                        if waiting.as_mut().poll(context).is_pending() {
                            return Poll::Pending;
                        }
                        thawed = None;
                    }
                    None => return work.as_mut().poll(context),
                }
            }
        });
        tokio::select! {
            biased;
            () = self.died() => None,
            done = &mut still => Some(done),
        }
    }

    async fn until(&self, wanted: impl Fn(State) -> bool) {
        loop {
            // Created before the look at the state, so that a change in between wakes it.
            let changed = self.0.changed.notified();
            if wanted(*self.state()) {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Life {
    fn default() -> Life {
        Life::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_moves_while_a_process_stands_still_and_nothing_at_all_once_it_is_dead() {
        let (life, steps) = (Life::new(), Arc::new(AtomicU32::new(0)));
        let process = {
            let (life, steps) = (life.clone(), steps.clone());
            tokio::spawn(async move {
                life.live(async {
                    loop {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        steps.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .await
            })
        };
        let after = async |millis| {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            steps.load(Ordering::Relaxed)
        };
        assert_eq!(after(3_500).await, 3);
        assert!(life.freeze());
        assert_eq!(after(60_000).await, 3);
        life.thaw();
        // The sleep that ran out meanwhile, and two more.
        assert_eq!(after(2_300).await, 6);
        life.kill();
        assert_eq!(after(60_000).await, 6);
        assert_eq!(process.await.unwrap(), None::<()>);
    }
}
