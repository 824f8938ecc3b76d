//! Prints every window of a minute that rules can ask of a lake: `windows_of_lake --lake-bucket NAME [--lateness 6h]`.
//!
//! It reads the parts of `raw/` that arrived within the last day, takes their events into windows as the service
//! does, and prints a line of JSON for each window with values, and another one, with the next revision, whenever
//! late events change it. The watermark stands a minute behind the newest event time, not on arrival: recordings of
//! past years then pass through the windows as they once happened. The events of a part are taken by the order of
//! their times; parts must come by that order too: an event that comes later than `--lateness` would change no
//! window, and is an error.
//!
//! `tests/e2e/windows.py` holds what it prints against SQL over `curated/`.

use std::collections::BTreeSet;
use std::io::{BufWriter, StdoutLock, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alerts::live::observe;
use anyhow::{Context, ensure};
use chrono::TimeDelta;
use clap::Parser;
use contract::Kinds;
use lake::tail::{Tail, TailSettings};
use serde_json::json;
use windows::{PANE, SeriesId, Settings, Windows};

/// Length of the windows, in milliseconds.
const RANGE: i64 = 60_000;

/// How far the watermark is behind the newest event, in milliseconds.
const DELAY: i64 = 60_000;

/// Which lake, and how late events may come.
#[derive(Debug, Parser)]
struct Options {
    /// Bucket of the lake.
    #[arg(long, env)]
    lake_bucket: String,
    /// Folder with declarations of further kinds.
    #[arg(long, env)]
    contracts: Option<PathBuf>,
    /// How long after its window end an event still changes its windows.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    lateness: Duration,
}

/// Windows, and where they are printed.
struct Printer {
    windows: Windows,
    /// The signals that have come so far.
    signals: BTreeSet<String>,
    /// The newest event time, in milliseconds since 1970.
    newest: i64,
    out: BufWriter<StdoutLock<'static>>,
    printed: u64,
}

impl Printer {
    /// Prints a window of a series if it has values.
    fn print(&mut self, series: SeriesId, end: i64) -> anyhow::Result<()> {
        let start = end - RANGE;
        let stat = self.windows.window(series, start, end);
        let Some((stat, of)) = stat.zip(self.windows.describe(series)) else {
            return Ok(());
        };
        let line = json!({
            "kind": of.kind,
            "entity": of.entity,
            "signal": of.signal,
            "end": end,
            "revision": self.windows.revision(series, start, end),
            "count": stat.count,
            "mean": stat.mean(),
            "min": stat.min,
            "max": stat.max,
        });
        self.printed += 1;
        writeln!(self.out, "{line}").context("cannot write a line")
    }

    /// Moves the watermark, and prints the windows that it passes.
    fn advance(&mut self, watermark: i64) -> anyhow::Result<()> {
        self.windows.advance(watermark);
        while let Some(end) = self.windows.next_end() {
            // Between two recordings months may pass.
            if end - RANGE > self.newest {
                continue;
            }
            let names = self.signals.iter();
            let series: Vec<_> = names
                .flat_map(|name| self.windows.series(None, name))
                .collect();
            for series in series {
                self.print(series, end)?;
            }
        }
        Ok(())
    }

    /// Prints once more the windows that late events have changed.
    fn print_changed(&mut self) -> anyhow::Result<()> {
        let mut again = BTreeSet::new();
        for changed in self.windows.take_changed() {
            let Some(given_to) = changed.given_to else {
                continue;
            };
            let mut end = changed.pane + PANE;
            while end <= given_to.min(changed.pane + RANGE) {
                again.insert((end, changed.series));
                end += PANE;
            }
        }
        for (end, series) in again {
            self.print(series, end)?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let kinds = Kinds::load(options.contracts.as_deref()).context("cannot use CONTRACTS")?;
    let aws = aws::Aws::connect().await?;
    let (lake, clock) = (aws.lake(&options.lake_bucket), aws.clock());
    let from = clock.now() - TimeDelta::days(1);
    let mut tail = Tail::new(lake, Arc::new(kinds), clock, TailSettings::default(), from);
    let settings = Settings {
        lateness: i64::try_from(options.lateness.as_millis())?,
        anomaly_threshold: None,
        ..Settings::default()
    };
    let mut printer: Option<Printer> = None;
    let mut result = Ok(());
    loop {
        let progress = tail.poll(|object| {
            let mut events: Vec<_> = object.events.map(|(_, event)| event).collect();
            events.sort_by_key(|event| event.time);
            for event in &events {
                let at = event.time.timestamp_millis();
                let printer = printer.get_or_insert_with(|| Printer {
                    // The first events may come out of their order too.
                    windows: Windows::new(settings.clone(), at - settings.lateness),
                    signals: BTreeSet::new(),
                    newest: at,
                    out: BufWriter::new(std::io::stdout().lock()),
                    printed: 0,
                });
                if at > printer.newest && result.is_ok() {
                    // Before the event is taken: it may be the first one after months.
                    result = printer.advance(at - DELAY);
                    printer.newest = at;
                }
                for (name, _) in &event.signals {
                    if !printer.signals.contains(name.as_ref()) {
                        printer.signals.insert(name.to_string());
                    }
                }
                observe(&mut printer.windows, event, None);
            }
            if let Some(printer) = printer.as_mut().filter(|_| result.is_ok()) {
                result = printer.print_changed();
            }
        });
        let reached_end = progress.await.context("cannot read the lake")?.reached_end;
        std::mem::replace(&mut result, Ok(()))?;
        if reached_end {
            break;
        }
    }
    let mut printer = printer.context("there are no events in the lake")?;
    printer.advance(printer.newest + RANGE + PANE)?;
    printer.out.flush().context("cannot write the last lines")?;
    let (counts, met) = (printer.windows.counts(), tail.counts());
    eprintln!("{} windows printed; {counts:?}; {met:?}", printer.printed);
    let left_out = counts.too_late + counts.too_far_ahead + counts.no_room + counts.not_finite;
    ensure!(left_out == 0, "{left_out} samples were left out");
    Ok(())
}
