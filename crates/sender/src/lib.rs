#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod compress;
mod http;
mod retry;
mod send;
mod trust;

pub use self::http::{HttpAnswer, HttpClient, HttpError};
pub use answer::{Answer, PostError, Rejected};
pub use client::{Client, ClientConfig, ClientCounts, ClientError};
pub use compress::Compression;
pub use send::{Ended, Outgoing, Posted, SendError, SendOptions, send};
pub use trust::Trust;
