//! Questions to the query service against DuckDB on the same Parquet files, with as many threads.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use contract::format_millis;
use serde::Deserialize;
use serde_json::Value;
use stand::{ProcessSpec, http_client, inherited};
use tokio::time::Instant;

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::machine::root;
use crate::made_lake::{HOURS, MadeLake, SIGNALS, hour};
use crate::processes::{Finished, RunningService};
use crate::row::{Bar, Row};

/// The key that the harness reads by.
const READ_KEY: &str = "the-key-of-the-harness";

/// How often a question is asked in a run: the CPU time of a process is told in steps of 10 ms.
const TIMES: u32 = 10;

/// Longest that an answer may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The vehicle of the question about one.
const VEHICLE: &str = "veh-00042";

/// A question: its name, its path, and what its answer is in figures, which DuckDB's must equal.
struct Question {
    name: &'static str,
    path: String,
    figures: fn(&Value) -> Option<Vec<f64>>,
}

/// Seconds and CPU seconds of one question, and its answer.
#[derive(Debug, Deserialize)]
struct Asked {
    seconds: f64,
    cpu: f64,
    figures: Vec<f64>,
}

fn questions(start: DateTime<Utc>) -> [Question; 4] {
    let end = start + TimeDelta::hours(i64::from(HOURS));
    let times = |range: std::ops::Range<DateTime<Utc>>| {
        format!(
            "start={}&end={}",
            format_millis(range.start),
            format_millis(range.end)
        )
    };
    let (day, noon) = (times(start..end), times(hour(start, 12)));
    let all = SIGNALS.join(",");
    let values = |answer: &Value| {
        let points = answer["points"].as_array()?.iter();
        points.map(|point| point["value"].as_f64()).collect()
    };
    [
        Question {
            name: "signals",
            path: format!("/query?kind=vehicle&name={all}&agg=avg,min,max,count&{day}"),
            figures: |answer| {
                let points = answer["points"].as_array()?.iter();
                let four = ["avg", "min", "max", "count"];
                let values = points.flat_map(|point| four.map(|of| point["values"][of].as_f64()));
                values.collect()
            },
        },
        Question {
            name: "buckets",
            path: format!("/query?kind=vehicle&name=engine_rpm&step=5m&{day}"),
            figures: values,
        },
        Question {
            name: "top",
            path: format!(
                "/v1/top?kind=vehicle&signal=engine_rpm&window={HOURS}h&n=10&end={}",
                format_millis(end)
            ),
            figures: |answer| {
                let entities = answer["entities"].as_array()?.iter();
                entities.map(|entity| entity["value"].as_f64()).collect()
            },
        },
        Question {
            name: "vehicle",
            path: format!("/query?kind=vehicle&name=engine_rpm&entity={VEHICLE}&{noon}"),
            figures: values,
        },
    ]
}

