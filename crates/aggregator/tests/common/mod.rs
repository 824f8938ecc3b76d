//! A lake in this process, and ways to stop a run in the middle.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aggregator::{Config, Summary};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use aws::{Aws, Clock, Condition};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const BUCKET: &str = "lake";

/// A day after what the tests land: a run looks back two days.
fn clock() -> Clock {
    Clock::starting_at("2026-11-21T12:30:00Z".parse().unwrap())
}

/// A lake, the settings to aggregate it, and how many parts were put into `raw/`.
pub struct TestLake {
    pub cloud: LocalAws,
    pub aws: Aws,
    pub config: Config,
    parts: u128,
}

impl TestLake {
    pub async fn new() -> TestLake {
        let cloud = LocalAws::in_process();
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock());
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        TestLake {
            cloud,
            aws,
            config: Config::for_bucket(BUCKET),
            parts: 0,
        }
    }

    /// Puts one raw object that holds the events, as the consumer would.
    pub async fn land(&mut self, received_at: &str, events: &[String]) -> String {
        let kinds = Kinds::load(self.config.contracts.as_deref()).unwrap();
        let received: DateTime<Utc> = received_at.parse().unwrap();
        let mut lines = Vec::new();
        for text in events {
            let event = contract::parse_sent(&kinds, None, text, received).unwrap();
            contract::write_line(&mut lines, &event, &contract::format_millis(received), text);
        }
        self.land_lines(received_at, lines).await
    }

    pub async fn land_lines(&mut self, received_at: &str, lines: Vec<u8>) -> String {
        self.parts += 1;
        let key = contract::raw_key(
            Hour::of(received_at.parse().unwrap()),
            Uuid::from_u128(self.parts),
        );
        let lake = self.aws.lake(BUCKET);
        lake.put(
            &key,
            lines.into(),
            "application/x-ndjson",
            Default::default(),
            Condition::Always,
        )
        .await
        .unwrap();
        key
    }

    pub async fn once(&self) -> Summary {
        once(&self.config, &self.aws).await.unwrap()
    }

    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.cloud
            .objects(BUCKET)
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect()
    }

    pub async fn read(&self, key: &str) -> Vec<u8> {
        self.aws
            .lake(BUCKET)
            .get(key)
            .await
            .unwrap()
            .unwrap()
            .body
            .to_vec()
    }

    pub async fn parquet(&self, key: &str) -> RecordBatch {
        let body = self.read(key).await;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(body))
            .unwrap()
            .build()
            .unwrap();
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        arrow::compute::concat_batches(&schema, &batches).unwrap()
    }

    /// Every row of `curated/` as text, by key and place: what a reader sees.
    pub async fn curated(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for key in self.keys("curated/") {
            let batch = self.parquet(&key).await;
            let partition = key.rsplit_once('/').unwrap().0;
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = schema
                    .fields()
                    .iter()
                    .zip(batch.columns())
                    .filter(|(_, column)| column.is_valid(row))
                    .map(|(field, column)| {
                        // Without a database of zones arrow shows no timestamp: its number will do.
                        let column = match field.data_type() {
                            DataType::Timestamp(..) => {
                                &arrow::compute::cast(column, &DataType::Int64).unwrap()
                            }
                            _ => column,
                        };
                        let shown =
                            arrow::util::display::array_value_to_string(column, row).unwrap();
                        format!("{}={shown}", field.name())
                    })
                    .collect();
                rows.push(format!("{partition}: {}", cells.join(" ")));
            }
        }
        rows.sort();
        rows
    }

    /// The aggregates in the JSONL, by kind, hour, entity and signal.
    pub async fn aggregates(&self) -> BTreeMap<String, serde_json::Value> {
        let mut rows = BTreeMap::new();
        for key in self
            .keys("aggregates/")
            .into_iter()
            .filter(|key| key.ends_with(".jsonl"))
        {
            for line in String::from_utf8(self.read(&key).await).unwrap().lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                let name = ["kind", "event_hour", "entity_id", "signal"]
                    .map(|name| row[name].as_str().unwrap().to_owned())
                    .join(" ");
                assert!(
                    rows.insert(name, row).is_none(),
                    "a row is there twice in {key}"
                );
            }
        }
        rows
    }
}

pub async fn once(config: &Config, aws: &Aws) -> anyhow::Result<Summary> {
    aggregator::once(config, aws, &CancellationToken::new(), &()).await
}

pub fn vehicle(id: &str, time: &str, payload: &str) -> String {
    vehicle_of("veh-1", id, time, payload)
}

pub fn vehicle_of(vehicle: &str, id: &str, time: &str, payload: &str) -> String {
    format!(
        r#"{{"event_id":"{id}","timestamp":"{time}","vehicle_id":"{vehicle}","can_id":"0x1F0","payload":{payload}}}"#
    )
}

pub fn cell(id: &str, time: &str, utilisation: f64) -> String {
    format!(
        r#"{{"event_id":"{id}","schema_version":1,"source":"pmgen","event_time":"{time}","entity_type":"cell","entity_id":"CELL-1","metrics":{{"dl_prb_util_pct":{utilisation:?}}}}}"#
    )
}

/// Lets a number of requests through and holds the next one: before it takes effect, or after.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: SharedHttpClient,
    left: Arc<AtomicI64>,
    after_effect: bool,
    /// Woken when a request is held.
    pub held: Arc<Notify>,
    /// Lets the held request and all later ones go on.
    pub open: Arc<Notify>,
}

impl Gate {
    pub fn new(cloud: &LocalAws, requests: i64, after_effect: bool) -> Gate {
        Gate {
            inner: cloud.http_client(),
            left: Arc::new(AtomicI64::new(requests)),
            after_effect,
            held: Arc::default(),
            open: Arc::default(),
        }
    }

    pub fn aws(&self, cloud: &LocalAws) -> Aws {
        use aws_smithy_runtime_api::shared::IntoShared;
        Aws::emulated_at(self.clone().into_shared(), cloud.endpoint(), clock())
    }
}

impl HttpClient for Gate {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(GateConnector {
            inner: self.inner.http_connector(settings, components),
            gate: self.clone(),
        })
    }
}

#[derive(Debug)]
struct GateConnector {
    inner: SharedHttpConnector,
    gate: Gate,
}

impl HttpConnector for GateConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, gate) = (self.inner.clone(), self.gate.clone());
        HttpConnectorFuture::new(async move {
            let hold = gate.left.fetch_sub(1, Ordering::SeqCst) == 0;
            if hold && !gate.after_effect {
                gate.held.notify_one();
                gate.open.notified().await;
            }
            let answer = inner.call(request).await;
            if hold && gate.after_effect {
                gate.held.notify_one();
                gate.open.notified().await;
            }
            answer
        })
    }
}
