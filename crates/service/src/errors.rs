//! Errors in words.

use std::error::Error;

/// The error and its causes on one line: `cannot reach ingest: connection refused`. A cause whose words end the line
/// already is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let error = anyhow!("refused").context("cannot post: refused");
        assert_eq!(
            chain(&*error.context("no verdict")),
            "no verdict: cannot post: refused"
        );
    }
}