/// `query`: a row for each question, and one of memory.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let made = MadeLake {
        vehicles: bench.scaled(2_000) as u32,
        events: 65,
    };
    bench.say(format!("making a lake of {} events", made.total()));
    let folder = bench.fresh_folder()?;
    let arguments = [format!("--data={}", folder.display())];
    let mut deployment = Deployment::emulated(bench, &arguments).await?;
    aws::setup::create_bucket(&deployment.aws, &deployment.name).await?;
    let start = MadeLake::start();
    made.put(&deployment.lake(), start).await?;
    let service = deployment.query(&[("READ_KEYS", READ_KEY)]).await?;
    let questions = questions(start);
    let mut rows: Vec<(Vec<Asked>, Vec<Asked>)> =
        questions.iter().map(|_| Default::default()).collect();
    for run in 1..=bench.runs() {
        bench.say(format!("query, run {run}"));
        let curated = folder.join(&deployment.name).join("curated/kind=vehicle");
        let theirs = by_duckdb(bench, &curated, start).await?;
        for ((question, theirs), (of_ours, of_theirs)) in
            questions.iter().zip(theirs).zip(&mut rows)
        {
            let ours = ask(&service, question).await?;
            agree(question, &ours.figures, &theirs.figures)?;
            of_ours.push(ours);
            of_theirs.push(theirs);
        }
    }
    let peak = service.peak_mib()?;
    service.stop().await?;
    deployment.end().await?;
    std::fs::remove_dir_all(&folder).context("cannot remove the lake")?;
    let of =
        |asked: &[Asked], what: fn(&Asked) -> f64| asked.iter().map(what).collect::<Vec<f64>>();
    let row = |(question, (ours, theirs)): (&Question, &(Vec<Asked>, Vec<Asked>))| {
        let name = |what: &str| format!("query-{}{what}", question.name);
        let (seconds, cpu) = (of(ours, |asked| asked.seconds), of(ours, |asked| asked.cpu));
        [
            Row::of(name(""), "s", &seconds)
                .against(&seconds, &of(theirs, |asked| asked.seconds))
                .ratio_bar(Bar::AtMost, 0.6)
                .with("events", made.total()),
            Row::of(name("-cpu"), "CPU s", &cpu)
                .against(&cpu, &of(theirs, |asked| asked.cpu))
                .ratio_bar(Bar::AtMost, 0.6),
        ]
    };
    let mut rows: Vec<Row> = questions.iter().zip(&rows).flat_map(row).collect();
    rows.push(Row::of("query-memory", "MiB at most", &[peak]));
    Ok(rows)
}

/// Asks once to warm up, and then as often as counts.
async fn ask(service: &RunningService, question: &Question) -> anyhow::Result<Asked> {
    let http = http_client(LONGEST)?;
    let url = format!("http://{}{}", service.address, question.path);
    let get = async || {
        let answer = http.get(&url).header("x-api-key", READ_KEY).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{url} is answered {status}: {text}");
        Ok(text)
    };
    let answer: Value = serde_json::from_str(&get().await?).context("an answer is no JSON")?;
    let figures = (question.figures)(&answer);
    let figures = figures.with_context(|| format!("{url} is answered {answer}"))?;
    let (started, cpu) = (Instant::now(), service.cpu()?);
    for _ in 0..TIMES {
        get().await?;
    }
    Ok(Asked {
        seconds: started.elapsed().as_secs_f64() / f64::from(TIMES),
        cpu: (service.cpu()? - cpu) / f64::from(TIMES),
        figures,
    })
}

/// The same questions to DuckDB, on the files.
async fn by_duckdb(
    bench: &Bench,
    curated: &Path,
    start: DateTime<Utc>,
) -> anyhow::Result<Vec<Asked>> {
    let folder = bench.fresh_folder()?;
    let script = root().join("tools/bench/reference/duckdb_query.py");
    let noon = hour(start, 12);
    let arguments = [
        script.display().to_string(),
        format!("--curated={}", curated.display()),
        format!("--signals={}", SIGNALS.join(",")),
        format!("--vehicle={VEHICLE}"),
        format!("--from={}", format_millis(noon.start)),
        format!("--until={}", format_millis(noon.end)),
        format!("--times={TIMES}"),
    ];
    let spec = ProcessSpec {
        name: "duckdb".to_owned(),
        binary: root().join("tests/python"),
        arguments: arguments.to_vec(),
        variables: inherited(|name| name == "PYTHON"),
        folder,
    };
    Finished::of(spec.start()?).await?.json()
}

/// Checks that both say the same: means may differ in their last digits, by the order of the sum.
fn agree(question: &Question, ours: &[f64], theirs: &[f64]) -> anyhow::Result<()> {
    let close = |a: &f64, b: &f64| (a - b).abs() <= 1e-9 * b.abs();
    let same = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| close(a, b));
    ensure!(
        same && !ours.is_empty(),
        "`{}` is answered {ours:?}, and by DuckDB {theirs:?}",
        question.name
    );
    Ok(())
}
