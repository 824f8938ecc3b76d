//! What AWS bills for the pipeline's requests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{Meter, Usage, price_per_request};
use http::StatusCode;
use simulator::{HttpClient, Trust};

/// The metrics that services count their AWS requests in.
const REQUESTS: &str = "headwater_aws_requests_total";
const BILLED: &str = "headwater_aws_billed_requests_total";

/// Longest that a service may take to answer with its metrics.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Requests by operation, and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    usage: BTreeMap<String, Usage>,
}

impl Cost {
    /// What the meters have counted together.
    pub fn of_meters<'a>(meters: impl IntoIterator<Item = &'a Meter>) -> Cost {
        let mut cost = Cost::default();
        for meter in meters {
            for (operation, usage) in meter.usage() {
                cost.add(operation, usage);
            }
        }
        cost
    }

    /// What the services at those addresses have counted together:
    /// `http://127.0.0.1:9100/metrics`.
    ///
    /// # Errors
    ///
    /// Names the address that does not answer with metrics.
    pub async fn of_services(urls: &[String], trust: &Trust) -> anyhow::Result<Cost> {
        let trust = urls
            .iter()
            .any(|url| url.starts_with("https://"))
            .then_some(trust);
        let http = HttpClient::new(TIMEOUT, trust).context("cannot set up TLS")?;
        let mut cost = Cost::default();
        for url in urls {
            let unread = || format!("cannot read the metrics at {url}");
            let answer = http.get(url.parse().with_context(unread)?).await;
            let answer = answer.with_context(unread)?;
            let (status, text) = (answer.status, answer.text);
            ensure!(status == StatusCode::OK, "{}: {status}", unread());
            ensure!(
                text.contains(REQUESTS),
                "{url} serves no `{REQUESTS}`: is it the /metrics of one of our services?"
            );
            cost.read_metrics(&text);
        }
        Ok(cost)
    }

    /// Adds what the metrics of one service say.
    fn read_metrics(&mut self, text: &str) {
        for series in service::prometheus::series(text) {
            let Some(operation) = series.label("operation") else {
                continue;
            };
            let mut usage = Usage::default();
            match series.name {
                REQUESTS => usage.requests = series.value as u64,
                BILLED => usage.billed = series.value as u64,
                _ => continue,
            }
            self.add(operation, usage);
        }
    }

    fn add(&mut self, operation: &str, usage: Usage) {
        let sum = self.usage.entry(operation.to_owned()).or_default();
        sum.requests += usage.requests;
        sum.billed += usage.billed;
    }

    /// What has come since `before`.
    #[must_use]
    pub fn since(mut self, before: &Cost) -> Cost {
        for (operation, usage) in &mut self.usage {
            let earlier = before.usage.get(operation).copied().unwrap_or_default();
            usage.requests = usage.requests.saturating_sub(earlier.requests);
            usage.billed = usage.billed.saturating_sub(earlier.billed);
        }
        self.usage.retain(|_, usage| usage.requests > 0);
        self
    }

    /// Requests as billed, of the operations whose names begin with `prefix`: `sqs:`.
    pub fn billed(&self, prefix: &str) -> u64 {
        let of = self
            .usage
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        of.map(|(_, usage)| usage.billed).sum()
    }

    /// US dollars for all of it.
    pub fn dollars(&self) -> f64 {
        self.usage
            .iter()
            .map(|(operation, usage)| usage.billed as f64 * price_per_request(operation))
            .sum()
    }

    /// US dollars for a million events at the rate of these `events`.
    pub fn per_million(&self, events: u64) -> f64 {
        match events {
            0 => 0.0,
            events => self.dollars() * 1e6 / events as f64,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (service, prefix)) in [("SQS", "sqs:"), ("S3", "s3:")].into_iter().enumerate() {
            let of = || {
                self.usage
                    .iter()
                    .filter_map(|(name, usage)| Some((name.strip_prefix(prefix)?, usage)))
            };
            let requests: u64 = of().map(|(_, usage)| usage.requests).sum();
            let start = if at == 0 { "" } else { "; " };
            write!(
                f,
                "{start}{service} {requests} (billed as {})",
                self.billed(prefix)
            )?;
            for (at, (operation, usage)) in of().enumerate() {
                write!(
                    f,
                    "{} {operation} {}",
                    if at == 0 { ":" } else { "," },
                    usage.requests
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"
# TYPE headwater_aws_requests_total counter
headwater_aws_requests_total{operation="sqs:SendMessageBatch"} 10
headwater_aws_requests_total{host="a",operation="s3:PutObject"} 2
headwater_aws_billed_requests_total{operation="sqs:SendMessageBatch"} 40
headwater_aws_billed_requests_total{host="a",operation="s3:PutObject"} 2
headwater_aws_dollars_total 0.1
headwater_ingest_requests_total{status="202"} 7
"#;

    #[test]
    fn services_metrics_add_up_and_what_was_before_is_taken_off() {
        let mut before = Cost::default();
        before.read_metrics(METRICS);
        let mut after = before.clone();
        after.read_metrics(METRICS);
        assert_eq!(after.billed("sqs:"), 80);
        let cost = after.since(&before);
        assert_eq!((cost.billed("sqs:"), cost.billed("s3:")), (40, 2));
        let dollars = 40.0 * 0.4e-6 + 2.0 * 0.005e-3;
        assert!((cost.dollars() - dollars).abs() < 1e-12);
        assert!((cost.per_million(1_000) - dollars * 1_000.0).abs() < 1e-9);
        assert_eq!(
            cost.to_string(),
            "SQS 10 (billed as 40): SendMessageBatch 10; S3 2 (billed as 2): PutObject 2"
        );
    }
}
