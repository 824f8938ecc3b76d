//! From the tail of the lake over windows to transitions of alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws::{CallError, Clock, Lake};
use chrono::{DateTime, Utc};
use contract::Kinds;
use lake::tail::{Tail, TailCounts, TailSettings};
use tokio::time::Instant;
use windows::{Changed, Counts, Intake, Moment, Settings, Watermark, WatermarkSettings, Windows};

use crate::evaluate::{Evaluator, EvaluatorSettings, signals_of, windows_for};
use crate::live::clock::SteadyClock;
use crate::live::intake::{is_dimension, observe};
use crate::live::missed::Missed;
use crate::live::queue::{QUEUE_EVERY, Waiting};
use crate::model::Transition;
use crate::rules::Rules;

/// How far before the first window a start reads, in milliseconds: for devices whose clocks are fast by up to a minute,
/// and for parts whose first event is some seconds older than the others.
const READ_BEFORE: i64 = 70_000;

/// Bounds and times of following.
#[derive(Debug, Clone, Default)]
pub struct FollowSettings {
    /// Bounds of the windows; ranges and signals are those of the rules.
    pub windows: Settings,
    /// How far the watermark stays behind.
    pub watermark: WatermarkSettings,
    /// Bounds of evaluation.
    pub evaluator: EvaluatorSettings,
    /// Bounds of the tail.
    pub tail: TailSettings,
}

/// What following goes on from.
#[derive(Debug, Clone, Default)]
pub struct Begin {
    /// The window end that was evaluated last, in milliseconds since 1970 of event time.
    pub evaluated_to: i64,
    /// The window end after which the first one was evaluated, if that is known: what was over by then is not told.
    pub begun_at: Option<i64>,
    /// The last transition of each alert that the log knows; those of alerts that have ended come first.
    pub last: Vec<Transition>,
}

impl Begin {
    /// Begins after a window end, without a log.
    pub fn after(evaluated_to: i64) -> Begin {
        Begin {
            evaluated_to,
            begun_at: Some(evaluated_to),
            last: Vec::new(),
        }
    }
}

/// What one look at the lake gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The window end that was evaluated last, in milliseconds since 1970 of event time.
    pub evaluated_to: i64,
    /// What changed.
    pub transitions: Vec<Transition>,
    /// Anomalies that have begun or ended.
    pub moments: Vec<Moment>,
    /// Whether there was no more to read. If not, the next look should follow at once.
    pub reached_end: bool,
}

/// Follows the lake and evaluates rules.
#[derive(Debug)]
pub struct Follow {
    lake: Lake,
    kinds: Arc<Kinds>,
    clock: Clock,
    time: SteadyClock,
    settings: FollowSettings,
    rules: Rules,
    tail: Tail,
    work: Work,
}

/// What takes in events, apart from the tail that gives them.
#[derive(Debug)]
struct Work {
    windows: Windows,
    watermark: Watermark,
    evaluator: Evaluator,
    newest_arrival: Option<i64>,
    /// Changes of windows that have not been looked at.
    pending: Vec<Changed>,
    /// Those of them that late events made are looked at; what they mean for windows that are still open is not.
    open: Vec<Changed>,
    missed: Missed,
    /// The signals that rules look at.
    signals: BTreeSet<String>,
    /// Whether the windows take in other signals too, to score them.
    scores_all: bool,
    /// What has changed since the last step ended.
    changed: Vec<Transition>,
    /// As `changed`, of anomalies.
    moments: Vec<Moment>,
}

impl Follow {
    /// Goes on from `begin`. Gives the ends of alerts whose rules are gone as well. Sends nothing yet.
    pub fn start(
        lake: Lake,
        kinds: Arc<Kinds>,
        clock: Clock,
        rules: Rules,
        settings: FollowSettings,
        begin: Begin,
    ) -> (Follow, Vec<Transition>) {
        let mut evaluator = Evaluator::new(&rules, settings.evaluator, begin.evaluated_to);
        if let Some(begun_at) = begin.begun_at {
            evaluator.begun_at(begun_at);
        }
        let is_dimension = |kind: &str, label: &str| is_dimension(&kinds, kind, label);
        let gone = evaluator.restore(begin.last, is_dimension);
        let (tail, work) = read_from(&lake, &kinds, clock, &rules, &settings, evaluator);
        let follow = Follow {
            lake,
            kinds,
            clock,
            time: SteadyClock::new(clock),
            settings,
            rules,
            tail,
            work,
        };
        (follow, gone)
    }

