//! The HTTP side: requests come in, each with a key, and wait for their turn; answers go out as JSON, within bounds of
//! time, groups and rows. What is read is the newest snapshot, and the answer says how fresh that is.

mod answer;
mod cursor;
mod entities;
mod health;
mod kinds;
mod latest;
mod names;
mod openapi;
mod parameters;
mod points;
mod query;
mod refusal;
mod router;
mod settings;
mod shared;
#[cfg(feature = "sql")]
mod sql;
#[cfg(not(feature = "sql"))]
#[path = "no_sql.rs"]
mod sql;
mod top;

pub use refusal::{ErrorBody, ErrorDetail};
pub use router::{OtherApi, router, router_with_console};
pub use settings::QuerySettings;
