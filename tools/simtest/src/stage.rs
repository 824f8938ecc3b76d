//! How far a commit is, told by the requests that the aggregator makes for it.

use crate::attack::Moment;

/// How far the aggregator was with a commit when it was killed; another finishes the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The intent was written.
    Intent,
    /// Raw objects were being read.
    Spill,
    /// The plan was written.
    Plan,
    /// Lines of hours that are put off were being written.
    PutOff,
    /// Parts and aggregates were being written.
    Hours,
    /// All was written but the mark that the commit is done.
    Done,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 6] = [
        Stage::Intent,
        Stage::Spill,
        Stage::Plan,
        Stage::PutOff,
        Stage::Hours,
        Stage::Done,
    ];

    /// The stage that a request of the aggregator shows, such as `PUT lake/_commits/0000000001.json`.
    pub fn of(request: &str, moment: Moment) -> Option<Stage> {
        let (method, key) = request.split_once(" lake/")?;
        let key = key.split(' ').next().unwrap_or_default();
        let took_effect = moment == Moment::AfterEffect;
        match (method, key.split('/').next()?) {
            ("GET", "raw") => Some(Stage::Spill),
            ("PUT", "raw") => Some(Stage::PutOff),
            ("PUT", "curated" | "aggregates") => Some(Stage::Hours),
            ("PUT", "_commits") if key.ends_with(".done.json") => {
                (!took_effect).then_some(Stage::Done)
            }
            ("PUT", "_commits") if key.ends_with(".plan.json") => {
                took_effect.then_some(Stage::Plan)
            }
            ("PUT", "_commits") if key.starts_with("_commits/0") => {
                took_effect.then_some(Stage::Intent)
            }
            _ => None,
        }
    }

    /// The moment at which a request that a commit makes once shows a stage; most requests of a commit are its reads.
    pub fn once(request: &str) -> Option<(Stage, Moment)> {
        let moments = [Moment::BeforeRequest, Moment::AfterEffect];
        moments.into_iter().find_map(|moment| {
            let stage = Stage::of(request, moment)?;
            matches!(stage, Stage::Intent | Stage::Plan | Stage::Done).then_some((stage, moment))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Intent => "after_intent",
            Stage::Spill => "during_spill",
            Stage::Plan => "after_plan",
            Stage::PutOff => "during_put_off",
            Stage::Hours => "between_hours",
            Stage::Done => "before_done",
        }
    }
}