    /// Goes on with other rules: alerts stay, and what the new rules need of the last minutes is read again. Gives the
    /// ends of alerts whose rules are gone. What was found and not yet given comes with the next step.
    pub fn set_rules(&mut self, rules: Rules) -> Vec<Transition> {
        let idle = Evaluator::new(&Rules::default(), self.settings.evaluator, 0);
        let mut evaluator = std::mem::replace(&mut self.work.evaluator, idle);
        let gone = evaluator.set_rules(&rules);
        let (lake, kinds) = (&self.lake, &self.kinds);
        let (tail, mut work) =
            read_from(lake, kinds, self.clock, &rules, &self.settings, evaluator);
        work.changed = std::mem::take(&mut self.work.changed);
        work.moments = std::mem::take(&mut self.work.moments);
        (self.tail, self.work, self.rules) = (tail, work, rules);
        gone
    }

    /// Looks at the lake once. `waiting` is what is known of the queue: it must have been asked before.
    ///
    /// # Errors
    ///
    /// [`CallError`] of a listing or read. What was read before it counts: its transitions come with the next step, as
    /// they do when a step is dropped.
    pub async fn step(&mut self, waiting: Waiting) -> Result<Step, CallError> {
        let now = self.time.now(self.work.newest_arrival);
        // A process that stood still since it asked knows nothing of what came meanwhile.
        let known_to = now - waiting.asked.map_or(0, unknown_since);
        let work = &mut self.work;
        let progress = self
            .tail
            .poll(|object| {
                let is_missed = work.missed.may_be(object.info.last_modified);
                let wanted = (!work.scores_all).then_some(&work.signals);
                for (_, event) in object.events {
                    let arrived = observe(&mut work.windows, &event, wanted);
                    work.newest_arrival = work.newest_arrival.max(Some(arrived));
                    if is_missed {
                        work.missed.note(&event);
                    }
                }
                work.pending.append(&mut work.windows.take_changed());
            })
            .await?;
        // Only now, for all that the listing showed is here: an object whose oldest event had waited comes before
        // younger ones, and its newest event says nothing of theirs. While there are more objects, those before the
        // newest name are here, and so is what was received before that.
        let reached_end = progress.reached_end;
        // Of an object whose events have all come before, the name alone tells when it arrived.
        let newest_name = progress.newest.map(|newest| newest.timestamp_millis());
        let arrived = if reached_end {
            work.newest_arrival.max(newest_name)
        } else {
            newest_name
        };
        work.watermark.observe(Intake {
            newest_arrival: arrived,
            backlog: true,
            now,
        });
        let quiet = Intake {
            newest_arrival: None,
            backlog: !reached_end || waiting.may_wait,
            now: known_to,
        };
        if let Some(watermark) = work.watermark.observe(quiet) {
            work.advance(watermark);
        }
        work.look_ahead(now);
        Ok(Step {
            evaluated_to: work.evaluator.evaluated_to(),
            transitions: std::mem::take(&mut work.changed),
            moments: std::mem::take(&mut work.moments),
            reached_end,
        })
    }

    /// The rules that are looked at.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The alerts as they stand.
    pub fn evaluator(&self) -> &Evaluator {
        &self.work.evaluator
    }

    /// What the windows have met since the start, or since the rules changed.
    pub fn counts(&self) -> Counts {
        self.work.windows.counts()
    }

    /// What the tail has met since the start, or since the rules changed.
    pub fn tail_counts(&self) -> TailCounts {
        self.tail.counts()
    }

    /// Number of series that windows hold.
    pub fn series(&self) -> usize {
        self.work.windows.series_count()
    }

    /// The time of the last step, in milliseconds since 1970, by a clock that does not jump.
    pub fn now(&self) -> i64 {
        self.time.last()
    }

    /// The newest `ingest_received_at` of the events that were read since the start, or since the rules changed.
    pub fn newest_arrival(&self) -> Option<i64> {
        self.work.newest_arrival
    }

    /// How far the last evaluated window end lies behind the clock, in milliseconds; ahead of it, where a clock was set
    /// back.
    pub fn lag(&self) -> i64 {
        (self.now() - self.work.evaluator.evaluated_to()).abs()
    }

    /// How far evaluation lies behind what is planned by [`WatermarkSettings`], in milliseconds: up to 10 s and the
    /// time between two steps while nothing is late.
    pub fn late_by(&self) -> i64 {
        let WatermarkSettings { delay, way, .. } = self.settings.watermark;
        let planned = delay.saturating_add(way);
        let behind = self.now() - self.work.evaluator.evaluated_to();
        if behind < 0 {
            -behind
        } else {
            behind.saturating_sub(planned).max(0)
        }
    }
}

/// How long ago, in milliseconds, the time ended that a look at the queue tells of.
fn unknown_since(asked: Instant) -> i64 {
    let unknown = asked.elapsed().saturating_sub(QUEUE_EVERY);
    i64::try_from(unknown.as_millis()).unwrap_or(i64::MAX)
}

