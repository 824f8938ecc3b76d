#![doc = include_str!("../README.md")]

mod authority;
mod emulation;
mod environment;
mod http;
mod ports;
mod process;
mod program;

pub use authority::{Authority, Certified};
pub use emulation::{Emulation, aws_at};
pub use environment::{Variables, inherited};
pub use http::{answers, http_client};
pub use ports::{free_port, free_ports};
pub use process::{POLL, Process, ProcessSpec};
pub use program::{own_program, program};
