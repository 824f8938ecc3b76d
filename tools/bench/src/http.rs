//! The harness's own questions: probes, metrics, the queue's depth, the lake's objects.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that knows no proxy: all that is measured is near.
///
/// # Errors
///
/// If it cannot be set up.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
    builder.build().context("cannot set up an HTTP client")
}

/// SQS and S3 at an endpoint on this machine, which checks no signatures.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    http: reqwest::Client,
    endpoint: String,
}

impl Cloud {
    /// At `http://127.0.0.1:4566`.
    ///
    /// # Errors
    ///
    /// If no HTTP client can be set up.
    pub(crate) fn new(endpoint: &str) -> anyhow::Result<Cloud> {
        Ok(Cloud {
            http: client()?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
        })
    }

    /// Messages of the queue: those that can be received, and those in flight.
    ///
    /// # Errors
    ///
    /// If there is no such queue.
    pub(crate) async fn depth(&self, queue: &str) -> anyhow::Result<u64> {
        let names = ["", "NotVisible", "Delayed"]
            .map(|which| format!("ApproximateNumberOfMessages{which}"));
        let url = self.queue_url(queue).await?;
        let asked = json!({"QueueUrl": url, "AttributeNames": names});
        let answer = self.sqs("GetQueueAttributes", &asked).await?;
        let depths = names.map(|name| {
            let value = answer["Attributes"][&name].as_str()?;
            value.parse::<u64>().ok()
        });
        let sum: Option<u64> = depths.into_iter().sum();
        sum.with_context(|| format!("cannot read the depth of {queue}: {answer}"))
    }

    /// Deletes the queue.
    ///
    /// # Errors
    ///
    /// If there is no such queue.
    pub(crate) async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        let url = self.queue_url(queue).await?;
        self.sqs("DeleteQueue", &json!({"QueueUrl": url})).await?;
        Ok(())
    }

    async fn queue_url(&self, queue: &str) -> anyhow::Result<Value> {
        let asked = json!({"QueueName": queue});
        Ok(self.sqs("GetQueueUrl", &asked).await?["QueueUrl"].take())
    }

    async fn sqs(&self, operation: &str, asked: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .post(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .body(asked.to_string());
        let answer = request.send().await.context("cannot reach SQS")?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(
            status.is_success(),
            "SQS answers {operation} with {status}: {text}"
        );
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("SQS answers {operation} with {text}"))
    }

    /// Makes a bucket.
    ///
    /// # Errors
    ///
    /// If S3 refuses.
    pub(crate) async fn create_bucket(&self, bucket: &str) -> anyhow::Result<()> {
        let request = self.http.put(format!("{}/{bucket}", self.endpoint));
        self.s3(request).await.map(drop)
    }

    /// Writes an object.
    ///
    /// # Errors
    ///
    /// If S3 refuses.
    pub(crate) async fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let request = self.http.put(self.object(bucket, key)).body(body);
        self.s3(request).await.map(drop)
    }

    /// Reads an object.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) async fn get(&self, bucket: &str, key: &str) -> anyhow::Result<String> {
        self.s3(self.http.get(self.object(bucket, key))).await
    }

    /// All keys with that prefix.
    ///
    /// # Errors
    ///
    /// If there is no such bucket.
    pub(crate) async fn keys(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            if let Some(last) = keys.last() {
                query.push(("start-after", last));
            }
            let url = reqwest::Url::parse_with_params(
                &format!("{}/{bucket}", self.endpoint),
                query.as_slice(),
            )?;
            let page = self.s3(self.http.get(url)).await?;
            keys.extend(between(&page, "<Key>", "</Key>").map(str::to_owned));
            if !page.contains("<IsTruncated>true</IsTruncated>") {
                return Ok(keys);
            }
        }
    }

    /// Deletes a bucket and all that is in it.
    ///
    /// # Errors
    ///
    /// If S3 refuses.
    pub(crate) async fn delete_bucket(&self, bucket: &str) -> anyhow::Result<()> {
        self.delete_all(bucket, "").await?;
        let request = self.http.delete(format!("{}/{bucket}", self.endpoint));
        self.s3(request).await.map(drop)
    }

    /// Deletes all objects with that prefix.
    ///
    /// # Errors
    ///
    /// If S3 refuses.
    pub(crate) async fn delete_all(&self, bucket: &str, prefix: &str) -> anyhow::Result<()> {
        for key in self.keys(bucket, prefix).await? {
            self.s3(self.http.delete(self.object(bucket, &key))).await?;
        }
        Ok(())
    }

    fn object(&self, bucket: &str, key: &str) -> String {
        format!("{}/{bucket}/{key}", self.endpoint)
    }

    async fn s3(&self, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
        let answer = request
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .send()
            .await
            .context("cannot reach S3")?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "S3 answers {status}: {text}");
        Ok(text)
    }
}

/// The texts between each `start` and the `end` after it.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = text.split(start).skip(1);
    parts.filter_map(move |part| Some(part.split_once(end)?.0))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn keys_are_found_in_a_listing() {
        let page = "<R><C><Key>raw/a</Key></C><C><Key>raw/b=1/c</Key></C><Key>cut";
        let keys: Vec<_> = between(page, "<Key>", "</Key>").collect();
        assert_eq!(keys, ["raw/a", "raw/b=1/c"]);
    }
}
