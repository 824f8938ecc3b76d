//! What `serve` prints when it has started: where things are, and lines that work as they stand.

use std::net::SocketAddr;

use chrono::Utc;
use contract::CURATED;
use secrecy::ExposeSecret;

use crate::config::ServeConfig;
use crate::configs::BUCKET;
use crate::data_folder::{self, duckdb_line};

/// The key, unless it is a secret.
fn shown_key(config: &ServeConfig) -> &'static str {
    match config.api_key.expose_secret() {
        crate::config::DEV_KEY => crate::config::DEV_KEY,
        _ => "$HEADWATER_API_KEY",
    }
}

/// How curl is called: with the CAs that are trusted here.
fn curl(config: &ServeConfig) -> String {
    match &config.trust.ca_file {
        Some(file) if config.tls.is_on() => format!("curl -sS --cacert {}", file.display()),
        _ => "curl -sS".to_owned(),
    }
}

/// How to ask in SQL, or to have it.
pub(crate) fn print_sql(config: &ServeConfig, ingest_url: &str, pg_listen: Option<SocketAddr>) {
    let Some(listen) = pg_listen else {
        return println!(
            "SQL and PostgreSQL clients: cargo run --release -p headwater --features sql -- serve\n"
        );
    };
    let (key, host, port) = (shown_key(config), listen.ip(), listen.port());
    let curl = curl(config);
    println!(
        r#"SQL, by any PostgreSQL client, such as Grafana, or psql:
  PGPASSWORD={key} psql -h {host} -p {port} -U reader headwater
or over HTTP: {curl} {ingest_url}/v1/sql -H 'x-api-key: {key}' -d 'SELECT …'. Four to try:
  SELECT entity_id, max(vehicle_speed_kmh) FROM vehicle
    WHERE event_time > now() - INTERVAL '15 minutes' GROUP BY 1 ORDER BY 2 DESC LIMIT 5;
  SELECT time_bucket(INTERVAL '1 minute', event_time) AS minute, avg(engine_rpm) FROM vehicle
    WHERE event_time > now() - INTERVAL '1 hour' GROUP BY 1 ORDER BY 1;
  SELECT * FROM busiest_cells LIMIT 5;
  SELECT * FROM chat_summary_minute ORDER BY minute DESC LIMIT 5;
"#
    );
}

/// Where things are, and what to try with them.
pub(crate) fn print_where_to_look(
    config: &ServeConfig,
    ingest_url: &str,
    metrics_url: &str,
    aws: SocketAddr,
) {
    let (key, curl) = (shown_key(config), curl(config));
    let now = contract::format_millis(Utc::now());
    let lake = data_folder::lake(&config.data);
    let interval = humantime::format_duration(config.interval);
    let when = if lake.join(CURATED).is_dir() {
        String::new()
    } else {
        format!("; the first file is there {interval} after the first event is in raw/")
    };
    println!(
        r#"ingest       {ingest_url}   x-api-key: {key}; query and alerts answer there too
SQS and S3   http://{aws}   an emulation, for development only
files        {files}
simulator    {rate} events/s; Ctrl-C stops all

Post an event:
  {curl} {ingest_url}/v1/events -H 'x-api-key: {key}' -H 'content-type: application/json' \
    -d '{{"timestamp":"{now}","vehicle_id":"veh-mine","can_id":"0x1F0","payload":{{"engine_rpm":2150}}}}'
and ask for it three seconds later:
  {curl} '{ingest_url}/query?name=engine_rpm&entity=veh-mine' -H 'x-api-key: {key}'
or for the fleet: speeds by minute, and the busiest cells of the last 15 minutes:
  {curl} '{ingest_url}/query?name=vehicle_speed_kmh&step=1m' -H 'x-api-key: {key}'
  {curl} '{ingest_url}/v1/top?kind=cell&signal=dl_prb_util_pct&window=15m&n=5' -H 'x-api-key: {key}'
Post a metric, which needs no key from this machine, and ask for it:
  {curl} {ingest_url}/metrics -H 'content-type: application/json' -d '{{"name":"cpu_usage","value":85}}'
  {curl} '{ingest_url}/query?name=cpu_usage' -H 'x-api-key: {key}'
It is above what a built-in rule takes: half a minute later an alert is printed here, and listed:
  {curl} {ingest_url}/api/v1/alerts -H 'x-api-key: {key}'
The event is in raw/ after two seconds, in curated/ and aggregates/ after at most {interval}:
  ls -R {files}/raw {files}/aggregates
  {curl} {ingest_url}/health
  curl -sS {metrics_url}
Ask the files with DuckDB{when}:
  {duckdb}
For the AWS CLI, boto3, and the binaries of this workspace:
  export AWS_ENDPOINT_URL=http://{aws} AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  aws --endpoint-url http://{aws} s3 ls --recursive s3://{BUCKET}/
"#,
        files = lake.display(),
        rate = config.rate,
        duckdb = duckdb_line(&lake),
    );
}
