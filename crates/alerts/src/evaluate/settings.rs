//! Bounds and times of evaluation.

/// Bounds and times of evaluation.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatorSettings {
    /// How long after its window end a late event can still change what was found, in milliseconds: as
    /// [`windows::Settings::lateness`].
    pub lateness: i64,
    /// How long an alert must be quiet before it ends once it has fired more than five times within an hour, in
    /// milliseconds; 0 turns the holding off.
    pub flap_quiet: i64,
    /// Most alerts of one rule. Further ones are left out and counted.
    pub most_alerts: usize,
}

impl Default for EvaluatorSettings {
    fn default() -> EvaluatorSettings {
        EvaluatorSettings {
            lateness: 300_000,
            flap_quiet: 900_000,
            most_alerts: 10_000,
        }
    }
}
