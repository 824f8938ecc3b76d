//! Progress on stderr, in one style, and texts of others that are safe to print. No progress is drawn where stderr is
//! no terminal.

use std::time::Duration;

use indicatif::ProgressStyle;
pub use indicatif::{HumanCount, ProgressBar};

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

/// A line that is written over in place, with a message as wide as the terminal. It is drawn from its first message on,
/// and hidden where stderr is no terminal.
pub fn status_line() -> ProgressBar {
    styled(ProgressBar::new_spinner(), "{spinner} {wide_msg}")
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

/// The text with what steers a terminal or hides itself escaped, as in `\u{202e}`: control characters other than line
/// feed and tab, marks that turn the direction of writing, and characters without width. For ids and texts that anybody
/// may have sent.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control() && !matches!(c, '\n' | '\t');
        if steers || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether the character is a separator of lines or a format character: general categories Zl, Zp and Cf (Unicode 17).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn texts_of_others_neither_steer_the_terminal_nor_hide_themselves() {
        assert_eq!(printable("a\u{1b}[31mb\r"), "a\\u{1b}[31mb\\r");
        assert_eq!(printable("veh\u{202e}7\u{200b}"), "veh\\u{202e}7\\u{200b}");
        assert_eq!(printable("a\u{2028}b\u{e0041}"), "a\\u{2028}b\\u{e0041}");
        let plain = "äöü 車両\t\"\\\n";
        assert_eq!(printable(plain), plain);
    }
}
