//! The events of a message that break their contract, and the letters that they become.

use aws::Message;
use contract::{Code, Rejection};

use crate::receive::dead_letter::{DeadLetter, MANY_BROKEN};

/// Most events of one message that become letters of their own: a bound on memory and on calls.
pub(super) const MAX_LETTERS: usize = 1000;

/// The refused events of one message.
pub(super) struct Refused<'m> {
    message: &'m Message,
    /// At most [`MAX_LETTERS`].
    letters: Vec<DeadLetter>,
    count: usize,
    not_json: usize,
    /// What is wrong with the first one.
    first: String,
}

impl<'m> Refused<'m> {
    pub(super) fn new(message: &'m Message) -> Refused<'m> {
        Refused {
            message,
            letters: Vec::new(),
            count: 0,
            not_json: 0,
            first: String::new(),
        }
    }

    pub(super) fn add(&mut self, text: &str, rejection: Rejection) {
        self.count += 1;
        self.not_json += usize::from(rejection.code == Code::InvalidJson);
        if self.letters.len() < MAX_LETTERS {
            let letter = DeadLetter::of_event(self.message, text, &rejection);
            self.letters.push(letter);
        }
        if self.count == 1 {
            self.first = rejection.message;
        }
    }

    /// One letter for each refused event, or one of the whole message if they are too many. `good`
    /// is how many events of the message were taken.
    ///
    /// # Errors
    ///
    /// If nothing in the message is JSON: a body that is none of ours is kept whole, not line by line.
    pub(super) fn letters(self, good: usize) -> Result<Vec<DeadLetter>, String> {
        if good == 0 && self.count > 0 && self.not_json == self.count {
            return Err(self.first);
        }
        if self.count <= MAX_LETTERS {
            return Ok(self.letters);
        }
        let detail = format!(
            "{} of {} events break their contract; the first: {}",
            self.count,
            self.count + good,
            self.first
        );
        let whole = DeadLetter::of_message(self.message, MANY_BROKEN, &detail);
        Ok(vec![whole])
    }
}
