//! Follows the lake: events come in, transitions go out, with the window end that they are of. Plain code over a tail,
//! windows and rules; what is found is recorded by the caller.

mod clock;
mod follow;
mod health;
mod intake;
mod missed;
mod queue;

pub use follow::{Begin, Follow, FollowSettings, Step};
pub use health::{Health, Reading};
pub use intake::{is_dimension, observe};
pub use queue::{QUEUE_EVERY, QueueLook, Waiting};

#[cfg(test)]
mod tests;
