//! Evaluation: windows come in, transitions of alerts go out. Time is event time, and a rule is looked at as of each
//! window's end, so that the same events give the same transitions, whenever and however often they are evaluated.

mod alert;
mod early;
mod evaluator;
mod late;
mod needs;
mod restore;
mod results;
mod settings;
mod slot;

pub use evaluator::Evaluator;
pub use needs::{signals_of, windows_for};
pub use settings::EvaluatorSettings;

#[cfg(test)]
mod labels_tests;
#[cfg(test)]
mod late_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
