//! Counts requests, and what AWS bills for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use metrics::{counter, gauge};

/// The day on which the prices were read, from the public price lists of us-east-1.
pub const PRICES_AS_OF: &str = "2026-11-21";

/// Payload that SQS bills as one request, in bytes.
const SQS_UNIT: usize = 64 * 1024;

/// What one billed request of the operation (`sqs:SendMessageBatch`) costs in US dollars, in
/// us-east-1 beyond the free tier: SQS standard $0.40 a million; S3 PUT, COPY, POST and LIST
/// $0.005 a thousand, GET and the rest $0.0004 a thousand, DELETE nothing.
pub fn price_per_request(operation: &str) -> f64 {
    match operation {
        "s3:DeleteObject" | "s3:DeleteObjects" => 0.0,
        "s3:PutObject" | "s3:CopyObject" | "s3:ListObjectsV2" | "s3:CreateBucket" => 0.005 / 1e3,
        other if other.starts_with("s3:") => 0.0004 / 1e3,
        _ => 0.40 / 1e6,
    }
}

/// What was used of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests sent, retries among them.
    pub requests: u64,
    /// Requests as billed: for SQS one for each 64 KiB of payload begun.
    pub billed: u64,
}

/// Counts requests by operation; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    used: BTreeMap<&'static str, Usage>,
    /// What [`Meter::publish`] has told already.
    published: BTreeMap<&'static str, Usage>,
}

impl Meter {
    /// What has been used so far, by operation: `sqs:SendMessageBatch`.
    pub fn usage(&self) -> BTreeMap<&'static str, Usage> {
        self.counts().used.clone()
    }

    /// US dollars for all that has been used so far.
    pub fn dollars(&self) -> f64 {
        self.usage()
            .iter()
            .map(|(operation, usage)| usage.billed as f64 * price_per_request(operation))
            .sum()
    }

    /// Brings the process's metrics up to date: `headwater_aws_requests_total` and
    /// `headwater_aws_billed_requests_total` by operation, and `headwater_aws_dollars_total`.
    /// Adds what is new since the last time, so that the meters of several services add up.
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

    /// Counts each attempt at a call as it is sent; give it to the call by
    /// `.customize().interceptor(..)`.
    pub(crate) fn attempts(&self, operation: &'static str, payload: usize) -> CountAttempts {
        CountAttempts {
            meter: self.clone(),
            operation,
            units: units(payload),
        }
    }

    /// Adds what a received payload costs beyond the unit counted when the call was sent.
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
