//! `alerts replay`: what rules would have told over events that stand in the lake.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, ensure};
use aws::{Clock, Lake};
use chrono::{DateTime, SecondsFormat, Utc};
use contract::Kinds;

use crate::live::{Begin, Follow, FollowSettings, Waiting};
use crate::model::{Labels, State, Transition};
use crate::rules::Rules;

/// Which events, and by what.
#[derive(Debug)]
pub struct Replay {
    /// The lake.
    pub lake: Lake,
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// The time of day.
    pub clock: Clock,
    /// The rules; those about the pipeline itself are left out.
    pub rules: Rules,
    /// Bounds, as the service has them.
    pub settings: FollowSettings,
}

impl Replay {
    /// Looks at the rules as of the window ends after `from`, up to `to`, as if the service had been started at `from`
    /// without alerts, and writes a line for each transition to `out`. Nothing is recorded, and nobody is told. Gives
    /// the number of episodes that fired.
    ///
    /// # Errors
    ///
    /// If the times are the wrong way round or in the future, the lake cannot be read, or `out` cannot be written.
    pub async fn run(
        mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        out: &mut impl Write,
    ) -> anyhow::Result<usize> {
        ensure!(from < to, "--from must be before --to");
        ensure!(to <= self.clock.now(), "--to is in the future");
        self.rules.take_own();
        self.settings.windows.anomaly_threshold = None;
        let last = to.timestamp_millis();
        let begin = Begin::after(from.timestamp_millis());
        let (mut follow, _) = Follow::start(
            self.lake,
            self.kinds,
            self.clock,
            self.rules,
            self.settings,
            begin,
        );
        let mut fired = std::collections::BTreeSet::new();
        loop {
            let step = follow
                .step(Waiting::default())
                .await
                .context("cannot read the lake")?;
            for told in step.transitions.iter().filter(|told| told.at <= last) {
                if told.to == State::Firing {
                    fired.insert(told.episode.clone());
                }
                writeln!(out, "{}", line(told))?;
            }
            if step.evaluated_to >= last || step.reached_end {
                return Ok(fired.len());
            }
        }
    }
}

fn line(told: &Transition) -> String {
    let at = DateTime::from_timestamp_millis(told.at).unwrap_or_default();
    let state = match told.to {
        State::Pending => "pending",
        State::Firing => "firing",
        State::Keeping => "keeping",
        State::Resolved => "resolved",
        State::Dropped => "dropped",
    };
    let value = told
        .value
        .map_or_else(String::new, |value| format!(" {value}"));
    format!(
        "{} {state:8} {}{}{value} {}",
        at.to_rfc3339_opts(SecondsFormat::Secs, true),
        told.rule,
        show(&told.labels),
        told.episode
    )
}

fn show(labels: &Labels) -> String {
    let others = labels.iter().filter(|(name, _)| *name != "alertname");
    let each = others.map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", each.collect::<Vec<_>>().join(","))
}
