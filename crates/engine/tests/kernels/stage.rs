//! A lake in this process that holds parts.

use std::sync::Arc;

use aws::{Aws, Condition, Lake};
use bytes::Bytes;
use chrono::DateTime;
use contract::Hour;
use engine::kernels::Scanner;
use engine::read::{PartReader, ReadSettings};
use engine::snapshot::{HourData, Part};
use local_aws::LocalAws;

const BUCKET: &str = "lake";

pub(crate) struct Stage {
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
    pub(crate) scanner: Scanner,
    parts: u64,
}

impl Stage {
    pub(crate) async fn new(settings: ReadSettings) -> Stage {
        let cloud = LocalAws::in_process();
        let clock = aws::Clock::starting_at("2025-10-04T14:00:00Z".parse().unwrap());
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        let lake = aws.lake(BUCKET);
        Stage {
            scanner: Stage::scanner_of(&lake, settings),
            aws,
            lake,
            parts: 0,
        }
    }

    pub(crate) fn scanner_of(lake: &Lake, settings: ReadSettings) -> Scanner {
        let reader = Arc::new(PartReader::new(lake.clone(), settings));
        Scanner::new(reader, 2)
    }

    /// Puts a part under a key of its own.
    pub(crate) async fn put(&mut self, body: Bytes) -> Part {
        self.parts += 1;
        let hour = Hour::of(DateTime::from_timestamp_micros(super::plain::HOUR.start).unwrap());
        let key = contract::curated_key("vehicle", hour, self.parts);
        self.put_at(&key, body).await
    }

    pub(crate) async fn put_at(&self, key: &str, body: Bytes) -> Part {
        let size = body.len() as u64;
        let kind = "application/vnd.apache.parquet";
        let put = self
            .lake
            .put(key, body, kind, Default::default(), Condition::Always);
        put.await.unwrap();
        let etag = self.lake.head(key).await.unwrap().unwrap().etag;
        let key = key.to_owned();
        Part { key, etag, size }
    }
}

/// The hour's data.
pub(crate) fn hour(parts: Vec<Part>, hot: Vec<arrow::array::RecordBatch>) -> HourData {
    HourData {
        hour: Hour::of(DateTime::from_timestamp_micros(super::plain::HOUR.start).unwrap()),
        parts,
        hot: hot.into_iter().map(Arc::new).collect(),
    }
}
