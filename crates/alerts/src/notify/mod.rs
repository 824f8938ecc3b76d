//! Tells people: the state of the log comes in, notifications go out. A notification is recorded, then sent, then
//! recorded as delivered: a crash in between sends it again, with the same id, and loses none.

mod config;
mod deliver;
mod intervals;
mod labels;
mod message;
mod mute;
mod notifier;
mod plan;
mod receivers;
mod routing;
mod schedule;
mod test_message;
mod transport;

pub use config::{BUILTIN, NotifySources, read_notify};
pub use labels::fingerprint;
pub(crate) use message::{NEVER, generator_url, time};
pub(crate) use mute::Mutes;
pub use notifier::Notifier;
pub use routing::Routing;
pub(crate) use routing::Target;
pub use test_message::{Tested, notify_test};
pub use transport::{ATTEMPT_TIMEOUT, HttpReply, MailFailure, MailReply, Network, Smtp, Transport};
