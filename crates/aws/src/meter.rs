//! Counts of requests, retries among them, and of what AWS bills for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use metrics::{counter, gauge};

/// The day on which the prices of [`price_per_request`] were read, from the public price lists of us-east-1.
pub const PRICES_AS_OF: &str = "2026-11-21";

/// Most bytes of payload that SQS bills as one request.
const SQS_UNIT: usize = 64 * 1024;

/// US dollars for one billed request of an operation such as `sqs:SendMessageBatch`, in us-east-1 and beyond the free
/// tier: SQS standard $0.40 a million; S3 PUT, COPY, POST and LIST $0.005 a thousand, GET and the rest $0.0004 a
/// thousand, DELETE nothing. Any other operation is priced as SQS.
pub fn price_per_request(operation: &str) -> f64 {
    match operation {
        "s3:DeleteObject" | "s3:DeleteObjects" => 0.0,
        "s3:PutObject" | "s3:CopyObject" | "s3:CreateBucket" => 0.005 / 1e3,
        "s3:ListObjectsV2" | "s3:ListObjectVersions" => 0.005 / 1e3,
        other if other.starts_with("s3:") => 0.0004 / 1e3,
        _ => 0.40 / 1e6,
    }
}

/// Requests of one operation since its meter was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests sent, retries among them.
    pub requests: u64,
    /// Requests as billed: one for each request; SQS bills one for each 64 KiB of payload begun.
    pub billed: u64,
}

/// Counts requests by operation; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    used: BTreeMap<&'static str, Usage>,
    /// The part of `used` that [`Meter::publish`] has added to the process's metrics.
    published: BTreeMap<&'static str, Usage>,
}

impl Meter {
    /// Usage so far by operation, such as `sqs:SendMessageBatch`.
    pub fn usage(&self) -> BTreeMap<&'static str, Usage> {
        self.counts().used.clone()
    }

    /// US dollars for the usage so far, by [`price_per_request`].
    pub fn dollars(&self) -> f64 {
        self.usage()
            .iter()
            .map(|(operation, usage)| usage.billed as f64 * price_per_request(operation))
            .sum()
    }

    /// Adds the usage since the last call to the metrics of the process: `headwater_aws_requests_total` and
    /// `headwater_aws_billed_requests_total` by operation, and `headwater_aws_dollars_total`. The meters of several
    /// services in a process add up.
    pub fn publish(&self) {
        let counts = &mut *self.counts();
        for (operation, usage) in &counts.used {
            let before = counts
                .published
                .insert(operation, *usage)
                .unwrap_or_default();
            let billed = usage.billed - before.billed;
            counter!("headwater_aws_requests_total", "operation" => *operation)
                .increment(usage.requests - before.requests);
            counter!("headwater_aws_billed_requests_total", "operation" => *operation)
                .increment(billed);
            gauge!("headwater_aws_dollars_total")
                .increment(billed as f64 * price_per_request(operation));
        }
    }

    /// An interceptor that counts each attempt at a call as it is sent; to be given to the call by
    /// `.customize().interceptor(..)`. `payload` is in bytes, 0 for S3.
    pub(crate) fn attempts(&self, operation: &'static str, payload: usize) -> CountAttempts {
        CountAttempts {
            meter: self.clone(),
            operation,
            units: units(payload),
        }
    }

    /// Adds what a received payload in bytes is billed beyond the request that was counted when it was sent.
    pub(crate) fn received(&self, operation: &'static str, payload: usize) {
        self.add(operation, 0, units(payload) - 1);
    }

    fn add(&self, operation: &'static str, requests: u64, billed: u64) {
        let mut counts = self.counts();
        let usage = counts.used.entry(operation).or_default();
        usage.requests += requests;
        usage.billed += billed;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units(payload: usize) -> u64 {
    payload.div_ceil(SQS_UNIT).max(1) as u64
}

#[derive(Debug)]
pub(crate) struct CountAttempts {
    meter: Meter,
    operation: &'static str,
    units: u64,
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for CountAttempts {
    fn name(&self) -> &'static str {
        "CountAttempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.meter.add(self.operation, 1, self.units);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_64_kib_begun_is_one_billed_request() {
        for (payload, expected) in [
            (0, 1),
            (1, 1),
            (64 * 1024, 1),
            (64 * 1024 + 1, 2),
            (1024 * 1024, 16),
        ] {
            assert_eq!(units(payload), expected, "{payload} bytes");
        }
    }

    #[test]
    fn dollars_follow_the_billed_requests() {
        let meter = Meter::default();
        meter.add("sqs:SendMessageBatch", 100, 1_000_000);
        meter.add("s3:PutObject", 2000, 2000);
        meter.add("s3:DeleteObject", 7, 7);
        assert!((meter.dollars() - 0.41).abs() < 1e-12);
    }
}
