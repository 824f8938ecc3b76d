//! What a campaign attacks.

use clap::ValueEnum;

use crate::alerts;
use crate::attack::Attack;
use crate::plan::RunPlan;

/// What a campaign attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Subject {
    /// From ingest to the lake and its readers.
    #[default]
    Pipeline,
    /// The service `alerts`: rules over what lands, and notifications.
    Alerts,
}

impl Subject {
    /// The plan of a seed.
    pub fn plan(self, seed: u64) -> RunPlan {
        match self {
            Subject::Pipeline => RunPlan::of(seed),
            Subject::Alerts => alerts::plan::run_plan(seed),
        }
    }

    /// The attacks of which each should take place in a campaign of many seeds.
    pub fn attacks(self) -> Vec<Attack> {
        match self {
            Subject::Pipeline => Attack::all(),
            Subject::Alerts => alerts::attacks(),
        }
    }
}
