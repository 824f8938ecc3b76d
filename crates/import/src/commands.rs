//! What the binary does with its settings.

use std::convert::Infallible;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use chrono::Utc;
use contract::{Kind, SentReader};
use indicatif::ProgressBar;
use sender::{PostError, Posted, send};
use service::errors::chain;
use service::terminal;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::event::RecordedEvent;
use crate::events::{Bounds, Events, PlannedFile};
use crate::exit::Exit;
use crate::input::Input;
use crate::progress::Progress;
use crate::report::{Tally, total};

/// Does what the settings say until done or `stop` is cancelled.
pub async fn run(config: &Config, stop: &CancellationToken) -> Exit {
    let import = match Import::prepare(config).await {
        Ok(import) => import,
        Err(error) => {
            eprintln!("import: {error:#}");
            return Exit::Usage;
        }
    };
    let result = if config.print.is_some() {
        import.print(stop).await
    } else if config.dry_run {
        import.check(config, stop).await
    } else {
        import.send(config, stop).await
    };
    result.unwrap_or_else(|error| {
        eprintln!("import: {error:#}");
        Exit::Usage
    })
}

/// Files that are planned, so that what cannot work is told before anything is sent.
struct Import {
    paths: Vec<String>,
    tallies: Vec<Tally>,
    files: Vec<PlannedFile>,
    bounds: Bounds,
    bytes_read: Arc<AtomicU64>,
    bar: ProgressBar,
}

