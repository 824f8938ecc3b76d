//! The harness: see the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match bench::run(bench::Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
