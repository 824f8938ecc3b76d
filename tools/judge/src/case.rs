//! One ledger and the lake that it is compared with: waits, then the verdict.

use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{Lake, Queue};
use contract::Kinds;
use service::terminal::{self, printable};
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::check::{Places, Question, judge};
use crate::config::Config;
use crate::cost::Cost;
use crate::ledger::Ledger;
use crate::recount::{Extent, Recount};
use crate::scope::Scope;
use crate::wait::{Drained, wait_for_aggregates, wait_for_all, wait_for_drain};

/// What is judged, and by which settings.
pub(crate) struct Case<'a> {
    pub(crate) config: &'a Config,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) kinds: &'a Kinds,
    pub(crate) scope: Scope,
    pub(crate) ledger: Ledger,
    pub(crate) lake: Lake,
    pub(crate) queue: Queue,
}

impl Case<'_> {
    /// Waits until the queue has drained (`drain`) and `curated/` is complete (`curated`), then recounts the
    /// aggregates, unless `raw/` alone is judged. With `curated` it waits until they count all of `curated/`.
    ///
    /// # Errors
    ///
    /// If a call fails, or it was stopped: what was not waited for would be called lost.
    pub(crate) async fn wait(
        &self,
        drain: bool,
        curated: bool,
        arrivals: &Arrivals,
    ) -> anyhow::Result<Option<Recount>> {
        self.unless_stopped()?;
        let within = humantime::format_duration(self.config.timeout);
        if drain && self.config.shared {
            // A queue that others fill need never be empty: the ledger's own events tell.
            if !self.all_in(Places::Raw).await? {
                eprintln!(
                    "judge: raw/ was not complete within {within}: is batch-consumer running?"
                );
            }
        } else if drain && let Drained::No { messages } = self.drained(arrivals).await? {
            eprintln!(
                "judge: the queue did not drain within {within}: {messages} messages are left; is batch-consumer running?"
            );
        }
        let complete = curated && self.all_in(Places::Curated).await?;
        if curated && !complete {
            eprintln!(
                "judge: curated/ was not complete within {within}: run `aggregator once`, or judge raw/ alone with --raw-only"
            );
        }
        if self.config.raw_only {
            return Ok(None);
        }
        // Where curated/ is not complete, nor will the aggregates be, however long they are waited for.
        let timeout = if complete {
            self.config.timeout
        } else {
            Duration::ZERO
        };
        let extent = Extent {
            hours: (!self.scope.is_everything()).then(|| self.ledger.hours(self.kinds)),
            // What others send may be anywhere on its way.
            complete: !self.config.shared,
        };
        let found = wait_for_aggregates(&self.lake, self.kinds, &extent, timeout, self.stop)
            .await
            .context("no verdict")?;
        self.unless_stopped()?;
        Ok(Some(found))
    }

    fn unless_stopped(&self) -> anyhow::Result<()> {
        ensure!(
            !self.stop.is_cancelled(),
            "stopped before a verdict; `judge check` gives one of a ledger that was kept (--ledger)"
        );
        Ok(())
    }

    async fn drained(&self, arrivals: &Arrivals) -> anyhow::Result<Drained> {
        let bar = terminal::spinner();
        let timeout = self.config.timeout;
        let drained = wait_for_drain(&self.queue, arrivals, timeout, self.stop, |messages| {
            bar.set_message(format!(
                "waiting for the queue to drain: {messages} messages"
            ));
        })
        .await?;
        bar.finish_and_clear();
        self.unless_stopped()?;
        Ok(drained)
    }

    /// Waits until every accepted event is in those places; says whether they are.
    async fn all_in(&self, places: Places) -> anyhow::Result<bool> {
        let (accepted, timeout) = (self.ledger.accepted(), self.config.timeout);
        let place = match places {
            Places::Raw => "raw/",
            Places::Curated | Places::Both => "curated/",
        };
        let bar = terminal::bar(&format!("waiting for {place}"), accepted, "events");
        let question = Question {
            places,
            ..Question::new(&self.scope)
        };
        let progress = |there: u64| {
            if there < accepted {
                tracing::info!(
                    event = "waiting",
                    place,
                    there,
                    accepted,
                    "{there} of {accepted} events are in {place}"
                );
            }
            bar.set_position(there);
        };
        let Case {
            lake,
            kinds,
            ledger,
            stop,
            ..
        } = self;
        let complete =
            wait_for_all(lake, kinds, ledger, &question, timeout, stop, progress).await?;
        bar.finish_and_clear();
        self.unless_stopped()?;
        Ok(complete)
    }

    /// Reads the lake, prints the verdict and says whether it is clean.
    pub(crate) async fn pronounce(
        &self,
        arrivals: Option<&Arrivals>,
        aggregates: Option<Recount>,
        cost: Option<Cost>,
    ) -> anyhow::Result<bool> {
        let bar = terminal::bar("reading the lake", 0, "objects");
        let question = Question {
            places: if self.config.raw_only {
                Places::Raw
            } else {
                Places::Both
            },
            arrivals,
            progress: &bar,
            ..Question::new(&self.scope)
        };
        let mut verdict = judge(&self.lake, self.kinds, &self.ledger, &question)
            .await
            .context("no verdict")?;
        bar.finish_and_clear();
        verdict.cost = cost;
        verdict.aggregates = aggregates;
        println!("{}", printable(&verdict.to_string()));
        Ok(verdict.clean())
    }
}
