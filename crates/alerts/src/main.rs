//! The alerts service: see the library.

use std::process::ExitCode;
use std::sync::Arc;

use alerts::notify::Network;
use alerts::{Command, Config, Service, USES, commands};
use anyhow::Context;
use service::{health, logging, stop};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code for wrong use.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let config = service::settings::parse_with_uses::<Config>(USES);
    if config.command.is_none()
        && let Err(error) = config.check()
    {
        eprintln!("alerts: {error:#}");
        return ExitCode::from(USAGE);
    }
    match run(config).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("alerts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether what was asked for is well.
async fn run(config: Config) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    match &config.command {
        None => serve(config).await.map(|()| true),
        Some(Command::Health { live }) => {
            let path = if *live { "/livez" } else { "/readyz" };
            health::check(config.metrics_listen, path)
                .await
                .map(|()| true)
        }
        Some(Command::Check { files }) => Ok(commands::check(files, &config.kinds()?, &mut out)?),
        Some(Command::Replay { from, to }) => {
            let aws = aws::Aws::connect().await?;
            let replay = commands::Replay {
                lake: aws.lake(&config.lake.lake_bucket),
                kinds: Arc::new(config.kinds()?),
                clock: aws.clock(),
                rules: config.rules()?,
                settings: config.follow(),
            };
            let fired = replay.run(*from, *to, &mut out).await?;
            eprintln!("alerts: {fired} episodes fired");
            Ok(true)
        }
        Some(Command::NotifyTest { receiver }) => {
            let (routing, transport) = (config.routing()?, network()?);
            let now = chrono::Utc::now().timestamp_millis();
            commands::notify_test(&routing, receiver, &transport, now, &mut out).await
        }
        Some(Command::Retry {
            ids,
            forget,
            url,
            trust,
        }) => {
            let key = config.read_keys.first().context("no key: set READ_KEYS")?;
            let url = url.clone().unwrap_or_else(|| config.own_url());
            commands::retry(&url, trust, key, ids, *forget, &mut out).await?;
            Ok(true)
        }
        Some(Command::Test { files }) => Ok(commands::test(files, &config.kinds()?, &mut out)?),
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    logging::init(config.log_format);
    let stop = stop::on_signal().context("cannot listen for signals")?;
    let (asked, reload) = watch::channel(0);
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            asked.send_modify(|times| *times += 1);
        }
    });
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: set LISTEN to a free address",
            config.listen
        )
    })?;
    let admin = service::metrics::bind(config.metrics_listen).await?;
    let aws = aws::Aws::connect().await?;
    let transport = network()?;
    let service = Service {
        config,
        aws,
        transport: Arc::new(transport),
        listener,
        admin: Some(admin),
        reload,
    };
    alerts::run(service, stop).await
}

fn network() -> anyhow::Result<Network> {
    Network::new().context("cannot set up TLS")
}
