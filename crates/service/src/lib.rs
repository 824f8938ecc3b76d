#![doc = include_str!("../README.md")]

pub mod emf;
pub mod errors;
mod follow;
pub mod health;
pub mod http2;
pub mod keys;
pub mod logging;
pub mod metrics;
pub mod nearest;
pub mod openapi;
pub mod prometheus;
pub mod ready;
pub mod server;
pub mod settings;
pub mod stop;
pub mod supervise;
pub mod terminal;
pub mod tls;
