//! A sink that remembers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws::{CallError, Outgoing};
use contract::{Envelope, Unpacker};

use crate::queue::pack_sender::Sink;

/// Remembers what it was sent, and fails what it is told to.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    takes: Duration,
    calls: Mutex<Vec<Vec<Outgoing>>>,
    failing: Mutex<Option<usize>>,
}

impl Fake {
    /// A sink whose every send takes `takes`.
    pub(crate) fn taking(takes: Duration) -> Fake {
        Fake(Arc::new(Inner {
            takes,
            ..Inner::default()
        }))
    }

    /// From the next send on, message number `at` of each call fails.
    pub(crate) fn fail_message(&self, at: usize) {
        *self.0.failing.lock().unwrap() = Some(at);
    }

    /// Messages of all sends.
    pub(crate) fn messages(&self) -> Vec<Outgoing> {
        self.0.calls.lock().unwrap().concat()
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.calls.lock().unwrap().len()
    }

    /// Lines of all messages.
    pub(crate) fn lines(&self) -> usize {
        let text = |message: &Outgoing| {
            let envelope = Envelope::read(&message.body, &message.attributes);
            let text = envelope.text(&mut Unpacker::default()).unwrap();
            text.into_owned()
        };
        let messages = self.messages();
        messages
            .iter()
            .map(|message| text(message).lines().count())
            .sum()
    }
}

/// How many messages each send had.
pub(crate) fn sends(fake: &Fake) -> Vec<usize> {
    fake.0.calls.lock().unwrap().iter().map(Vec::len).collect()
}

impl Sink for Fake {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), CallError>> {
        let failing = *self.0.failing.lock().unwrap();
        self.0.calls.lock().unwrap().push(messages.to_vec());
        tokio::time::sleep(self.0.takes).await;
        let refused = || CallError::NotFound {
            operation: "sqs:SendMessageBatch",
            reason: "told to fail".into(),
        };
        (0..messages.len())
            .map(|at| {
                if failing == Some(at) {
                    Err(refused())
                } else {
                    Ok(())
                }
            })
            .collect()
    }
}
