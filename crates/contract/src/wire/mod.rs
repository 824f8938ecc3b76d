//! What travels over SQS: packs of events, and letters of what could not be taken. What is packed here is read here,
//! by any release that knows its version.

pub(crate) mod letter;
pub(crate) mod pack;
