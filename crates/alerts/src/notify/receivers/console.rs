//! A line on the console for each alert.

use crate::notify::message::{Message, MessageAlert, one_line};

/// `[ALERT] cpu_usage avg(60s) > 80.0 (current: 85.0)`: the alert's name, its annotation `condition` or else what it
/// says, and its value. `[RESOLVED]` when it is over.
pub(super) fn lines(message: &Message) -> Vec<String> {
    let mut lines: Vec<String> = message.alerts.iter().map(line).collect();
    if message.truncated_alerts > 0 {
        lines.push(format!("[ALERT] and {} more", message.truncated_alerts));
    }
    lines
}

fn line(alert: &MessageAlert) -> String {
    let says = alert
        .annotations
        .get("condition")
        .cloned()
        .unwrap_or_else(|| alert.line());
    let mark = if alert.status == "firing" {
        "ALERT"
    } else {
        "RESOLVED"
    };
    let mut line = format!("[{mark}] {} {says}", alert.name());
    if let Some(value) = alert.value {
        line += &format!(" (current: {value:?})");
    }
    one_line(&line)
}
