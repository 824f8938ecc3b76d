//! Takes messages off a socket.
//!
//! `pgwire` takes lengths within a message at their word, and panics where they lie. Such a message is broken, and
//! nothing else is: its connection is told so, and ends.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::startup::{PasswordMessageFamily, SASLInitialResponse};

use super::connection::Socket;

/// Bytes that are no message.
#[derive(Debug)]
pub(super) struct Broken;

/// The next message; none when the client has left. Dropping the future loses none.
pub(super) async fn receive(socket: &mut Socket) -> Option<Result<PgWireFrontendMessage, Broken>> {
    // After a panic the socket is read no more.
    match AssertUnwindSafe(socket.next()).catch_unwind().await {
        Ok(None) => None,
        Ok(Some(Ok(message))) => Some(Ok(message)),
        Ok(Some(Err(_))) | Err(_) => Some(Err(Broken)),
    }
}

/// The message as the first of a SASL exchange: the name of the method, a zero, the length of the data or −1, the data
/// (PostgreSQL's documentation, 55.7).
pub(super) fn sasl_initial(message: PasswordMessageFamily) -> Result<SASLInitialResponse, Broken> {
    if let PasswordMessageFamily::Raw(body) = &message {
        let end = body.iter().position(|byte| *byte == 0);
        let rest = end.map(|end| &body[end + 1..]);
        let data = rest.and_then(|rest| rest.split_first_chunk());
        let is_sound = data.is_some_and(|(length, data)| match i32::from_be_bytes(*length) {
            -1 => data.is_empty(),
            length => usize::try_from(length) == Ok(data.len()),
        });
        if !is_sound {
            return Err(Broken);
        }
    }
    message.into_sasl_initial_response().map_err(|_| Broken)
}
