//! The command line of `chaos`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = service::settings::parse::<chaos::Config>();
    service::logging::init(config.log_format);
    let stop = service::stop::on_signal()?;
    Ok(match chaos::run(&config, &stop).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(2)
        }
    })
}
