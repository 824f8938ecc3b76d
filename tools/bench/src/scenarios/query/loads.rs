//! The service when it knows nothing yet and S3 is slow, and with many clients at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::asked::{Client, READ_KEY};
use super::questions::{Question, Request};
use crate::deployment::Deployment;
use crate::row::{Bar, Row};

/// What a request to S3 takes at least in the row `query-cold`.
const SLOW: Duration = Duration::from_millis(20);

/// Clients that ask at once.
const CLIENTS: usize = 16;

/// A day's chart by a service that was just started, at 20 ms a request to S3; and the second time.
pub(super) async fn cold(
    deployment: &mut Deployment,
    questions: &[Question],
) -> anyhow::Result<Vec<Row>> {
    let chart = questions.iter().find(|question| question.name == "buckets");
    let chart = chart.context("there is no question for a chart")?;
    deployment.slow_down(SLOW);
    let service = deployment.query(&[("READ_KEYS", READ_KEY)]).await?;
    let client = Client::of(&service)?;
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let started = Instant::now();
        client.answer(chart).await?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    service.stop().await?;
    deployment.slow_down(Duration::ZERO);
    Ok(vec![
        Row::of("query-cold", "s", &seconds[..1]).bar(Bar::AtMost, 3.0),
        Row::of("query-cold-again", "s", &seconds[1..]),
    ])
}

/// The memory of a service that many clients ask everything at once; a question may be refused for want of a turn.
pub(super) async fn sixteen(
    deployment: &mut Deployment,
    questions: Vec<Question>,
    knows_sql: bool,
) -> anyhow::Result<Row> {
    let settings = [("READ_KEYS", READ_KEY), ("MEMORY_LIMIT", "512MiB")];
    let service = deployment.query(&settings).await?;
    let (client, questions) = (Client::of(&service)?, Arc::new(questions));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, questions) = (client.clone(), questions.clone());
        clients.spawn(async move {
            let (mut answered, mut refused) = (0_u64, 0_u64);
            // Each begins elsewhere, so that all sorts of questions run side by side.
            let all = questions.iter().cycle().skip(number);
            for question in all.take(questions.len()) {
                if matches!(question.request, Request::Sql(_)) && !knows_sql {
                    continue;
                }
                let (status, text) = client.send(&question.request).await?;
                let is_bound = [
                    StatusCode::REQUEST_TIMEOUT,
                    StatusCode::PAYLOAD_TOO_LARGE,
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::SERVICE_UNAVAILABLE,
                ];
                ensure!(
                    status.is_success() || is_bound.contains(&status),
                    "`{}` is answered {status}: {text}",
                    question.name
                );
                if status.is_success() {
                    answered += 1;
                } else {
                    refused += 1;
                }
            }
            Ok((answered, refused))
        });
    }
    let (mut answered, mut refused) = (0, 0);
    while let Some(done) = clients.join_next().await {
        let (of_client, refused_to_it) = done.context("a client panicked")??;
        (answered, refused) = (answered + of_client, refused + refused_to_it);
    }
    let peak = service.peak_mib()?;
    service.stop().await?;
    let row = Row::of("query-sixteen", "MiB at most", &[peak]);
    Ok(row
        .bar(Bar::AtMost, 768.0)
        .with("answered", answered)
        .with("refused", refused))
}
