//! The HTTP side: connections come in, answers go out. A request's events pass through [`intake`](crate::intake) and
//! wait for [`queue`](crate::queue) in between; no `202` is written before the queue has them.

pub(crate) mod accept;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod door;
pub(crate) mod events;
pub(crate) mod fast_path;
pub(crate) mod openapi;
pub(crate) mod operations;
pub(crate) mod peer;
pub(crate) mod probe;
pub(crate) mod refusal;
pub(crate) mod router;
pub(crate) mod seats;
pub(crate) mod server;
pub(crate) mod spoken;
pub(crate) mod streams;
pub(crate) mod turns;
pub(crate) mod unfold;
