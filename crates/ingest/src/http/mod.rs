//! The HTTP side: connections come in, answers go out. A request's events pass through [`intake`](crate::intake) and
//! wait for [`queue`](crate::queue) in between; no `202` is written before the queue has them.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod handlers;
pub(crate) mod open_files;
pub(crate) mod openapi;
pub(crate) mod probe;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod unfold;
