//! What the handlers of one ingest service share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, Clock, Meter, Queue};
use contract::{Kind, Kinds};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use protocols::Mapping;
use service::keys::{Key, Keys};
use service::metrics::Ready;

use crate::config::Config;
use crate::counts::Counts;
use crate::http::answer::LISTS_BYTES;
use crate::http::probe::Probe;
use crate::http::turns::Turns;
use crate::memory::budget::Budget;
use crate::queue::group_commit::GroupCommit;
use crate::queue::group_task::Rules;
use crate::sample_ids::SampleIds;
use crate::told_infos::ToldInfos;

pub(crate) const PENDING_BYTES: &str = "headwater_ingest_pending_bytes";

/// The state of one ingest service; [`serve`](crate::serve) gives it connections.
pub struct App {
    pub(crate) kinds: Kinds,
    pub(crate) keys: Keys,
    /// Stands for requests that need no key.
    pub(crate) own_key: Arc<Key>,
    /// Whether metrics are taken without a key (`METRICS_OPEN`).
    pub(crate) metrics_open: bool,
    /// Whether events must be of an entity that the client's certificate names (`TLS_CLIENT_ENTITY`).
    pub(crate) binds_entities: bool,
    /// Which metrics of other protocols become events of which kinds.
    pub(crate) mapping: Mapping,
    pub(crate) sample_ids: SampleIds,
    pub(crate) told_infos: ToldInfos,
    /// Bytes of bodies that have been read, and of lines on their way to SQS (`MAX_PENDING_BYTES`).
    pub(crate) budget: Budget,
    /// Bytes of long answers, until clients have read them.
    pub(crate) lists: Budget,
    pub(crate) group_commit: GroupCommit,
    pub(crate) counts: Arc<Counts>,
    pub(crate) probe: Probe,
    /// Follows the last send; stopping once the service drains.
    pub(crate) ready: Ready,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) meter: Meter,
    pub(crate) clock: Clock,
    /// One for each body that may be read at a time off the runtime's own threads.
    pub(crate) turns: Turns,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_body_events: usize,
    pub(crate) body_timeout: Duration,
}

impl App {
    /// Finds the queue, or makes it if the settings say so, and starts the task that sends. To be called within a
    /// runtime. `prometheus` renders what `/metrics` shows.
    ///
    /// # Errors
    ///
    /// If a setting is wrong, SQS cannot be reached or the queue is missing: says what to do.
    pub async fn start(
        config: &Config,
        aws: &Aws,
        prometheus: PrometheusHandle,
    ) -> anyhow::Result<Arc<App>> {
        config.check()?;
        let kinds = config.kinds()?;
        let mapping = config.mapping(&kinds)?;
        let queue = find_queue(config, aws).await?;
        let rules = Rules {
            linger: config.linger,
            max_in_flight: config.max_in_flight.into(),
            send_timeout: config.send_timeout,
            packing: config.packing,
        };
        let counts = Arc::<Counts>::default();
        let (ready, clock) = (Ready::default(), aws.clock());
        ready.set(true);
        Ok(Arc::new(App {
            kinds,
            mapping,
            keys: Keys::load(&config.keys()?, move || clock.now())?,
            own_key: Key::own(),
            metrics_open: config.metrics_open,
            binds_entities: config.tls_client_entity,
            sample_ids: SampleIds::new(),
            told_infos: ToldInfos::default(),
            budget: Budget::new(config.max_pending_bytes.0 as usize),
            lists: Budget::new(LISTS_BYTES),
            group_commit: GroupCommit::spawn(queue.clone(), rules, counts.clone(), ready.clone()),
            counts,
            probe: Probe::new(queue),
            ready,
            prometheus,
            meter: aws.meter().clone(),
            clock,
            turns: Turns::new(crate::readers()),
            max_body_bytes: config.max_body_bytes.0 as usize,
            max_body_events: config.max_body_events as usize,
            body_timeout: config.body_timeout,
        }))
    }

    /// Why the service should be sent no events, as a code; `None` if it should. A failure of the last send comes
    /// before SQS's own word, which it gives for other operations too.
    pub(crate) async fn not_ready(&self, age: Duration) -> Option<&'static str> {
        match self.ready.reason() {
            Some(reason) => Some(reason),
            None => self.probe.depth(age).await.err(),
        }
    }

    /// Takes what changes in the file of keys, for ever.
    pub async fn follow_keys(&self) {
        self.keys.follow().await;
    }

    /// Updates the metrics that are counted elsewhere.
    pub(crate) fn publish(&self) {
        gauge!(PENDING_BYTES).set(self.budget.used() as f64);
        gauge!("headwater_ingest_pending_events").set(self.group_commit.pending_events() as f64);
        self.meter.publish();
    }

    /// The kind that a route names, also by an alias of it.
    pub(crate) fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get_by_alias(name)
    }
}

async fn find_queue(config: &Config, aws: &Aws) -> anyhow::Result<Queue> {
    let name = &config.queue.queue_name;
    let explain = |error| aws.explain(error);
    if config.create.wanted(aws) {
        aws::setup::create_queues(aws, name, &config.dlq.dlq_name)
            .await
            .map_err(explain)
            .with_context(|| format!("cannot make the queue `{name}`"))?;
    }
    aws.queue(name)
        .await
        .map_err(explain)
        .with_context(|| format!("cannot use the queue `{name}`"))
}
