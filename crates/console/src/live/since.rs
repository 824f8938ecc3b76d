//! Up to where a client that comes back has been sent all.

use serde_json::Value;

/// A number that the server gave, and which start of the server gave it, where the client says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since {
    boot: Option<String>,
    seq: u64,
}

impl Since {
    /// Reads `17`, `"17"`, or `"<boot>-17"` as the ids of Server-Sent Events are.
    pub(crate) fn parse(text: &str) -> Option<Since> {
        let (boot, seq) = match text.rsplit_once('-') {
            Some((boot, seq)) => (Some(boot.to_owned()), seq),
            None => (None, text),
        };
        let seq = seq.parse().ok()?;
        Since::new(boot, seq)
    }

    /// None for 0, which no message has: the client has been sent nothing.
    fn new(boot: Option<String>, seq: u64) -> Option<Since> {
        (seq > 0).then_some(Since { boot, seq })
    }

    pub(crate) fn of_json(sent: &Value) -> Option<Since> {
        match sent {
            Value::Number(number) => Since::new(None, number.as_u64()?),
            Value::String(text) => Since::parse(text),
            _ => None,
        }
    }

    /// The number, and whether it is surely of another start than `boot`, which has come to `now`.
    pub(crate) fn number(&self, boot: &str, now: u64) -> (u64, bool) {
        let is_other = self.boot.as_deref().is_some_and(|own| own != boot);
        (self.seq, is_other || self.seq > now)
    }
}

/// The id of a Server-Sent Event.
pub(crate) fn id(boot: &str, seq: u64) -> String {
    format!("{boot}-{seq}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_known_to_be_of_another_start() {
        let parsed = Since::parse(&id("ab12", 7)).unwrap();
        assert_eq!(parsed.number("ab12", 9), (7, false));
        assert_eq!(parsed.number("cd34", 9), (7, true));
        assert_eq!(parsed.number("ab12", 6), (7, true));
        assert_eq!(Since::of_json(&json!(7)), Since::parse("7"));
        for wrong in [
            json!(-1),
            json!("x"),
            json!("ab-"),
            json!(null),
            json!(1.5),
            json!(0),
        ] {
            assert_eq!(Since::of_json(&wrong), None, "{wrong}");
        }
    }
}
