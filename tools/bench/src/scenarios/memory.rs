//! Memory under full load for a long time: flat, and within its bounds.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bench::{Amount, Bench, read};
use crate::load::LoadReport;
use crate::report::{Bar, Row};
use crate::scenarios::consumer::LONGEST;
use crate::scenarios::ingest::{VEHICLES, bulk_load};
use crate::stand::Stand;
use crate::stats::{median, spread};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(10);

/// Fewest samples that make four quarters worth comparing.
const FEWEST: usize = 8;

/// `memory`: two rows a service.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let seconds = bench.args.minutes * 60.0;
    let every = EVERY.min(Duration::from_secs_f64(seconds / FEWEST as f64));
    let corpus = bench.corpus(1_000_000, VEHICLES).await?;
    let mut stand = Stand::local(bench).await?;
    let ingest = stand.ingest(&[]).await?;
    let consumer = stand.consumer(&[]).await?;
    let load = bench.start_load(&ingest, &corpus, &bulk_load(Amount::Seconds(seconds)))?;
    let (mut ingests, mut consumers) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed().as_secs_f64() + every.as_secs_f64() < seconds {
        sleep(every).await;
        ingests.push(ingest.process.resident_mib()?);
        consumers.push(consumer.process.resident_mib()?);
        bench.say(format!(
            "memory, {:.0} s of {seconds:.0}",
            start.elapsed().as_secs_f64()
        ));
        // Else the emulation, which keeps objects in memory, would fill the machine.
        stand.cloud.delete_all(&stand.name, contract::RAW).await?;
    }
    let sent: LoadReport = read(load).await?;
    let peaks = (ingest.process.peak_mib()?, consumer.process.peak_mib()?);
    stand.drained(&[&consumer], sent.events, LONGEST).await?;
    ingest.process.stop().await?;
    consumer.process.stop().await?;
    stand.end().await?;
    let mut rows = Vec::new();
    for (name, samples, peak, most) in [
        ("ingest", ingests, peaks.0, 64.0),
        ("consumer", consumers, peaks.1, 96.0),
    ] {
        let (early, late) = quarters(&samples)?;
        let (min, max) = spread(&samples);
        rows.push(
            Row::of(
                format!("memory: {name}, last quarter"),
                "MiB resident",
                &[late],
            )
            .against(&[late], &[early])
            .ratio_bar(Bar::AtMost, 1.05)
            .with("min", min)
            .with("max", max)
            .with("samples", json!(samples))
            .with("minutes", bench.args.minutes)
            .with("events", sent.events),
        );
        rows.push(Row::of(format!("memory: {name}, peak"), "MiB", &[peak]).bar(Bar::AtMost, most));
    }
    Ok(rows)
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
