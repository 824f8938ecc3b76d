//! `headwater query`: a statement comes in, and its rows are printed. A running service answers it, or one that is
//! started in this process for it, over the lake that the environment names.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use service::settings::try_parse_from;
use service::tls::TlsSettings;
use simulator::HttpClient;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{QueryConfig, QueryFormat};
use crate::output::write_stdout;

/// Time between two looks at whether the service has read the lake.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest time for an answer of the service's health.
const HEALTH_WITHIN: Duration = Duration::from_secs(10);

/// Asks the statement and prints its rows.
///
/// # Errors
///
/// If the statement has no answer, or the service or the lake cannot be reached.
pub async fn query(config: &QueryConfig, stop: &CancellationToken) -> anyhow::Result<()> {
    let asked = async {
        match &config.url {
            Some(url) => {
                let key = config
                    .key
                    .as_ref()
                    .context("set HEADWATER_KEY to a read key of the service")?;
                ask(config, url, key).await
            }
            None => ask_the_lake(config).await,
        }
    };
    stop.run_until_cancelled(asked).await.unwrap_or(Ok(()))
}

/// Starts the service without a port that others know, and asks it.
async fn ask_the_lake(config: &QueryConfig) -> anyhow::Result<()> {
    let key: SecretString = format!("{:032x}", rand::random::<u128>()).into();
    // A program cannot change its environment safely, so the key goes by the command line.
    let keys = format!("--read-keys={}", key.expose_secret());
    let mut settings =
        try_parse_from::<query::Config>(["query", &keys]).context("settings of query")?;
    // For this program alone, on this machine.
    settings.tls = TlsSettings::default();
    settings.check().context("settings of query")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("cannot listen on this machine")?;
    let url = format!("http://{}", listener.local_addr()?);
    let aws = aws::Aws::connect().await?;
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let serving = query::run(settings, aws, listener, None, None, end);
    let asked = async {
        let health = format!("{url}/health").parse()?;
        let read = timeout(config.wait, wait_for_the_lake(&health)).await;
        let read = read.map_err(|_| {
            let waited = humantime::format_duration(config.wait);
            anyhow!("the lake could not be read within {waited}; what was logged says why, and --wait gives it longer")
        })?;
        read?;
        ask(config, &url, &key).await
    };
    tokio::select! {
        asked = asked => asked,
        served = serving => {
            served?;
            bail!("query ended before it answered")
        }
    }
}

/// Looks until the service answers that it has read the lake; it does not answer before it has started.
async fn wait_for_the_lake(health: &Uri) -> std::io::Result<()> {
    let http = HttpClient::new(HEALTH_WITHIN, None)?;
    let read = async || {
        let answer = http.get(health.clone()).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    };
    while !read().await {
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn ask(config: &QueryConfig, url: &str, key: &SecretString) -> anyhow::Result<()> {
    let accept = match config.format {
        QueryFormat::Table => "application/vnd.apache.arrow.stream",
        QueryFormat::Csv => "text/csv",
        QueryFormat::Json => "application/json",
    };
    let url = format!("{}/v1/sql?full={}", url.trim_end_matches('/'), config.full);
    let cannot = || format!("cannot ask {url}");
    let statement = Full::new(Bytes::from(config.statement.clone()));
    let request = Request::post(&url)
        .header(ACCEPT, accept)
        .header("x-api-key", key.expose_secret())
        .body(statement);
    let trust = url.starts_with("https").then_some(&config.trust);
    let http = HttpClient::new(HEALTH_WITHIN, trust).context("cannot set up TLS")?;
    let answer = http.open(request.with_context(cannot)?).await;
    let answer = answer.with_context(cannot)?;
    let (status, mut body) = (answer.status(), answer.into_body());
    if status != StatusCode::OK {
        let body = body.collect().await.map(|body| body.to_bytes());
        let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        let error = &body["error"];
        let place = match (error["line"].as_u64(), error["column"].as_u64()) {
            (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
            _ => String::new(),
        };
        match error["message"].as_str() {
            Some(message) => bail!("{message}{place}"),
            None => bail!("{url} answered {status}"),
        }
    }
    let broken_off = "the answer broke off: it has more rows than the service's MAX_ROWS (add a LIMIT), or the service's log says why";
    if config.format == QueryFormat::Table {
        let bytes = body.collect().await.context(broken_off)?.to_bytes();
        let rows = StreamReader::try_new(&bytes[..], None)?;
        let schema = rows.schema();
        let mut rows: Vec<RecordBatch> = rows.collect::<Result<_, _>>()?;
        if rows.is_empty() {
            rows.push(RecordBatch::new_empty(schema));
        }
        let table = format!("{}\n", pretty_format_batches(&rows)?);
        return Ok(write_stdout(table.as_bytes())?);
    }
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.context(broken_off)?.into_data() {
            write_stdout(&bytes)?;
        }
    }
    Ok(())
}
