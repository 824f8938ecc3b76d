//! Memory under full load for a long time: flat, and within its bounds.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::load::{Amount, OfferedLoad};
use crate::pipeline::Pipeline;
use crate::row::{Bar, Row};
use crate::stats::{median, spread};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(10);

/// Fewest samples that make four quarters worth comparing.
const FEWEST: usize = 8;

/// `memory`: two rows for each service.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let minutes = bench.args.minutes;
    let corpus = bench.corpus(1_000_000).await?;
    let pipeline = Pipeline::start(Deployment::emulated(bench, &[]).await?, &[], &[]).await?;
    let load = OfferedLoad::bulk(Amount::Seconds(minutes * 60.0));
    let (sent, samples) = tokio::try_join!(
        bench.load(&pipeline.ingest, &corpus, &load),
        samples(bench, &pipeline, minutes * 60.0)
    )?;
    let peaks = (pipeline.ingest.peak_mib()?, pipeline.consumer.peak_mib()?);
    pipeline.drained(sent.events).await?;
    pipeline.end().await?;
    let mut rows = Vec::new();
    for (name, samples, peak, most) in [
        ("ingest", samples.0, peaks.0, 64.0),
        ("consumer", samples.1, peaks.1, 96.0),
    ] {
        let (early, late) = quarters(&samples)?;
        let (min, max) = spread(&samples);
        let what = format!("memory: {name}, last quarter");
        rows.push(
            Row::of(what, "MiB resident", &[late])
                .against(&[late], &[early])
                .ratio_bar(Bar::AtMost, 1.05)
                .with("min", min)
                .with("max", max)
                .with("samples", json!(samples))
                .with("minutes", minutes)
                .with("events", sent.events),
        );
        rows.push(Row::of(format!("memory: {name}, peak"), "MiB", &[peak]).bar(Bar::AtMost, most));
    }
    Ok(rows)
}

/// The resident memory of ingest and of the consumer in MiB, every 10 s for `seconds`.
async fn samples(
    bench: &Bench,
    pipeline: &Pipeline,
    seconds: f64,
) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let every = EVERY.min(Duration::from_secs_f64(seconds / FEWEST as f64));
    let (mut ingest, mut consumer) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed().as_secs_f64() + every.as_secs_f64() < seconds {
        sleep(every).await;
        ingest.push(pipeline.ingest.resident_mib()?);
        consumer.push(pipeline.consumer.resident_mib()?);
        let gone = start.elapsed().as_secs_f64();
        bench.say(format!("memory, {gone:.0} s of {seconds:.0}"));
        // Else the emulation, which keeps objects in memory, would fill the machine.
        pipeline.deployment.delete_objects(contract::RAW).await?;
    }
    Ok((ingest, consumer))
}

/// The medians of the second and of the last quarter.
fn quarters(samples: &[f64]) -> anyhow::Result<(f64, f64)> {
    let quarter = samples.len() / 4;
    ensure!(quarter > 0, "{} samples are too few", samples.len());
    let second = &samples[quarter..2 * quarter];
    let last = &samples[samples.len() - quarter..];
    Ok((median(second), median(last)))
}

#[cfg(test)]
mod tests {
    use super::quarters;

    #[test]
    fn the_second_and_the_last_quarter_are_compared() {
        let samples = [1.0, 2.0, 10.0, 11.0, 12.0, 20.0, 30.0, 31.0, 32.0];
        assert_eq!(quarters(&samples).unwrap(), (10.5, 31.5));
        assert!(quarters(&samples[..3]).is_err());
    }
}
