//! What all scenarios share: how often and how much, the folder, the corpora, the load generator.

use std::cell::Cell;
use std::path::PathBuf;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;
use stand::{ProcessSpec, Variables, own_program};
use tempfile::TempDir;

use crate::corpus::{Corpus, Recipe, VEHICLES};
use crate::floor::{FloorReport, FloorSpec};
use crate::load::{BATCH, LoadReport, LoadSpec, OfferedLoad};
use crate::processes::{Finished, RunningService};
use crate::run_args::RunArgs;

/// By what the number of events is divided with `--quick`.
const QUICK: u64 = 10;

/// One call of the harness.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) args: RunArgs,
    folder: TempDir,
    /// Names given out so far.
    names: Cell<usize>,
    bar: ProgressBar,
}

impl Bench {
    /// A harness with a folder among the system's temporary files, which is removed at the end.
    pub(crate) fn new(args: RunArgs) -> anyhow::Result<Bench> {
        let folder = tempfile::Builder::new()
            .prefix("headwater-bench-")
            .tempdir();
        Ok(Bench {
            args,
            folder: folder.context("cannot make a temporary folder")?,
            names: Cell::new(0),
            bar: service::terminal::spinner(),
        })
    }

    /// Runs of each scenario.
    pub(crate) fn runs(&self) -> usize {
        self.args.runs()
    }

    /// `events`, or a tenth of them with `--quick`.
    pub(crate) fn scaled(&self, events: u64) -> u64 {
        if self.args.quick {
            (events / QUICK).max(1)
        } else {
            events
        }
    }

    /// Shows what is being done.
    pub(crate) fn say(&self, text: impl Into<String>) {
        let text = text.into();
        if self.bar.is_hidden() {
            eprintln!("-- {text}");
        } else {
            self.bar.set_message(text);
        }
    }

    /// Prints a line that stays on the screen.
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// Makes an empty folder.
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
        self.names.replace(self.names.get() + 1)
    }

    /// Makes events of the usual number of vehicles, or finds them made already.
    pub(crate) async fn corpus(&self, events: u64) -> anyhow::Result<Corpus> {
        self.corpus_of(events, VEHICLES).await
    }

    pub(crate) async fn corpus_of(&self, events: u64, vehicles: u32) -> anyhow::Result<Corpus> {
        self.say(format!("making {events} events of {vehicles} vehicles"));
        let folder = self.folder.path().to_owned();
        let recipe = Recipe { events, vehicles };
        tokio::task::spawn_blocking(move || Corpus::prepare(recipe, &folder)).await?
    }

    /// Loads the service from a process of its own, and waits until all posts are answered.
    pub(crate) async fn load(
        &self,
        service: &RunningService,
        corpus: &Corpus,
        load: &OfferedLoad,
    ) -> anyhow::Result<LoadReport> {
        let spec = LoadSpec {
            target: service.address,
            corpus: corpus.path.clone(),
            load: load.clone(),
        };
        let process = self.own("load", &spec)?.start()?;
        Finished::of(process).await?.json()
    }

    /// Takes the floor of bulk ingest for a million events of the corpus.
    pub(crate) async fn floor(&self, corpus: &Corpus) -> anyhow::Result<FloorReport> {
        let spec = FloorSpec {
            corpus: corpus.path.clone(),
            batch: BATCH,
            events: 1_000_000,
        };
        let process = self.own("floor", &spec)?.start()?;
        Finished::of(process).await?.json()
    }

    /// How this program is started with a hidden subcommand.
    pub(crate) fn own(&self, command: &str, spec: &impl Serialize) -> anyhow::Result<ProcessSpec> {
        Ok(ProcessSpec {
            name: command.to_owned(),
            binary: own_program()?.to_owned(),
            arguments: vec![command.to_owned(), serde_json::to_string(spec)?],
            variables: Variables::new(),
            folder: self.fresh_folder()?,
        })
    }
}
