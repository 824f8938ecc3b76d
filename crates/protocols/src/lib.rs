#![doc = include_str!("../README.md")]

mod emit;
mod histogram;
mod influx;
mod info;
mod mapping;
mod otlp;
mod point;
mod prometheus;
mod protobuf;
mod request;
mod write;

pub use emit::{Sent, SentEvent, Stop, Take};
pub use influx::{Api, Precision};
pub use info::Info;
pub use mapping::{ENTITY_LABELS, Mapping};
pub use point::{MAX_REASONS, Report};
pub use protobuf::Malformed;
pub use request::{Answer, Content, Form, Protocol, Read};
