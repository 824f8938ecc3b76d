//! The log of alerts: transitions, notifications, attempts, silences and acknowledgements come in, and are one record
//! in S3 before anything follows from them. The state of the service is what the records add up to, so a restart
//! changes nothing. S3 lets one writer have a record's number, which makes that writer the leader.

mod error;
mod handle;
mod notification;
mod record;
mod shared;
mod silence;
mod state;
mod store;
mod watched;
mod writer;

pub use error::{JournalError, WriteError};
pub use handle::Journal;
pub use notification::{Attempt, Notification, Outcome, Status, Why};
pub use record::{Entry, Record};
pub use shared::{Role, Sending};
pub use silence::{Acknowledgement, Silence, SilenceStatus};
pub use state::{Alert, Flow, State, Told};
pub use writer::{JournalSettings, JournalWriter, SNAPSHOT_EVERY};
