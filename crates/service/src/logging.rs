//! Log lines on stderr: logfmt for people, JSON for machines.
//!
//! The logfmt lines are formatted here because their form is fixed, down to the order: `INFO time=… event=write_batch
//! size=100 … msg="…"`. The level comes first and without a name, then the time in UTC with milliseconds, the event,
//! the other fields in the order of the call, and the sentence last. Crates that write logfmt have names and an order
//! of their own, such as `ts=… level=info target=…`.

use std::env::VarError;
use std::error::Error;
use std::fmt::{self, Write};
use std::io;

use chrono::{SecondsFormat, Utc};
use clap::ValueEnum;
use indicatif::ProgressBar;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FromEnvError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// `INFO time=… event=… field=value …`
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to stderr from level info on, or as `RUST_LOG` says. If `RUST_LOG` cannot be read, a line says so
/// and level info holds. A second call in a process changes nothing.
pub fn init(format: LogFormat) {
    init_to(format, "info", io::stderr);
}

/// Sends log lines of level warn and above to stderr, above the bar.
pub fn init_above(bar: &ProgressBar) {
    let bar = bar.clone();
    init_to(LogFormat::Logfmt, "warn", move || Above(bar.clone()));
}

/// Whether `RUST_LOG` says what is logged.
pub fn is_asked_for() -> bool {
    match EnvFilter::try_from_default_env() {
        Ok(_) => true,
        Err(error) => unreadable(&error).is_some(),
    }
}

fn init_to<W>(format: LogFormat, level: &str, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, unreadable) = match EnvFilter::try_from_default_env() {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(level), unreadable(&error)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    // An error means that a subscriber is there already, as in tests: the first one stays.
    let _ = match format {
        LogFormat::Logfmt => lines.with_ansi(false).event_format(Logfmt).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Some(error) = unreadable {
        tracing::warn!(
            event = "rust_log_unreadable",
            error,
            "cannot read RUST_LOG: logging from level info on"
        );
    }
}

/// Writes to stderr while the bar is taken off the terminal.
struct Above(ProgressBar);

impl io::Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What is wrong with `RUST_LOG`; `None` if it is not set.
fn unreadable(error: &FromEnvError) -> Option<String> {
    let absent = error.source().is_some_and(|source| source.is::<VarError>());
    (!absent).then(|| error.to_string())
}

/// Writes `LEVEL time=… event=… name=value … msg="…"`.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        writeln!(out, "{}", line.finish(*event.metadata().level(), &time))
    }
}

/// The parts of one line.
#[derive(Default)]
struct Line {
    event: Option<String>,
    message: Option<String>,
    fields: String,
}

impl Line {
    fn put(&mut self, name: &str, value: String) {
        match name {
            "event" => self.event = Some(value),
            "message" => self.message = Some(value),
            _ => append(&mut self.fields, name, &value),
        }
    }

    fn finish(self, level: tracing::Level, time: &str) -> String {
        let mut line = format!("{level} time={time}");
        if let Some(event) = &self.event {
            append(&mut line, "event", event);
        }
        line.push_str(&self.fields);
        if let Some(message) = &self.message {
            append(&mut line, "msg", message);
        }
        line
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.to_owned());
    }
}

/// Appends ` name=value`, in quotes where the value would not be read as one word.
fn append(line: &mut String, name: &str, value: &str) {
    let plain = !value.is_empty()
        && !value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=');
    // Writing to a `String` cannot fail.
    let _ = if plain {
        write!(line, " {name}={value}")
    } else {
        write!(line, " {name}={value:?}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_level_time_event_fields_message() {
        let mut line = Line::default();
        line.put("message", "wrote 100 events".into());
        line.put("size", "100".into());
        line.put("event", "write_batch".into());
        line.put("latency_p50", "12ms".into());
        line.put("key", "a \"b\"".into());
        assert_eq!(
            line.finish(tracing::Level::INFO, "2025-10-04T12:34:56.200Z"),
            "INFO time=2025-10-04T12:34:56.200Z event=write_batch size=100 latency_p50=12ms key=\"a \\\"b\\\"\" msg=\"wrote 100 events\""
        );
    }
}