/// A tail and windows from which the windows after `evaluated_to` are whole, and those that late events may still
/// change.
fn read_from(
    lake: &Lake,
    kinds: &Arc<Kinds>,
    clock: Clock,
    rules: &Rules,
    settings: &FollowSettings,
    evaluator: Evaluator,
) -> (Tail, Work) {
    let back = evaluator.looks_back().max(settings.windows.lateness);
    let from = evaluator.evaluated_to() - back;
    let windows = Windows::new(windows_for(rules, settings.windows.clone()), from);
    let read_from = from - rules.longest_range() - READ_BEFORE;
    let read_from = DateTime::from_timestamp_millis(read_from).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let tail = Tail::new(lake.clone(), kinds.clone(), clock, settings.tail, read_from)
        .and_landed_from(read_from);
    let work = Work {
        windows,
        watermark: Watermark::new(settings.watermark),
        missed: Missed::new(evaluator.evaluated_to()),
        evaluator,
        newest_arrival: None,
        pending: Vec::new(),
        open: Vec::new(),
        signals: signals_of(rules),
        scores_all: settings.windows.anomaly_threshold.is_some(),
        changed: Vec::new(),
        moments: Vec::new(),
    };
    (tail, work)
}

impl Work {
    /// Evaluates what the watermark has passed.
    fn advance(&mut self, watermark: i64) {
        self.windows.advance(watermark);
        while let Some(end) = self.windows.next_end() {
            if end <= self.evaluator.evaluated_to() {
                self.evaluator.look_back(&self.windows, end);
                self.windows.take_moments();
                if end == self.evaluator.evaluated_to() {
                    self.catch_up();
                }
                continue;
            }
            self.look_at_late();
            self.changed
                .extend(self.evaluator.evaluate(&self.windows, end));
        }
        self.moments.append(&mut self.windows.take_moments());
    }

    /// The state of the log is reached: what is here was late or not for the process before, but for what it may have
    /// missed.
    fn catch_up(&mut self) {
        for change in &mut self.pending {
            change.given_to = None;
        }
        let missed = self.missed.take(&self.windows, &self.signals);
        self.changed
            .extend(self.evaluator.revise(&self.windows, &missed));
    }

    /// What late events mean for the windows that were evaluated.
    fn look_at_late(&mut self) {
        let mut changed = std::mem::take(&mut self.pending);
        self.changed
            .extend(self.evaluator.revise(&self.windows, &changed));
        self.open.append(&mut changed);
    }

    /// What new events mean before the next window end is evaluated: after all that the watermark has passed.
    fn look_ahead(&mut self, now: i64) {
        let looks_back = self.windows.given_to() < Some(self.evaluator.evaluated_to());
        if looks_back {
            return;
        }
        self.look_at_late();
        let changed = std::mem::take(&mut self.open);
        // An arrival in the future is as wrong as a device's clock.
        let arrived = self.newest_arrival.map_or(now, |arrived| arrived.min(now));
        let told = self
            .evaluator
            .look_at_once(&self.windows, &changed, arrived);
        self.changed.extend(told);
    }
}

#[cfg(test)]
mod tests {
    use local_aws::LocalAws;

    use super::*;
    use crate::model::{Labels, Reason, State};

    async fn follow() -> Follow {
        let cloud = LocalAws::in_process();
        let aws = aws::Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let kinds = Arc::new(Kinds::builtin());
        let (settings, begin) = (FollowSettings::default(), Begin::after(0));
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH);
        let rules = Rules::builtin();
        let (follow, _) = Follow::start(aws.lake("lake"), kinds, clock, rules, settings, begin);
        follow
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_at_the_queue_tells_of_the_five_seconds_after_it_and_no_more() {
        let mut follow = follow().await;
        let asked = Some(Instant::now());
        let empty = Waiting {
            asked,
            ..Waiting::default()
        };
        tokio::time::sleep(std::time::Duration::from_secs(58)).await;
        // By the look until 5 s, less 16 s.
        assert_eq!(follow.step(empty).await.unwrap().evaluated_to, 0);
        let empty = Waiting {
            asked: Some(Instant::now()),
            ..empty
        };
        assert_eq!(follow.step(empty).await.unwrap().evaluated_to, 40_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_before_a_step_failed_outlives_a_change_of_the_rules() {
        let mut follow = follow().await;
        let found = Transition {
            episode: "e".to_owned(),
            rule: "r".to_owned(),
            labels: Labels::new(),
            dimensions: Labels::new(),
            annotations: Labels::new(),
            to: State::Firing,
            reason: Reason::Condition,
            at: 0,
            active_at: 0,
            fired_at: Some(0),
            value: None,
            fired_before: Vec::new(),
        };
        follow.work.changed.push(found.clone());
        follow.set_rules(Rules::builtin());
        let step = follow.step(Waiting::default()).await.unwrap();
        assert_eq!(step.transitions, [found]);
    }
}
