//! Simulated vehicles, cells and live streams: a [`Plan`] comes in, its events go out, each in a known state.
//!
//! The same plan yields the same events, byte for byte; nothing here knows of HTTP or the clock.

mod breakage;
mod cell;
mod fleet;
mod generator;
mod plan;
mod stream;
mod stream_texts;
mod vehicle;

pub use breakage::Breakage;
pub use fleet::{Fleet, FleetEvent};
pub use generator::{Generator, SimulatedEvent};
pub use plan::{Plan, PlanError};
