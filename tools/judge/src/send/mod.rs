//! Sends events with known ids, and enters in the ledger what was accepted or may have been.
//!
//! The sending itself is the simulator's; here every answer is booked, so that after a run the ledger holds what the
//! lake must hold.

mod events_with_ids;
mod sender;
mod sent;

pub use events_with_ids::EventsWithIds;
pub use sender::{SendOptions, Sender};
pub use sent::Sent;
