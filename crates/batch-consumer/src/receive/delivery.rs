//! What the receivers pass on.

use tokio::sync::OwnedSemaphorePermit;

use crate::receive::contents::Contents;
use crate::receive::held::Hold;

/// A message that was received and decoded.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The message's id, as SQS gave it.
    pub(crate) id: String,
    pub(crate) contents: Contents,
    /// One for each delivery: more than one if the message came again while its batch was open.
    pub(crate) holds: Vec<Hold>,
    /// The message's share of the [`Budget`](crate::receive::budget::Budget), given back on drop.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

/// What a receiver tells the batcher.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A receive brought this many messages; each follows as a delivery. A full one (10 messages)
    /// may have left others in the queue.
    Receive {
        messages: usize,
        full: bool,
    },
    Delivery(Delivery),
}
