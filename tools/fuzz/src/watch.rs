//! Looks at what runs: how long each input takes, and how large the process is.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::input::Input;

/// Longest time of an input. The machine may be busy with other tests.
const LONGEST: Duration = Duration::from_secs(10);

/// Largest process, in KiB: what all tests of a program take together.
const MOST_KIB: u64 = 3 << 19;

struct State {
    /// What runs, and since when.
    running: Option<(Instant, Input)>,
    longest: Duration,
    ended: bool,
}

/// Ends the process if an input takes too long: nothing else could stop it.
pub(crate) struct Watch(Arc<(Mutex<State>, Condvar)>);

/// An input is at work until this is dropped.
pub(crate) struct AtWork<'w>(&'w Watch);

impl Watch {
    pub(crate) fn start(name: &str, seed: u64) -> Watch {
        let state = State {
            running: None,
            longest: Duration::ZERO,
            ended: false,
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let (watched, name) = (shared.clone(), name.to_owned());
        thread::spawn(move || {
            let mut state = lock(&watched.0);
            while !state.ended {
                if let Some((since, input)) = &state.running
                    && since.elapsed() > LONGEST
                {
                    eprintln!(
                        "fuzz {name}, FUZZ_SEED={seed}: runs for more than {LONGEST:?}\n{input:?}"
                    );
                    std::process::abort();
                }
                let waited = watched.1.wait_timeout(state, LONGEST / 10);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        });
        Watch(shared)
    }

    pub(crate) fn begin(&self, input: &Input) -> AtWork<'_> {
        lock(&self.0.0).running = Some((Instant::now(), input.clone()));
        AtWork(self)
    }

    pub(crate) fn longest(&self) -> Duration {
        lock(&self.0.0).longest
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0.0);
        if let Some((since, _)) = state.running.take() {
            state.longest = state.longest.max(since.elapsed());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.0.0).ended = true;
        self.0.1.notify_all();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The largest that the process has been, in KiB (`VmHWM` of proc_pid_status(5)); 0 where the system does not tell.
///
/// # Panics
///
/// If it is too large.
pub(crate) fn check_memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    let kib = kib.unwrap_or(0);
    assert!(
        kib <= MOST_KIB,
        "fuzz {name}: the process took {} MiB",
        kib / 1024
    );
    kib
}
