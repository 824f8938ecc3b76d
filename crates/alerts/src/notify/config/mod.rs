//! `notify.yml`: a part of Alertmanager's configuration comes in, checked [`Routing`](super::Routing) goes out. What
//! is not taken is refused with its line and column, all complaints at once.

mod file;
mod load;
mod receiver;
mod sources;
mod time;

pub use load::read_notify;
pub use sources::NotifySources;

/// What holds where there is no `notify.yml`: a line on the console.
pub const BUILTIN: &str = include_str!("../../../rules/notify.yml");

#[cfg(test)]
mod tests;
