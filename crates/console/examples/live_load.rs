//! Many clients of the live stream at once: how late are values, and how much memory do they take?
//!
//! ```sh
//! cargo run --release -p console@0.1.0 --example live_load -- --clients 200 --series 1000 --seconds 30
//! ```
//!
//! A lake in this process gets an object each second, with a new value of every series; a console follows it and serves
//! the clients, which run in another process (this program again) and read by WebSocket. One of them never reads. Each
//! value is the time at which its object was put, so a client knows how late it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{Aws, Condition, Lake};
use axum::Router;
use clap::Parser;
use console::{AlertsApi, Console, ConsoleSettings, Parts};
use contract::{Hour, Kinds};
use engine::read::ReadSettings;
use engine::snapshot::{SnapshotSettings, Snapshots};
use engine::{Engine, Turns};
use futures::{SinkExt, StreamExt};
use local_aws::LocalAws;
use serde_json::{Value, json};
use service::ready::Ready;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

const KEY: &str = "a-read-key";

/// Greatest lag that is told apart, in milliseconds.
const MOST_LAG: usize = 60_000;

/// Bytes of a mebibyte.
const MIB: f64 = 1024.0 * 1024.0;

/// Settings.
#[derive(Debug, Clone, Parser)]
struct Config {
    /// Clients, of which one never reads.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Series of each client.
    #[arg(long, default_value_t = 1000)]
    series: usize,
    /// Whether each client has series of its own, rather than all the same.
    #[arg(long)]
    distinct: bool,
    /// Seconds for which objects are put.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds between two objects.
    #[arg(long, default_value_t = 2)]
    every: u64,
    /// Where the clients find the server; without it this is the server, which starts the clients.
    #[arg(long)]
    connect: Option<SocketAddr>,
}