impl Import {
    async fn prepare(config: &Config) -> anyhow::Result<Import> {
        let (kinds, mapping, reading) = (config.kinds()?, config.mapping()?, config.reading()?);
        let kind = kind_of(&kinds, &config.kind)?;
        let paths = config.paths()?;
        let bytes_read = Arc::<AtomicU64>::default();
        let (mut files, mut broken) = (Vec::new(), Vec::new());
        for path in &paths {
            let input = {
                let (path, reading, bytes_read) =
                    (path.clone(), reading.clone(), Arc::clone(&bytes_read));
                tokio::task::spawn_blocking(move || Input::open(&path, &reading, &bytes_read))
                    .await?
            };
            let planned = match input {
                Ok(input) => mapping
                    .plan(&Arc::new(input))
                    .await
                    .and_then(|plan| PlannedFile::new(plan, kind)),
                Err(error) => Err(error),
            };
            match planned {
                Ok(file) => files.push(file),
                Err(error) => broken.push(chain(&error)),
            }
        }
        if !broken.is_empty() {
            let more = broken.len().saturating_sub(10);
            broken.truncate(10);
            if more > 0 {
                broken.push(format!("and {more} files more"));
            }
            anyhow::bail!(
                "nothing was sent, because of what is wrong here:\n  {}",
                broken.join("\n  ")
            );
        }
        let bytes = paths
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|about| about.len())
            .sum();
        Ok(Import {
            tallies: files
                .iter()
                .map(|file| file.input().tally.clone())
                .collect(),
            paths,
            files,
            bounds: Bounds {
                limit: config
                    .print
                    .filter(|count| *count > 0)
                    .into_iter()
                    .chain(config.limit)
                    .min(),
                interval: config.interval()?,
                first_row: config.from.as_ref().map_or(0, |from| from.row),
            },
            bytes_read,
            bar: terminal::bar_of_bytes(
                if config.dry_run {
                    "checking"
                } else {
                    "sending"
                },
                bytes,
            ),
        })
    }

    fn events(&mut self) -> Events {
        Events::new(
            std::mem::take(&mut self.files),
            self.bounds,
            Handle::current(),
        )
    }

    /// Prints events as NDJSON until their end, or until the reader has seen enough.
    async fn print(mut self, stop: &CancellationToken) -> anyhow::Result<Exit> {
        self.bounds.interval = None;
        let (events, stop) = (self.events(), stop.clone());
        let printing = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::new(std::io::stdout().lock());
            for event in events {
                if stop.is_cancelled() || writeln!(out, "{}", event.body).is_err() {
                    break;
                }
            }
            let _ = out.flush();
        });
        printing.await?;
        let mut exit = Exit::Fine;
        for tally in &self.tallies {
            let counts = tally.lock();
            if counts.failure.is_some()
                || counts.broken.total() > 0
                || counts.unreadable.total() > 0
            {
                eprintln!("{}", counts.words("printed"));
                exit = if counts.is_fine() { exit } else { Exit::Failed };
            }
        }
        Ok(exit)
    }

    /// Holds each event against its contract, as ingest would now.
    async fn check(mut self, config: &Config, stop: &CancellationToken) -> anyhow::Result<Exit> {
        self.bounds.interval = None;
        let (kinds, name) = (config.kinds()?, config.kind.clone());
        let (events, stop) = (self.events(), stop.clone());
        let (bar, bytes_read, tallies) = (
            self.bar.clone(),
            Arc::clone(&self.bytes_read),
            self.tallies.clone(),
        );
        let checking = tokio::task::spawn_blocking(move || {
            let Ok(kind) = kind_of(&kinds, &name) else {
                return false;
            };
            let (mut reader, now) = (SentReader::new(&kinds, Some(kind)), Utc::now());
            for event in events {
                if stop.is_cancelled() {
                    return true;
                }
                let mut counts = tallies[event.file].lock();
                counts.sent += 1;
                match reader.read(&event.body, now) {
                    Ok(_) => counts.accepted += 1,
                    Err(rejection) => {
                        counts
                            .refused
                            .add(rejection.code.as_str(), event.row, &rejection.message)
                    }
                }
                bar.set_position(bytes_read.load(Ordering::Relaxed));
            }
            false
        });
        let is_stopped = checking.await?;
        self.bar.finish_and_clear();
        let exit = self.report("sound");
        if is_stopped {
            println!("stopped: the rest was not checked");
        }
        println!("dry run: nothing was sent");
        Ok(exit)
    }

    async fn send(mut self, config: &Config, stop: &CancellationToken) -> anyhow::Result<Exit> {
        let client = config.client(&config.kind)?.stopped_by(stop.clone());
        let options = config.send_options()?;
        let mut number = 0u64;
        let events = self.events().map(move |event| {
            number += 1;
            Ok::<_, Infallible>(Numbered {
                number: number - 1,
                event,
            })
        });
        let mut progress = Progress::default();
        let (ended, _) = send(Arc::new(client), events, &options, stop, |posted| {
            self.count(posted, &mut progress);
        })
        .await;
        self.bar.finish_and_clear();
        let exit = self.report("accepted");
        println!(
            "{} requests, {} answered 429, {} retries, {:.1} s",
            ended.requests.requests,
            ended.requests.throttled,
            ended.requests.retries,
            ended.wall.as_secs_f64()
        );
        if let Some(failure) = &ended.failure {
            eprintln!("import: {}", chain(failure));
            if let Some(advice) = failure.advice() {
                eprintln!("{advice}");
            }
        }
        if ended.stopped || ended.failure.is_some() {
            // What is sent a second time is the same event: the place may be too early, but not too late.
            let (file, row) = progress.last().unwrap_or((0, self.bounds.first_row));
            println!(
                "to go on, add --from '{}:{row}'",
                terminal::printable(&self.paths[file])
            );
        }
        Ok(if ended.failure.is_some() {
            Exit::Failed
        } else {
            exit
        })
    }

    fn count(&self, posted: &Posted<Numbered>, progress: &mut Progress) {
        let tally = |at: usize| self.tallies[posted.events[at].event.file].lock();
        let row = |at: usize| posted.events[at].event.row;
        match &posted.result {
            Ok(answer) => {
                for at in &answer.accepted {
                    let mut counts = tally(*at);
                    (counts.sent, counts.accepted) = (counts.sent + 1, counts.accepted + 1);
                }
                for refused in &answer.rejected {
                    let mut counts = tally(refused.index);
                    counts.sent += 1;
                    counts
                        .refused
                        .add(&refused.code, row(refused.index), &refused.message);
                }
            }
            Err(
                error @ PostError::Refused {
                    status: 400..=499, ..
                },
            ) => {
                for at in 0..posted.events.len() {
                    let mut counts = tally(at);
                    counts.sent += 1;
                    counts
                        .refused
                        .add("whole_post", row(at), &error.to_string());
                }
            }
            Err(_) => {
                for at in 0..posted.events.len() {
                    let mut counts = tally(at);
                    (counts.sent, counts.unanswered) = (counts.sent + 1, counts.unanswered + 1);
                }
            }
        }
        if let (true, [first, .., last] | [first @ last]) = (
            posted.result.is_ok() || posted.is_refused_body(),
            &posted.events[..],
        ) {
            progress.answered(
                first.number,
                posted.events.len() as u64,
                (last.event.file, last.event.row),
            );
        }
        self.bar
            .set_position(self.bytes_read.load(Ordering::Relaxed));
    }

    /// Prints the counts of each file and of all, and says whether all is well.
    fn report(&self, done: &str) -> Exit {
        let mut exit = Exit::Fine;
        for tally in &self.tallies {
            let counts = tally.lock();
            println!("{}", counts.words(done));
            if !counts.is_fine() {
                exit = Exit::Failed;
            }
        }
        println!("{}", total(&self.tallies, done));
        exit
    }
}

/// An event with its number among all that were made.
struct Numbered {
    number: u64,
    event: RecordedEvent,
}

impl sender::Outgoing for Numbered {
    fn body(&self) -> &str {
        &self.event.body
    }

    fn due(&self) -> Option<std::time::Duration> {
        self.event.due
    }
}

fn kind_of<'k>(kinds: &'k contract::Kinds, name: &str) -> anyhow::Result<&'k Kind> {
    kinds.get(name).with_context(|| {
        let known: Vec<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
        format!(
            "--kind `{name}` is not declared: there are {}, and further ones by --contracts",
            known.join(", ")
        )
    })
}
