//! CloudWatch metrics as log lines: the embedded metric format on stdout, which CloudWatch Logs turns into metrics.
//!
//! The values come from the Prometheus recorder, so that both say the same. A crate that records for this format
//! keeps a hundred samples of a histogram between two lines and drops the rest; the recorder's buckets hold all.
//!
//! Format: CloudWatch embedded metric format specification, read 2026-11-21.

mod exported;
mod line;
mod settings;

use std::io::Write;
use std::time::Duration;

use chrono::Utc;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::emf::line::{Before, lines};

pub use exported::{Exported, Tell};
pub use settings::{EmfSettings, Metrics};

/// Time between two lines: CloudWatch keeps a minute as its finest ordinary period.
const MINUTE: Duration = Duration::from_secs(60);

/// Exports what is new in the recorder since the lines before. With `METRICS=prometheus` it exports nothing.
#[derive(Debug)]
pub struct Emf<U> {
    exported: &'static [Exported],
    namespace: String,
    recorder: PrometheusHandle,
    update: U,
    before: Before,
}

impl<U: Fn()> Emf<U> {
    /// Exports these metrics of the recorder. `update` is called before the lines are made, for metrics that are
    /// counted elsewhere, such as by a request meter.
    pub fn new(
        settings: &EmfSettings,
        exported: &'static [Exported],
        recorder: PrometheusHandle,
        update: U,
    ) -> Emf<U> {
        let exported = match settings.metrics {
            Metrics::Prometheus => &[],
            Metrics::Emf => exported,
        };
        Emf {
            exported,
            namespace: settings.metrics_namespace.clone(),
            recorder,
            update,
            before: Before::new(),
        }
    }

    /// Writes lines each minute, and never returns.
    pub async fn each_minute(&mut self) {
        loop {
            tokio::time::sleep(MINUTE).await;
            self.print();
        }
    }

    /// Writes lines to stdout now. A line that cannot be written is lost without notice.
    pub fn print(&mut self) {
        if self.exported.is_empty() {
            return;
        }
        (self.update)();
        let prometheus = self.recorder.render();
        let mut out = std::io::stdout().lock();
        for line in lines(self.exported, &mut self.before, &prometheus) {
            let _ = writeln!(out, "{}", line.json(&self.namespace, Utc::now()));
        }
        let _ = out.flush();
    }
}
