//! Turns at work that takes CPU time, shared fairly among keys: whoever has much to do waits behind itself.
//!
//! A key that waits gets the next turn that is free after each other waiting key has had one. One key alone has all
//! turns but one, so that another finds a turn at once, whatever the first has sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// All turns. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    most_of_one: usize,
    /// Keys that are at work or wait.
    keys: HashMap<u64, OfKey>,
    /// Keys that wait, in the order in which they come to their turn.
    order: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct OfKey {
    at_work: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn of a key, over once this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    key: u64,
}

impl Turns {
    /// `all` turns at a time, at least 2.
    pub(crate) fn new(all: usize) -> Turns {
        let all = all.max(2);
        Turns(Arc::new(Mutex::new(State {
            free: all,
            most_of_one: all - 1,
            keys: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a turn of the key with this number. Dropping the future gives up the place.
    pub(crate) async fn turn(&self, key: u64) -> Turn {
        loop {
            let told = {
                let mut state = self.state();
                let State {
                    free,
                    most_of_one,
                    keys,
                    order,
                } = &mut *state;
                let of = keys.entry(key).or_default();
                let is_first = of.waiting.iter().all(oneshot::Sender::is_closed);
                if *free > 0 && of.at_work < *most_of_one && is_first {
                    *free -= 1;
                    of.at_work += 1;
                    return self.of(key);
                }
                if of.waiting.is_empty() {
                    order.push_back(key);
                }
                let (tell, told) = oneshot::channel();
                of.waiting.push_back(tell);
                told
            };
            // Never dropped without a word; if it were, the place is taken anew.
            if let Ok(turn) = told.await {
                return turn;
            }
        }
    }

    fn of(&self, key: u64) -> Turn {
        Turn {
            turns: self.clone(),
            key,
        }
    }

    fn end(&self, key: u64) {
        let mut given_back = Vec::new();
        let mut state = self.state();
        state.free += 1;
        if let Some(of) = state.keys.get_mut(&key) {
            of.at_work -= 1;
            if of.at_work == 0 && of.waiting.is_empty() {
                state.keys.remove(&key);
            }
        }
        while let Some((key, tell)) = state.next() {
            if let Err(turn) = tell.send(self.of(key)) {
                // It gave up its place just now. Its turn must not end before the lock is free.
                given_back.push(turn);
            }
        }
        drop(state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a free turn for the next key that may have one.
    fn next(&mut self) -> Option<(u64, oneshot::Sender<Turn>)> {
        if self.free == 0 {
            return None;
        }
        for _ in 0..self.order.len() {
            let key = self.order.pop_front()?;
            let of = self.keys.entry(key).or_default();
            while of.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                of.waiting.pop_front();
            }
            if of.waiting.is_empty() {
                if of.at_work == 0 {
                    self.keys.remove(&key);
                }
                continue;
            }
            if of.at_work == self.most_of_one {
                self.order.push_back(key);
                continue;
            }
            let tell = of.waiting.pop_front()?;
            of.at_work += 1;
            self.free -= 1;
            if !of.waiting.is_empty() {
                self.order.push_back(key);
            }
            return Some((key, tell));
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.end(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_key_delays_no_other() {
        let turns = Turns::new(3);
        for _ in 0..1_000 {
            let turns = turns.clone();
            tokio::spawn(async move {
                let _turn = turns.turn(1).await;
                sleep(Duration::from_secs(1)).await;
            });
        }
        sleep(Duration::from_millis(1)).await;
        for _ in 0..50 {
            let asked = Instant::now();
            let turn = turns.turn(2).await;
            assert_eq!(asked.elapsed(), Duration::ZERO);
            sleep(Duration::from_millis(100)).await;
            drop(turn);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_keys_take_turns() {
        let turns = Turns::new(2);
        let (order, mut done) = tokio::sync::mpsc::unbounded_channel();
        let first = [turns.turn(8).await, turns.turn(9).await];
        // Those of key 1 came first.
        for key in [1, 1, 1, 1, 2, 2, 3] {
            let (turns, order) = (turns.clone(), order.clone());
            tokio::spawn(async move {
                let _turn = turns.turn(key).await;
                order.send(key).unwrap();
                sleep(Duration::from_secs(1)).await;
            });
            sleep(Duration::from_millis(1)).await;
        }
        let [_held, one] = first;
        drop(one);
        let mut came = Vec::new();
        for _ in 0..7 {
            came.push(done.recv().await.unwrap());
        }
        assert_eq!(came, [1, 2, 3, 1, 2, 1, 1]);
    }

    proptest! {
        #[test]
        fn no_turn_is_lost_or_given_twice(steps in prop::collection::vec((0_u64..4, 0_u8..3), 1..300)) {
            let turns = Turns::new(3);
            let (mut held, mut waiting) = (Vec::new(), Vec::new());
            for (key, step) in steps {
                match step {
                    0 => waiting.push(Box::pin({
                        let turns = turns.clone();
                        async move { turns.turn(key).await }
                    })),
                    1 if !held.is_empty() => drop(held.remove(key as usize % held.len())),
                    _ if !waiting.is_empty() => drop(waiting.remove(key as usize % waiting.len())),
                    _ => {}
                }
                waiting.retain_mut(|future| match future.as_mut().now_or_never() {
                    Some(turn) => {
                        held.push(turn);
                        false
                    }
                    None => true,
                });
                prop_assert!(held.len() <= 3);
                let of = |key: u64| held.iter().filter(|turn: &&Turn| turn.key == key).count();
                prop_assert!((0..4).all(|key| of(key) <= 2));
            }
            drop(waiting);
            drop(held);
            let state = turns.state();
            prop_assert_eq!(state.free, 3);
        }
    }
}
