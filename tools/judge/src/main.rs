//! The judge's command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = service::settings::parse::<judge::Cli>().command();
    service::logging::init(command.log_format());
    let stop = service::stop::on_signal()?;
    let exit = judge::run(&command, &stop).await;
    Ok(ExitCode::from(exit.code()))
}
