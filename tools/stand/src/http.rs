//! HTTP to processes on this machine.

use std::time::Duration;

use anyhow::Context;

/// A client that knows no proxy and gives up a request after `timeout`.
///
/// # Errors
///
/// If it cannot be set up.
pub fn http_client(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().timeout(timeout);
    builder.build().context("cannot set up an HTTP client")
}

/// Whether a GET of `url` is answered with a status of 200 to 299.
pub async fn answers(http: &reqwest::Client, url: &str) -> bool {
    let answer = http.get(url).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
