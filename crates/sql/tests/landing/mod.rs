//! A lake in this process, and events that arrive in it. More than one program of tests has this module.

use aws::{Aws, Clock, Condition, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;

const BUCKET: &str = "lake";

/// What arrived, in `raw/` and in parts.
pub(crate) struct Landing {
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
    landed: u128,
}

/// When events arrive: 2025-10-04T14:00.
pub(crate) fn arrival() -> DateTime<Utc> {
    "2025-10-04T14:00:00Z".parse().unwrap()
}

impl Landing {
    /// It is 2025-10-04T14:30 at the start.
    pub(crate) async fn new() -> Landing {
        let cloud = LocalAws::in_process();
        let clock = Clock::starting_at("2025-10-04T14:30:00Z".parse().unwrap());
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        Landing {
            lake: aws.lake(BUCKET),
            aws,
            landed: 0,
        }
    }

    /// Puts events into `raw/`, as the consumer would: those of `kind`, or of the kind that each shows; `received` is
    /// what their lines say.
    pub(crate) async fn land(
        &mut self,
        kind: Option<&str>,
        received: DateTime<Utc>,
        events: &[String],
    ) {
        let kinds = Kinds::builtin();
        let kind = kind.map(|name| kinds.get(name).unwrap());
        let mut lines = Vec::new();
        for text in events {
            let event = contract::parse_sent(&kinds, kind, text, received).unwrap();
            contract::write_line(&mut lines, &event, &contract::format_millis(received), text);
        }
        self.landed += 1;
        let part = contract::raw_part_name(arrival(), self.landed);
        let key = contract::raw_key(Hour::of(arrival()), part);
        let (body, form) = (lines.into(), "application/x-ndjson");
        let put = self
            .lake
            .put(&key, body, form, Default::default(), Condition::Always);
        put.await.unwrap();
    }

    /// All that has landed becomes parts.
    pub(crate) async fn aggregate(&self) {
        let config = aggregator::Config::for_bucket(BUCKET);
        let stop = tokio_util::sync::CancellationToken::new();
        let done = aggregator::once(&config, &self.aws, &stop, &()).await;
        done.unwrap();
    }
}
