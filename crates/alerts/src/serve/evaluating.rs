//! The loop of the process that leads: look at the lake, record what changed, again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake::key::{ALERTS, MOMENTS};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windows::Moment;

use crate::journal::Journal;
use crate::live::{Begin, Follow, Health, QUEUE_EVERY, QueueLook, Waiting};
use crate::model::Transition;
use crate::rules::Rules;
use crate::serve::figures::{Figures, queue_figures};
use crate::serve::shared::{LAKE, Shared};
use crate::serve::told::Told;

/// Time between two looks at the queue of dead letters.
const DEAD_LETTERS_EVERY: Duration = Duration::from_secs(60);

/// Evaluates rules for as long as this process leads.
pub(super) struct Evaluating {
    shared: Arc<Shared>,
    journal: Journal,
    follow: Follow,
    health: Health,
    events: QueueLook,
    dead_letters: QueueLook,
    figures: Figures,
    moments: Told<Moment>,
    history: Told<Transition>,
    /// What the log does not know yet.
    unrecorded: Vec<Transition>,
    /// The window end whose changes are all in `unrecorded` or in the log.
    found_to: i64,
    recorded_to: i64,
}

impl Evaluating {
    /// Goes on from what the log knows; without a log, from now.
    pub(super) fn begin(shared: Arc<Shared>, journal: Journal) -> Evaluating {
        let now = shared.clock.now().timestamp_millis();
        let settings = shared.config.follow();
        let first = now - settings.watermark.delay - settings.watermark.way;
        let (begin, last) = {
            let state = journal.state();
            let begin = match state.evaluated_to {
                None => Begin::after(first),
                Some(evaluated_to) => Begin {
                    evaluated_to,
                    begun_at: state.begun_at,
                    ..Begin::default()
                },
            };
            let last = state.ended.iter().chain(state.active());
            (begin, last.cloned().collect::<Vec<_>>())
        };
        let (rules, own) = split(shared.rules());
        let is_own = |told: &Transition| own.all.iter().any(|rule| rule.id == told.rule);
        let (own_last, last): (Vec<_>, Vec<_>) = last.into_iter().partition(is_own);
        let (health, mut unrecorded) = Health::start(&own, settings.evaluator, now, own_last);
        let (follow, gone) = Follow::start(
            shared.lake.clone(),
            shared.kinds.clone(),
            shared.clock,
            rules,
            settings,
            Begin { last, ..begin },
        );
        unrecorded.extend(gone);
        let evaluated_to = follow.evaluator().evaluated_to();
        info!(
            event = "evaluating",
            evaluated_to,
            "rules are looked at from the window end {} on",
            crate::notify::time(evaluated_to)
        );
        let queues = shared.queues.clone();
        Evaluating {
            shared,
            journal,
            follow,
            health,
            events: QueueLook::new(queues.events, QUEUE_EVERY),
            dead_letters: QueueLook::new(queues.dead_letters, DEAD_LETTERS_EVERY),
            figures: Figures::default(),
            moments: Told::new(MOMENTS),
            history: Told::new(ALERTS),
            unrecorded,
            found_to: evaluated_to,
            recorded_to: evaluated_to,
        }
    }

    /// Runs until `stop`. What is found by then is recorded.
    ///
    /// # Errors
    ///
    /// If the log is no longer written by this process.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reload = self.shared.reload.subscribe();
        let mut is_failing = false;
        while !stop.is_cancelled() {
            if reload.has_changed().unwrap_or_default() {
                reload.mark_unchanged();
                self.set_rules();
            }
            let now = self.follow.now();
            let waiting = self.events.waiting(now).await;
            let dead_letters = self.dead_letters.waiting(now).await;
            let at_end = match self.follow.step(waiting).await {
                Ok(step) => {
                    if is_failing {
                        info!(event = "lake_reached", "the lake can be read again");
                    }
                    is_failing = false;
                    self.shared.ready.succeeded(LAKE);
                    self.unrecorded.extend(step.transitions);
                    self.found_to = step.evaluated_to;
                    let moments = step.moments.len() as u64;
                    metrics::counter!("headwater_alerts_moments_total").increment(moments);
                    self.moments.add(step.moments);
                    step.reached_end
                }
                Err(error) => {
                    if !is_failing {
                        warn!(
                            event = "poll_failed",
                            error = %service::errors::chain(&error),
                            "the lake cannot be read: rules wait until it can"
                        );
                    }
                    is_failing = true;
                    self.shared
                        .ready
                        .failed(LAKE, "lake_unreachable", Duration::MAX);
                    true
                }
            };
            self.look_at_health((waiting, dead_letters));
            let told = queue_figures(&self.follow, (waiting, dead_letters));
            self.shared.figures.send_replace(Some(told));
            self.figures.publish(&self.follow);
            self.record().await?;
            let now = self.shared.clock.now();
            self.moments.write(&self.shared.lake, now).await;
            if at_end {
                self.shared.ready.set(true);
                stop.run_until_cancelled(sleep(self.shared.config.poll))
                    .await;
            }
        }
        self.record().await
    }

    fn look_at_health(&mut self, waiting: (Waiting, Waiting)) {
        let now = self.follow.now();
        if self.health.is_due(now) {
            let readings = self
                .figures
                .readings(&self.follow, waiting, &self.journal.state());
            self.unrecorded.extend(self.health.take(&readings, now));
        }
    }

    async fn record(&mut self) -> anyhow::Result<()> {
        // A look that failed may have evaluated further, and gives what it found with the next one.
        let evaluated_to = self.found_to;
        if self.unrecorded.is_empty() && evaluated_to == self.recorded_to {
            return Ok(());
        }
        let left_out = self.follow.evaluator().left_out();
        let left_out: BTreeMap<_, _> = left_out
            .map(|(rule, count)| (rule.id.clone(), count))
            .collect();
        self.shared.shown.evaluated(evaluated_to, left_out);
        let transitions = std::mem::take(&mut self.unrecorded);
        metrics::counter!("headwater_alerts_transitions_total").increment(transitions.len() as u64);
        // Before the record: after a crash between the two the same changes are found again, and told again.
        self.history.add(transitions.iter().cloned());
        let now = self.shared.clock.now();
        self.history.write(&self.shared.lake, now).await;
        self.journal.append(evaluated_to, transitions).await?;
        self.recorded_to = evaluated_to;
        Ok(())
    }

    fn set_rules(&mut self) {
        let (rules, own) = split(self.shared.rules());
        self.unrecorded.extend(self.health.set_rules(&own));
        self.unrecorded.extend(self.follow.set_rules(rules));
        self.figures.begin_again();
    }
}

fn split(mut rules: Rules) -> (Rules, Rules) {
    let own = rules.take_own();
    (rules, own)
}
