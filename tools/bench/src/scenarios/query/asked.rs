//! Puts questions to the service and to other engines.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use stand::{ProcessSpec, http_client, inherited};
use tokio::time::Instant;

use super::questions::{Question, Request};
use crate::bench::Bench;
use crate::machine::root;
use crate::processes::{Finished, RunningService};

/// The key that the harness reads by.
pub(super) const READ_KEY: &str = "the-key-of-the-harness";

/// How often a question is asked in a run: the CPU time of a process is told in steps of 10 ms.
const TIMES: u32 = 10;

/// Longest that an answer may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Seconds and CPU seconds of one question, and its answer.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) seconds: f64,
    pub(super) cpu: f64,
    pub(super) figures: Vec<f64>,
}

/// Asks the service.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn of(service: &RunningService) -> anyhow::Result<Client> {
        Ok(Client {
            http: http_client(LONGEST)?,
            base: format!("http://{}", service.address),
        })
    }

    /// The status and the text of the answer.
    pub(super) async fn send(&self, request: &Request) -> anyhow::Result<(StatusCode, String)> {
        let request = match request {
            Request::Get(path) => self.http.get(format!("{}{path}", self.base)),
            Request::Sql(text) => self
                .http
                .post(format!("{}/v1/sql", self.base))
                .body(text.clone()),
        };
        let answer = request.header("x-api-key", READ_KEY).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// The text of an answer that must be one.
    pub(super) async fn answer(&self, question: &Question) -> anyhow::Result<String> {
        let (status, text) = self.send(&question.request).await?;
        ensure!(
            status.is_success(),
            "{:?} is answered {status}: {text}",
            question.request
        );
        Ok(text)
    }

    /// Whether the service answers SQL: one that was built without its feature `sql` does not.
    pub(super) async fn knows_sql(&self) -> anyhow::Result<bool> {
        let (status, _) = self.send(&Request::Sql("SELECT 1".to_owned())).await?;
        Ok(status.is_success())
    }
}

/// Asks once to warm up, and then as often as counts.
pub(super) async fn ask(service: &RunningService, question: &Question) -> anyhow::Result<Asked> {
    let client = Client::of(service)?;
    let answer: Value =
        serde_json::from_str(&client.answer(question).await?).context("an answer is no JSON")?;
    let figures = (question.figures)(&answer);
    let figures =
        figures.with_context(|| format!("{:?} is answered {answer}", question.request))?;
    let (started, cpu) = (Instant::now(), service.cpu()?);
    for _ in 0..TIMES {
        client.answer(question).await?;
    }
    Ok(Asked {
        seconds: started.elapsed().as_secs_f64() / f64::from(TIMES),
        cpu: (service.cpu()? - cpu) / f64::from(TIMES),
        figures,
    })
}

/// The questions to another engine, on the files; none if it is not installed, and none for a question of null.
pub(super) async fn by_engine(
    bench: &Bench,
    curated: &Path,
    engine: &str,
    questions: &[Option<&str>],
) -> anyhow::Result<Option<Vec<Option<Asked>>>> {
    let folder = bench.fresh_folder()?;
    let file = folder.join("questions.json");
    let texts = serde_json::to_vec(questions)?;
    std::fs::write(&file, texts).context("cannot write the questions")?;
    let script = root().join("tools/bench/reference/sql_query.py");
    let arguments = [
        script.display().to_string(),
        format!("--curated={}", curated.display()),
        format!("--questions={}", file.display()),
        format!("--engine={engine}"),
        format!("--times={TIMES}"),
    ];
    let spec = ProcessSpec {
        name: engine.to_owned(),
        binary: root().join("tests/python"),
        arguments: arguments.to_vec(),
        variables: inherited(|name| name == "PYTHON"),
        folder,
    };
    Finished::of(spec.start()?).await?.json()
}

/// Checks that both say the same: means may differ in their last digits, by the order of the sum.
pub(super) fn agree(
    question: &Question,
    ours: &[f64],
    engine: &str,
    theirs: &[f64],
) -> anyhow::Result<()> {
    let close = |a: &f64, b: &f64| (a - b).abs() <= 1e-9 * b.abs();
    let same = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| close(a, b));
    ensure!(
        same && !ours.is_empty(),
        "`{}` is answered {ours:?}, and by {engine} {theirs:?}",
        question.name
    );
    Ok(())
}
