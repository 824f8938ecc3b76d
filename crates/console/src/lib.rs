#![doc = include_str!("../README.md")]

mod alerts_api;
mod assets;
mod browser;
mod console;
mod gateway;
mod live;
mod page;
mod refusal;
mod session;
mod settings;
mod shared;

pub use alerts_api::AlertsApi;
pub use browser::lake_routes;
pub use console::{Console, Parts};
pub use refusal::{ErrorBody, ErrorDetail};
pub use settings::ConsoleSettings;