impl Config {
    /// The number of different series.
    fn all(&self) -> usize {
        if self.distinct {
            self.clients * self.series
        } else {
            self.series
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    ensure!(
        config.clients > 0 && config.series > 0 && config.every > 0,
        "clients, series and every are at least 1"
    );
    match config.connect {
        Some(at) => read_all(&config, at).await,
        None => serve(&config).await,
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    aws::setup::create_bucket(&aws, "lake").await?;
    let (lake, kinds, clock) = (aws.lake("lake"), Arc::new(Kinds::builtin()), aws.clock());
    let settings = SnapshotSettings {
        hot_limit: 2 << 30,
        ..SnapshotSettings::default()
    };
    let snapshots = Snapshots::new(lake.clone(), kinds, clock, settings);
    let turns = Turns::new(2, 16);
    let engine = Engine::new(
        lake.clone(),
        snapshots.watch(),
        ReadSettings::default(),
        turns,
    );
    let settings = ConsoleSettings {
        live_max_clients: config.clients as u32 + 1,
        ..ConsoleSettings::default()
    };
    let parts = Parts {
        engine: Arc::new(engine),
        arrivals: snapshots.arrivals(),
        clock,
        keys: service::keys::Keys::new(&[KEY.into()]),
        meters: vec![aws.meter().clone()],
        query: Router::new(),
        has_sql: false,
        alerts: AlertsApi::of(&settings)?,
    };
    let console = Console::new(parts, &settings)?;
    let stop = CancellationToken::new();
    let ready = Ready::default();
    tokio::spawn({
        let stop = stop.clone();
        async move { snapshots.follow(&stop, &ready).await }
    });
    tokio::spawn({
        let (console, stop) = (console.clone(), stop.clone());
        async move { console.run(&stop).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let (live, _) = console.live_routes::<()>().split_for_parts();
    tokio::spawn({
        let (stop, most) = (stop.clone(), config.clients + 16);
        async move { service::server::serve(listener, live, most, None, &stop).await }
    });
    // What the snapshot and the codec take without a client is no part of the measurement.
    put(&lake, config, 0).await?;
    sleep(Duration::from_secs(3)).await;
    let base = resident()?;
    println!(
        "server: {:.0} MiB without clients, {} series in the lake",
        base / MIB,
        config.all()
    );
    let mut clients = Command::new(std::env::current_exe()?)
        .args(["--connect", &at.to_string()])
        .args(std::env::args().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the clients")?;
    let output = clients
        .stdout
        .take()
        .context("the clients have no output")?;
    let mut output = BufReader::new(output).lines();
    let told = output
        .next_line()
        .await?
        .context("the clients have ended")?;
    println!("clients: {told}");
    let (start, mut most, mut held) = (Instant::now(), 0.0_f64, 0.0);
    let mut next = start;
    for number in 1..=config.seconds / config.every {
        sleep_until(next).await;
        put(&lake, config, number).await?;
        next += Duration::from_secs(config.every);
        let now = resident()?;
        most = most.max(now);
        held = now;
    }
    sleep(Duration::from_secs(3)).await;
    // What the lake of this process holds grows with each object, whoever follows.
    println!(
        "server: {:.0} MiB over the base at most, {:.0} MiB at the end",
        (most - base) / MIB,
        (held - base) / MIB
    );
    let mut input = clients.stdin.take().context("the clients have no input")?;
    input.write_all(b"stop\n").await?;
    drop(input);
    while let Some(line) = output.next_line().await? {
        println!("clients: {line}");
    }
    stop.cancel();
    ensure!(clients.wait().await?.success(), "the clients failed");
    Ok(())
}

/// Puts an object with a value of each series: the time now, in milliseconds.
async fn put(lake: &Lake, config: &Config, number: u64) -> anyhow::Result<()> {
    let (kinds, now) = (Kinds::builtin(), chrono::Utc::now());
    let mut lines = Vec::new();
    let received = contract::format_millis(now);
    for series in 0..config.all() {
        let event = json!({
            "timestamp": received, "vehicle_id": format!("veh-{series}"), "can_id": "0x1F0",
            "payload": {"put_at": now.timestamp_millis()},
        });
        let text = event.to_string();
        let parsed = contract::parse_sent(&kinds, None, &text, now);
        let parsed = parsed.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        contract::write_line(&mut lines, &parsed, &received, &text);
    }
    let key = contract::raw_key(
        Hour::of(now),
        contract::raw_part_name(now, u128::from(number)),
    );
    lake.put(
        &key,
        lines.into(),
        "application/x-ndjson",
        HashMap::new(),
        Condition::Always,
    )
    .await?;
    Ok(())
}

/// Connects all clients, says so, and reads until there is something on the input.
async fn read_all(config: &Config, at: SocketAddr) -> anyhow::Result<()> {
    let lags: Arc<Vec<AtomicU64>> = Arc::new((0..=MOST_LAG).map(|_| AtomicU64::new(0)).collect());
    let first = Arc::new(AtomicU64::new(0));
    let (mut clients, start) = (JoinSet::new(), Instant::now());
    for number in 0..config.clients {
        let socket = connect(config, at, number).await?;
        let (lags, first) = (lags.clone(), first.clone());
        let never_reads = number == 0;
        clients.spawn(async move {
            if never_reads {
                // It stays open, and takes nothing.
                sleep(Duration::from_secs(86_400)).await;
            }
            read(socket, &lags, &first).await
        });
    }
    println!(
        "{} connected in {:.1} s",
        config.clients,
        start.elapsed().as_secs_f64()
    );
    let mut input = String::new();
    tokio::io::stdin().read_to_string(&mut input).await?;
    let counts: Vec<u64> = lags.iter().map(|count| count.load(Relaxed)).collect();
    let all: u64 = counts.iter().sum();
    let quantile = |share: f64| {
        let mut below = 0;
        counts.iter().position(|count| {
            below += count;
            below as f64 >= share * all as f64
        })
    };
    println!(
        "{} first values, {all} values after them",
        first.load(Relaxed)
    );
    for share in [0.5, 0.95, 0.99, 1.0] {
        println!(
            "lag of {share}: {:?} ms",
            quantile(share).unwrap_or_default()
        );
    }
    ensure!(clients.try_join_next().is_none(), "a client has broken off");
    ensure!(all > 0, "no value came");
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

async fn connect(config: &Config, at: SocketAddr, number: usize) -> anyhow::Result<Socket> {
    let mut request = format!("ws://{at}/v1/live").into_client_request()?;
    request.headers_mut().insert("x-api-key", KEY.parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    let from = if config.distinct {
        number * config.series
    } else {
        0
    };
    let topics: Vec<Value> = (from..from + config.series)
        .map(|series| {
            json!({"topic": "series", "kind": "vehicle", "entity": format!("veh-{series}"), "signal": "put_at"})
        })
        .collect();
    socket
        .send(Message::text(json!({"subscribe": topics}).to_string()))
        .await?;
    Ok(socket)
}

async fn read(mut socket: Socket, lags: &[AtomicU64], first: &AtomicU64) -> anyhow::Result<()> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        if text.contains(r#""snapshot":true"#) {
            first.fetch_add(1, Relaxed);
            continue;
        }
        let put = text
            .split_once(r#""value":"#)
            .and_then(|(_, rest)| rest.split_once(','));
        let put = put.and_then(|(put, _)| put.parse::<f64>().ok());
        if let Some(put) = put {
            let lag = (chrono::Utc::now().timestamp_millis() as f64 - put).max(0.0) as usize;
            lags[lag.min(MOST_LAG)].fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

fn resident() -> anyhow::Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("no resident pages")?;
    Ok(pages.parse::<f64>()? * 4096.0)
}
