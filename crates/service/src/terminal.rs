//! Progress on stderr, in one style. Nothing is drawn where stderr is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two turns of a spinner.
const TURN: Duration = Duration::from_millis(200);

/// A bar towards `length` units of the task: `sending ████░░ 12/100 events, 3/s, 29s left`. A length that is not known
/// yet is 0, and set later.
pub fn bar(task: &str, length: u64, unit: &str) -> ProgressBar {
    styled(
        ProgressBar::new(length),
        &format!("{task} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}"),
    )
}

/// A bar towards `length` bytes of the task: `reading ████░░ 1.20 MiB/9.54 MiB, 29s left`.
pub fn bar_of_bytes(task: &str, length: u64) -> ProgressBar {
    styled(
        ProgressBar::new(length),
        &format!("{task} {{wide_bar}} {{bytes}}/{{total_bytes}}, {{eta}} left {{msg}}"),
    )
}

/// A spinner before its message and the time since it was made; it turns until it is finished or dropped.
pub fn spinner() -> ProgressBar {
    let spinner = styled(ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}");
    spinner.enable_steady_tick(TURN);
    spinner
}

/// Told how far a long reading has come.
pub trait Progress: Send + Sync {
    /// `done` of `all` objects are read; `all` may grow.
    fn objects(&self, done: u64, all: u64);
}

/// For a caller who does not ask.
impl Progress for () {
    fn objects(&self, _: u64, _: u64) {}
}

impl Progress for ProgressBar {
    fn objects(&self, done: u64, all: u64) {
        self.set_length(all);
        self.set_position(done);
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(ProgressStyle::with_template(template).expect("the templates above are valid"))
}
