//! A lake in memory whose requests and bytes are counted, for the tests that hold the model against them.

use aws::{Aws, Clock, Condition};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;
use tokio_util::sync::CancellationToken;

use super::aggregator::AggregatorRequests;

const BUCKET: &str = "lake";

pub(super) struct CountedLake {
    cloud: LocalAws,
    pub(super) settings: aggregator::Config,
}

impl CountedLake {
    pub(super) async fn new(now: DateTime<Utc>) -> CountedLake {
        let lake = CountedLake {
            cloud: LocalAws::in_process(),
            settings: aggregator::Config::for_bucket(BUCKET),
        };
        aws::setup::create_bucket(&lake.at(now), BUCKET)
            .await
            .unwrap();
        lake
    }

    fn at(&self, now: DateTime<Utc>) -> Aws {
        let clock = Clock::starting_at(now);
        Aws::emulated_at(self.cloud.http_client(), self.cloud.endpoint(), clock)
    }

    /// Puts a raw object with these events, which are received at that time. Returns its bytes.
    pub(super) async fn land(&self, received: DateTime<Utc>, events: &[String]) -> usize {
        let lines = lines(received, events).concat();
        let bytes = lines.len();
        let key = contract::raw_key(Hour::of(received), contract::raw_part_name(received, 0));
        let (lake, kind) = (self.at(received).lake(BUCKET), "application/x-ndjson");
        let always = Condition::Always;
        let put = lake.put(&key, lines.into(), kind, Default::default(), always);
        put.await.unwrap();
        bytes
    }

    /// The requests of a run of the aggregator at that time, which must make a commit.
    pub(super) async fn run(&self, now: DateTime<Utc>) -> AggregatorRequests {
        let (aws, stop) = (self.at(now), CancellationToken::new());
        let run = aggregator::once(&self.settings, &aws, &stop, &()).await;
        assert_eq!(run.unwrap().commits, 1);
        let used = aws.meter().usage();
        let of = |operation| used.get(operation).map_or(0.0, |used| used.requests as f64);
        AggregatorRequests {
            puts: of("s3:PutObject"),
            lists: of("s3:ListObjectsV2"),
            gets: of("s3:GetObject") + of("s3:HeadObject"),
        }
    }

    /// Sizes of the objects whose keys begin with `prefix`.
    pub(super) async fn sizes(&self, prefix: &str) -> Vec<u64> {
        let lake = self.at(DateTime::UNIX_EPOCH).lake(BUCKET);
        let objects = lake.list(prefix, None).await.unwrap();
        objects.into_iter().map(|object| object.size).collect()
    }
}

/// The events as lines of `raw/`.
pub(super) fn lines(received: DateTime<Utc>, events: &[String]) -> Vec<Vec<u8>> {
    let (kinds, at) = (Kinds::builtin(), contract::format_millis(received));
    let lines = events.iter().map(|text| {
        let mut line = Vec::new();
        let event = contract::parse_sent(&kinds, None, text, received).unwrap();
        contract::write_line(&mut line, &event, &at, text);
        line
    });
    lines.collect()
}
