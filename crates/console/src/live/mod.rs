//! The live stream: what is new goes to whoever asked for it, within a second or so.
//!
//! `follow` finds out what is new, and publishes it to the table of topics; `client` takes from there what one client
//! has yet to be sent, the newest message of each topic and no queue of older ones; `routes` sends that by WebSocket or
//! as Server-Sent Events. Where no client is, nothing is followed.

mod alerts;
mod arrival_stats;
mod client;
mod follow;
mod health;
mod history;
mod hub;
mod message;
mod moments;
mod outbox;
pub(crate) mod routes;
mod series;
mod series_index;
mod since;
mod sse;
mod table;
#[cfg(test)]
mod table_tests;
mod top;
mod topic;
mod topic_state;
mod websocket;

pub(crate) use follow::follow;
pub(crate) use hub::{Hub, Sources};
