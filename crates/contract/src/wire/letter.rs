//! Dead letters: what tells why a message stands in the dead-letter queue.

/// Name of the message attribute that holds the reason: a [`Code`](crate::Code), or the
/// consumer's word for a whole message.
pub const ATTRIBUTE_REASON: &str = "reason";

/// The reason of a letter without that attribute: the queue's redrive policy moved the message,
/// for it was received as often as `maxReceiveCount` allows and never deleted.
pub const MAX_RECEIVES: &str = "max_receives";
