//! What travels over SQS: lines come in and leave as packs, each with the envelope that says how to read it; messages
//! come in and leave as lines. What is packed here is read here, by any release that knows its version. `letter` names
//! the reasons of messages in the dead-letter queue.

pub(crate) mod envelope;
pub(crate) mod letter;
pub(crate) mod pack;
pub(crate) mod unpack;
