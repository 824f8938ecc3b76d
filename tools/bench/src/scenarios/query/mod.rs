//! Questions to the query service against DuckDB and chDB on the same Parquet files, with as many threads.

mod asked;
mod loads;
mod questions;

use anyhow::Context;

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::made_lake::MadeLake;
use crate::row::{Bar, Row};
use crate::stats::median;
use asked::{Asked, Client, READ_KEY, agree, ask, by_engine};
use questions::{Kind, Question, Request, questions};

/// The service and the better of the other engines, run by run.
#[derive(Debug, Default)]
struct Measured {
    ours: Vec<Asked>,
    /// Seconds and CPU seconds, each of the engine that took less of it.
    theirs: Vec<(f64, f64)>,
}

/// `query`: two rows for each question, one for the median of other SQL, and those of loads.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let made = MadeLake {
        vehicles: bench.scaled(2_000) as u32,
        events: 65,
    };
    bench.say(format!("making a lake of {} events", made.total()));
    let folder = bench.fresh_folder()?;
    let mut deployment = Deployment::hosted(bench, Some(&folder)).await?;
    aws::setup::create_bucket(&deployment.aws, &deployment.name).await?;
    let start = MadeLake::start();
    made.put(&deployment.lake(), start).await?;
    let service = deployment.query(&[("READ_KEYS", READ_KEY)]).await?;
    let knows_sql = Client::of(&service)?.knows_sql().await?;
    if !knows_sql {
        bench.say("query does not answer SQL: its rows are left out");
    }
    let is_asked = |question: &&Question| knows_sql || matches!(question.request, Request::Get(_));
    let all = questions(start);
    let asked: Vec<&Question> = all.iter().filter(is_asked).collect();
    let mut measured: Vec<Measured> = asked.iter().map(|_| Measured::default()).collect();
    for run in 1..=bench.runs() {
        bench.say(format!("query, run {run}"));
        let curated = folder.join(&deployment.name).join("curated/kind=vehicle");
        let duckdb: Vec<_> = asked.iter().map(|of| Some(of.duckdb.as_str())).collect();
        let duckdb = by_engine(bench, &curated, "duckdb", &duckdb).await?;
        let mut duckdb = duckdb.context("DuckDB is not installed")?;
        let chdb: Vec<_> = asked.iter().map(|of| of.chdb.as_deref()).collect();
        let mut chdb = by_engine(bench, &curated, "chdb", &chdb).await?;
        if chdb.is_none() {
            bench.say("chDB is not installed (PyPI: chdb): DuckDB is the only reference");
        }
        for (at, question) in asked.iter().enumerate() {
            let ours = ask(&service, question).await?;
            let of_duckdb = duckdb[at].take().context("DuckDB left a question out")?;
            agree(question, &ours.figures, "DuckDB", &of_duckdb.figures)?;
            let mut theirs = (of_duckdb.seconds, of_duckdb.cpu);
            if let Some(of_chdb) = chdb.as_mut().and_then(|all| all[at].take()) {
                agree(question, &ours.figures, "chDB", &of_chdb.figures)?;
                theirs = (theirs.0.min(of_chdb.seconds), theirs.1.min(of_chdb.cpu));
            }
            measured[at].ours.push(ours);
            measured[at].theirs.push(theirs);
        }
    }
    let peak = service.peak_mib()?;
    service.stop().await?;
    let mut rows: Vec<Row> = Vec::new();
    for (question, measured) in asked.iter().zip(&measured) {
        rows.extend(rows_of(question, measured, &made));
    }
    rows.extend(median_of_others(&asked, &measured));
    rows.push(Row::of("query-memory", "MiB at most", &[peak]));
    rows.extend(loads::cold(&mut deployment, &all).await?);
    rows.push(loads::sixteen(&mut deployment, all, knows_sql).await?);
    deployment.end().await?;
    std::fs::remove_dir_all(&folder).context("cannot remove the lake")?;
    Ok(rows)
}

fn rows_of(question: &Question, measured: &Measured, made: &MadeLake) -> [Row; 2] {
    let limit = match question.kind {
        Kind::Kernels | Kind::Hours => 0.6,
        Kind::Other => 2.0,
    };
    let name = |what: &str| format!("query-{}{what}", question.name);
    let of = |what: fn(&Asked) -> f64| measured.ours.iter().map(what).collect::<Vec<_>>();
    let (seconds, cpu) = (of(|asked| asked.seconds), of(|asked| asked.cpu));
    let their = |what: fn(&(f64, f64)) -> f64| measured.theirs.iter().map(what).collect::<Vec<_>>();
    [
        Row::of(name(""), "s", &seconds)
            .against(&seconds, &their(|theirs| theirs.0))
            .ratio_bar(Bar::AtMost, limit)
            .with("events", made.total()),
        Row::of(name("-cpu"), "CPU s", &cpu)
            .against(&cpu, &their(|theirs| theirs.1))
            .ratio_bar(Bar::AtMost, limit),
    ]
}

/// The median over the questions of other SQL of their median ratio; none where they were not asked.
fn median_of_others(asked: &[&Question], measured: &[Measured]) -> Option<Row> {
    let of_others = asked.iter().zip(measured);
    let of_others = of_others.filter(|(question, _)| question.kind == Kind::Other);
    let ratio = |measured: &Measured| {
        let pairs = measured.ours.iter().zip(&measured.theirs);
        let ratios: Vec<f64> = pairs
            .map(|(ours, theirs)| ours.seconds / theirs.0)
            .collect();
        median(&ratios)
    };
    let ratios: Vec<f64> = of_others.map(|(_, measured)| ratio(measured)).collect();
    (!ratios.is_empty()).then(|| {
        let row = Row::of(
            "query-sql-median",
            "of the better engine's time",
            &[median(&ratios)],
        );
        row.bar(Bar::AtMost, 1.3)
    })
}
