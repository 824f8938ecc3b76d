//! What all scenarios share: how often and how much, the folder, the corpora, the load generator.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use tempfile::TempDir;

use crate::cli::RunArgs;
use crate::corpus::{Corpus, Recipe};
use crate::floor::FloorReport;
use crate::load::{LoadArgs, LoadReport};
use crate::process::{Finished, Process, own_program};
use crate::stand::Service;

/// How much smaller a small try is.
const QUICK: u64 = 10;

/// Longest that a load, a floor or an aggregation may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// One call of the harness.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) args: RunArgs,
    folder: TempDir,
    made: Cell<usize>,
    bar: ProgressBar,
}

/// How a service is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) amount: Amount,
    /// Events a second; as fast as they are accepted without it.
    pub(crate) rate: Option<f64>,
}

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    /// Each event of the corpus, once.
    Corpus,
    /// As many posts.
    Posts(u64),
    /// For so long.
    Seconds(f64),
}

impl Bench {
    /// A folder of its own in the system's temporary one, removed at the end.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(crate) fn new(args: RunArgs) -> anyhow::Result<Bench> {
        let folder = tempfile::Builder::new()
            .prefix("headwater-bench-")
            .tempdir();
        Ok(Bench {
            args,
            folder: folder.context("cannot make a temporary folder")?,
            made: Cell::new(0),
            bar: service::terminal::spinner(),
        })
    }

    /// Runs of each scenario.
    pub(crate) fn runs(&self) -> usize {
        self.args.runs()
    }

    /// That many, or a tenth in a small try.
    pub(crate) fn scaled(&self, events: u64) -> u64 {
        match self.args.quick {
            true => (events / QUICK).max(1),
            false => events,
        }
    }

    /// Tells what is being done.
    pub(crate) fn say(&self, text: impl Into<String>) {
        let text = text.into();
        if self.bar.is_hidden() {
            eprintln!("-- {text}");
        } else {
            self.bar.set_message(text);
        }
    }

    /// Tells something to be kept on the screen.
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// An empty folder.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(crate) fn fresh_folder(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(self.next().to_string());
        std::fs::create_dir(&path)
            .with_context(|| format!("cannot make `{}`", path.display()))
            .map(|()| path)
    }

    /// A name for a queue or bucket that nobody else uses.
    pub(crate) fn fresh_name(&self) -> String {
        format!("bench-{}-{}", std::process::id(), self.next())
    }

    fn next(&self) -> usize {
        self.made.replace(self.made.get() + 1)
    }

    /// The events of a recipe.
    ///
    /// # Errors
    ///
    /// If they cannot be made.
    pub(crate) async fn corpus(&self, events: u64, vehicles: u32) -> anyhow::Result<Corpus> {
        self.say(format!("making {events} events of {vehicles} vehicles"));
        let folder = self.folder.path().to_owned();
        let recipe = Recipe { events, vehicles };
        tokio::task::spawn_blocking(move || Corpus::prepare(recipe, &folder)).await?
    }

    /// Loads the service from a process of its own, and waits until all is answered.
    ///
    /// # Errors
    ///
    /// If an answer is not what it must be.
    pub(crate) async fn load(
        &self,
        service: &Service,
        corpus: &Corpus,
        load: &Load,
    ) -> anyhow::Result<LoadReport> {
        let process = self.start_load(service, corpus, load)?;
        read(process).await
    }

    /// Begins a load, for the caller to wait for.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub(crate) fn start_load(
        &self,
        service: &Service,
        corpus: &Corpus,
        load: &Load,
    ) -> anyhow::Result<Process> {
        let (posts, seconds) = match load.amount {
            Amount::Corpus => (None, None),
            Amount::Posts(posts) => (Some(posts), None),
            Amount::Seconds(seconds) => (None, Some(seconds)),
        };
        let args = LoadArgs {
            target: service.address,
            corpus: corpus.path.clone(),
            batch: load.batch,
            connections: load.connections,
            posts,
            seconds,
            rate: load.rate.map(|events| events / load.batch as f64),
        };
        self.own("load", &args.to_arguments())
    }

    /// The floor of bulk ingest for at least a million events of the corpus: the lines as sent, or
    /// as `written` by ingest.
    ///
    /// # Errors
    ///
    /// If it cannot be computed.
    pub(crate) async fn floor(
        &self,
        corpus: &Corpus,
        batch: usize,
        written: bool,
    ) -> anyhow::Result<FloorReport> {
        let mut arguments = vec![
            "floor".to_owned(),
            format!("--corpus={}", corpus.path.display()),
            format!("--batch={batch}"),
        ];
        if written {
            arguments.push("--written".to_owned());
        }
        read(self.own("floor", &arguments)?).await
    }

    /// This program with other arguments.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn own(&self, name: &str, arguments: &[String]) -> anyhow::Result<Process> {
        let program = own_program()?;
        let folder = self.fresh_folder()?;
        Process::start(name, &program, arguments, &Vec::new(), &folder)
    }
}

/// What a process of ours prints as JSON.
///
/// # Errors
///
/// If it fails.
pub(crate) async fn read<T: serde::de::DeserializeOwned>(process: Process) -> anyhow::Result<T> {
    read_finished(&process.finish(LONGEST).await?)
}

/// What a process printed as JSON.
///
/// # Errors
///
/// If it is something else.
pub(crate) fn read_finished<T: serde::de::DeserializeOwned>(done: &Finished) -> anyhow::Result<T> {
    serde_json::from_str(&done.out).with_context(|| format!("cannot read `{}`", done.out))
}
