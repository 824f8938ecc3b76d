//! Samples of a service's `/metrics`, above all those of its requests to AWS.

use std::collections::BTreeMap;

use anyhow::Context;

/// Samples by name with labels, as Prometheus writes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads the page at `url`.
    pub(crate) async fn of(http: &reqwest::Client, url: &str) -> anyhow::Result<Samples> {
        let answer = http.get(url).send().await;
        let text = match answer.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer.text().await,
            Err(error) => Err(error),
        };
        let text = text.with_context(|| format!("cannot read the metrics at {url}"))?;
        Ok(Samples::parse(&text))
    }

    fn parse(text: &str) -> Samples {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Samples(samples.collect())
    }

    /// The sample of that name with labels; 0 if it is missing.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The growth of each sample since `before`.
    pub(crate) fn since(&self, before: &Samples) -> Samples {
        let grown = self.0.iter();
        Samples(
            grown
                .map(|(name, value)| (name.clone(), value - before.get(name)))
                .collect(),
        )
    }

    /// The sums of both.
    pub(crate) fn plus(mut self, other: &Samples) -> Samples {
        for (name, value) in &other.0 {
            *self.0.entry(name.clone()).or_default() += value;
        }
        self
    }

    /// Requests sent by operation: `sqs:SendMessageBatch`.
    pub(crate) fn requests(&self) -> BTreeMap<String, f64> {
        self.by_operation("headwater_aws_requests_total")
    }

    /// Requests as billed, by operation.
    pub(crate) fn billed(&self) -> BTreeMap<String, f64> {
        self.by_operation("headwater_aws_billed_requests_total")
    }

    /// US dollars for them.
    pub(crate) fn dollars(&self) -> f64 {
        self.get("headwater_aws_dollars_total")
    }

    fn by_operation(&self, metric: &str) -> BTreeMap<String, f64> {
        let of = self.0.iter().filter_map(|(name, value)| {
            let labels = name.strip_prefix(metric)?.strip_prefix('{')?;
            let operation = labels.split_once("operation=\"")?.1.split_once('"')?.0;
            (*value > 0.0).then(|| (operation.to_owned(), *value))
        });
        of.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
# TYPE headwater_aws_requests_total counter
headwater_aws_requests_total{operation="sqs:SendMessageBatch"} 10
headwater_aws_requests_total{operation="s3:PutObject"} 2
headwater_aws_billed_requests_total{operation="sqs:SendMessageBatch"} 40
headwater_aws_dollars_total 0.000016
headwater_consumer_events_total 1234
broken
"#;

    #[test]
    fn requests_are_told_by_operation_since_an_earlier_look() {
        let before = Samples::parse("headwater_aws_requests_total{operation=\"s3:PutObject\"} 2\n");
        let grown = Samples::parse(PAGE).since(&before);
        assert_eq!(
            grown.requests(),
            BTreeMap::from([("sqs:SendMessageBatch".to_owned(), 10.0)])
        );
        assert_eq!(grown.billed()["sqs:SendMessageBatch"], 40.0);
        assert_eq!(grown.dollars(), 0.000016);
        assert_eq!(grown.get("headwater_consumer_events_total"), 1234.0);
        assert_eq!(grown.get("no_such_metric"), 0.0);
    }

    #[test]
    fn services_add_up() {
        let both = Samples::parse(PAGE).plus(&Samples::parse(PAGE));
        assert_eq!(both.requests()["sqs:SendMessageBatch"], 20.0);
    }
}
