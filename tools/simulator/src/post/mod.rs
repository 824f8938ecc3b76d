//! Posts to ingest: events come in, each answer goes to whoever counts them.
//!
//! A retry is byte for byte the post before it, so that an event which was accepted unnoticed keeps its id.

mod answer;
mod client;
mod compress;
mod http;
mod retry;
mod send;
mod summary;

pub use self::http::{HttpAnswer, HttpClient, HttpError};
pub use answer::{Answer, PostError, Rejected};
pub use client::{Client, ClientConfig, ClientCounts, ClientError};
pub use compress::Compression;
pub use send::{Ended, Posted, SendError, SendOptions, send};
pub use summary::Summary;
