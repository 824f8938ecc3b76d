//! A consumer on an emulated cloud, with the runtime's clock paused: hours pass in milliseconds.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part of it"
)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws::{Aws, Outgoing, Queue, setup};
use batch_consumer::Config;
use local_aws::{Faults, LocalAws, QueuedMessage};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// 2025-10-04T12:30:00Z: when the cloud starts.
pub const START: Duration = Duration::from_secs(1_759_581_000);

pub struct Bench {
    pub cloud: LocalAws,
    pub aws: Aws,
    pub config: Config,
    pub queue: Queue,
    pub dlq: Queue,
}

impl Bench {
    pub async fn new() -> Bench {
        Bench::with(Faults::none()).await
    }

    pub async fn with(faults: Faults) -> Bench {
        let cloud = LocalAws::builder()
            .start_time(SystemTime::UNIX_EPOCH + START)
            .seed(1)
            .build()
            .unwrap();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        let config = Config::default();
        let (queue, dlq) = (&config.queue.queue_name, &config.dlq.dlq_name);
        setup::create_queues(&aws, queue, dlq).await.unwrap();
        setup::create_bucket(&aws, &config.lake.lake_bucket)
            .await
            .unwrap();
        cloud.set_faults(faults);
        Bench {
            queue: aws.queue(queue).await.unwrap(),
            dlq: aws.queue(dlq).await.unwrap(),
            cloud,
            aws,
            config,
        }
    }

    pub fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let run = batch_consumer::run(self.config.clone(), self.aws.clone(), stop.clone());
        Running {
            stop,
            task: tokio::spawn(run),
        }
    }

    pub async fn send(&self, messages: &[Outgoing]) {
        for result in self.queue.send(messages).await {
            result.unwrap();
        }
    }

    /// All lines in the lake, by key.
    pub fn raw(&self) -> BTreeMap<String, Vec<String>> {
        let bucket = &self.config.lake.lake_bucket;
        self.cloud
            .objects(bucket)
            .into_iter()
            .map(|key| {
                let body = self.cloud.object(bucket, &key).unwrap();
                let text = String::from_utf8(body.to_vec()).unwrap();
                assert!(text.ends_with('\n'));
                (key, text.lines().map(str::to_owned).collect())
            })
            .collect()
    }

    /// The event ids in the lake, sorted; one that is there twice is twice here.
    pub fn ids(&self) -> Vec<String> {
        let kinds = contract::Kinds::builtin();
        let mut ids: Vec<String> = self
            .raw()
            .values()
            .flatten()
            .map(|line| {
                let event = contract::parse_line(&kinds, line).unwrap();
                event.event_id.unwrap().into_owned()
            })
            .collect();
        ids.sort();
        ids
    }

    pub fn queued(&self) -> usize {
        self.cloud.queue_depth(&self.config.queue.queue_name)
    }

    pub fn letters(&self) -> Vec<QueuedMessage> {
        self.cloud.messages(&self.config.dlq.dlq_name)
    }

    pub fn requests(&self, operation: &str) -> u64 {
        self.cloud
            .requests()
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until the queue is empty, and says how long that took.
    pub async fn drained(&self) -> Duration {
        until("the queue is empty", || self.queued() == 0).await
    }
}

pub struct Running {
    pub stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn stopped(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    pub async fn ended(self) -> anyhow::Result<()> {
        self.task.await.unwrap()
    }
}

/// Waits, at most an hour of the paused clock.
pub async fn until(what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(3600),
            "never came: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

pub async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// An event as a client sends it.
pub fn sent(id: &str) -> String {
    format!(
        r#"{{"timestamp":"2025-10-04T12:29:58.000Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{{"engine_rpm":2150}},"event_id":"{id}"}}"#
    )
}

/// An event as ingest writes it into a pack.
pub fn stored(id: &str) -> String {
    stored_at(id, "2025-10-04T12:29:59.000Z")
}

pub fn stored_at(id: &str, received_at: &str) -> String {
    format!(
        r#"{{"kind":"vehicle","ingest_received_at":"{received_at}",{}"#,
        &sent(id)[1..]
    )
}

pub fn plain(body: impl Into<String>) -> Outgoing {
    Outgoing {
        body: body.into(),
        attributes: BTreeMap::new(),
    }
}

/// One plain message an event.
pub fn singles(ids: std::ops::Range<usize>) -> Vec<Outgoing> {
    ids.map(|id| plain(sent(&name(id)))).collect()
}

pub fn name(id: usize) -> String {
    format!("id-{id:06}")
}

pub fn names(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(name).collect()
}

/// The lines as ingest sends them.
pub fn packs(lines: &[String]) -> Vec<Outgoing> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let packs = contract::Packer::new().unwrap().pack(text.as_bytes());
    packs
        .unwrap()
        .into_iter()
        .map(|pack| Outgoing {
            attributes: pack.attributes(),
            body: pack.body,
        })
        .collect()
}
