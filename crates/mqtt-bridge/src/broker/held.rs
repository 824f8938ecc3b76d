//! Messages that the broker waits for an acknowledgement of.
//!
//! Acknowledgements go out in the order in which the messages came (MQTT 5, section 4.6). After a connection is lost,
//! the broker sends again what it has no acknowledgement of, under the same packet identifiers: a message that is still
//! held is then known by that, and is not posted a second time.

use std::collections::VecDeque;
use std::collections::hash_map::{DefaultHasher, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sends an acknowledgement of the message with this packet identifier.
type Acknowledge = Box<dyn Fn(u16) + Send>;

/// The messages that are held. All is decided under one lock, so that no acknowledgement is meant for one connection
/// and sent on the next.
pub(crate) struct Held(Mutex<State>);

struct State {
    acknowledge: Acknowledge,
    next: u64,
    messages: HashMap<u64, Message>,
    by_packet: HashMap<u16, u64>,
    /// Messages of this connection, in the order in which they came.
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct Message {
    packet: u16,
    content: u64,
    /// Whether it came, or came again, by this connection.
    is_current: bool,
    is_done: bool,
}

/// What a message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// One that is to be posted; [`Held::done`] is told the number once it is.
    First(u64),
    /// One that is held already.
    Again,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.len())
    }
}

impl Held {
    pub(crate) fn new(acknowledge: impl Fn(u16) + Send + 'static) -> Held {
        Held(Mutex::new(State {
            acknowledge: Box::new(acknowledge),
            next: 0,
            messages: HashMap::new(),
            by_packet: HashMap::new(),
            order: VecDeque::new(),
        }))
    }

    /// How many messages are not done, or done and to be acknowledged on this connection. One that was done while there
    /// was no connection counts no more: a broker that has forgotten it will not send it again.
    pub(crate) fn len(&self) -> usize {
        let state = self.state();
        let open = state.messages.values();
        open.filter(|message| !message.is_done || message.is_current)
            .count()
    }

    /// A message has come; `again` if the broker says that it has sent it before.
    pub(crate) fn came(&self, packet: u16, again: bool, topic: &[u8], payload: &[u8]) -> Came {
        let mut content = DefaultHasher::new();
        (topic, payload).hash(&mut content);
        let content = content.finish();
        let mut state = self.state();
        if let Some(number) = state.by_packet.get(&packet).copied() {
            let held = state.messages.get_mut(&number);
            match held {
                Some(held) if again && !held.is_current && held.content == content => {
                    held.is_current = true;
                    state.order.push_back(number);
                    state.acknowledge_done();
                    return Came::Again;
                }
                // The broker has done with the one before: nobody waits for its acknowledgement.
                _ => state.forget(number),
            }
        }
        let number = state.next;
        state.next += 1;
        let message = Message {
            packet,
            content,
            is_current: true,
            is_done: false,
        };
        state.messages.insert(number, message);
        state.by_packet.insert(packet, number);
        state.order.push_back(number);
        Came::First(number)
    }

    /// All events of the message are accepted, or refused for good.
    pub(crate) fn done(&self, number: u64) {
        let mut state = self.state();
        if let Some(message) = state.messages.get_mut(&number) {
            message.is_done = true;
            state.acknowledge_done();
        }
    }

    /// The connection is lost: nothing is acknowledged until the broker has sent it again.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.order.clear();
        for message in state.messages.values_mut() {
            message.is_current = false;
        }
    }

    /// There is a new connection. Without the session of before, the broker waits for no acknowledgement.
    pub(crate) fn connected(&self, session_present: bool) {
        if !session_present {
            let mut state = self.state();
            state.messages.clear();
            state.by_packet.clear();
            state.order.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Acknowledges the messages in front, up to the first that is not done.
    fn acknowledge_done(&mut self) {
        while let Some(number) = self.order.front().copied() {
            let Some(message) = self.messages.get(&number) else {
                self.order.pop_front();
                continue;
            };
            if !message.is_done {
                return;
            }
            (self.acknowledge)(message.packet);
            self.order.pop_front();
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(message) = self.messages.remove(&number)
            && self.by_packet.get(&message.packet) == Some(&number)
        {
            self.by_packet.remove(&message.packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn held() -> (Held, Arc<Mutex<Vec<u16>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let held = Held::new({
            let sent = sent.clone();
            move |packet| sent.lock().unwrap().push(packet)
        });
        (held, sent)
    }

    fn first(held: &Held, packet: u16, again: bool, payload: &[u8]) -> u64 {
        match held.came(packet, again, b"t", payload) {
            Came::First(number) => number,
            Came::Again => panic!("it is held already"),
        }
    }

    #[test]
    fn acknowledgements_go_out_in_the_order_of_arrival() {
        let (held, sent) = held();
        let numbers = [1, 2, 3].map(|packet| first(&held, packet, false, b"x"));
        held.done(numbers[2]);
        held.done(numbers[1]);
        assert!(sent.lock().unwrap().is_empty());
        held.done(numbers[0]);
        assert_eq!(*sent.lock().unwrap(), [1, 2, 3]);
        assert_eq!(held.len(), 0);
        held.done(numbers[0]);
        assert_eq!(sent.lock().unwrap().len(), 3);
    }

    #[test]
    fn what_comes_again_on_the_next_connection_is_known_and_acknowledged_there() {
        let (held, sent) = held();
        let one = first(&held, 1, false, b"one");
        let two = first(&held, 2, false, b"two");
        held.lost();
        held.done(one);
        held.connected(true);
        assert!(
            sent.lock().unwrap().is_empty(),
            "nothing before it has come again"
        );
        assert_eq!(held.len(), 1, "the broker may have forgotten the first one");
        assert_eq!(held.came(1, true, b"t", b"one"), Came::Again);
        assert_eq!(held.came(2, true, b"t", b"two"), Came::Again);
        assert_eq!(*sent.lock().unwrap(), [1]);
        held.done(two);
        assert_eq!(*sent.lock().unwrap(), [1, 2]);
    }

    #[test]
    fn another_message_under_the_same_identifier_is_another_message() {
        let (held, sent) = held();
        let one = first(&held, 1, false, b"one");
        held.lost();
        held.connected(true);
        let fresh = first(&held, 1, false, b"one");
        held.done(one);
        assert!(
            sent.lock().unwrap().is_empty(),
            "the first one is not that of this connection"
        );
        held.done(fresh);
        assert_eq!(*sent.lock().unwrap(), [1]);
        let other = first(&held, 2, false, b"two");
        held.lost();
        held.connected(true);
        let changed = first(&held, 2, true, b"changed");
        held.done(other);
        held.done(changed);
        assert_eq!(*sent.lock().unwrap(), [1, 2]);
    }

    #[test]
    fn a_broker_that_has_lost_the_session_is_sent_no_acknowledgement_of_it() {
        let (held, sent) = held();
        let one = first(&held, 1, false, b"one");
        held.lost();
        held.connected(false);
        let fresh = first(&held, 1, false, b"new");
        held.done(one);
        assert!(sent.lock().unwrap().is_empty());
        held.done(fresh);
        assert_eq!(*sent.lock().unwrap(), [1]);
        assert_eq!(held.len(), 0);
    }
}
