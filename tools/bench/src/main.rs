//! The harness: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run(service::settings::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
