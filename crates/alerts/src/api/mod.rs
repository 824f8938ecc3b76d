//! The HTTP side: Prometheus' rules and alerts, Alertmanager's alerts, groups and silences, and our deliveries and
//! acknowledgements. Requests come in, each with a key; silences, acknowledgements and retries are recorded in the log
//! before they are answered.

mod alerts;
mod deliveries;
mod figures;
mod openapi;
mod parameters;
mod prometheus;
mod refusal;
mod router;
mod rules_view;
mod silences;
mod state;
mod status;

pub use figures::QueueFigures;
pub(crate) use refusal::Refusal;
pub use refusal::{ErrorBody, ErrorDetail};
pub use router::{document, router};
pub use rules_view::{RuleGroup, RuleView, RulesView};
pub use state::ApiState;
