//! Attributes of a queue: defaults, ranges, redrive policies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::error::SqsError;

/// Largest message, and largest sum of a batch, in bytes (SQS quotas, since August 2025).
pub(crate) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Attributes with a number: name, default, least and most (`SetQueueAttributes`, API reference).
const NUMBERS: [(&str, u64, u64, u64); 5] = [
    ("VisibilityTimeout", 30, 0, 43_200),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("DelaySeconds", 0, 0, 900),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    (
        "MaximumMessageSize",
        MAX_MESSAGE_BYTES as u64,
        1_024,
        MAX_MESSAGE_BYTES as u64,
    ),
];

/// Attributes that are stored and returned, and have no effect.
const KEPT: [&str; 5] = [
    "Policy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) visibility: Duration,
    pub(crate) retention: Duration,
    pub(crate) delay: Duration,
    pub(crate) wait: Duration,
    pub(crate) max_message_bytes: usize,
    pub(crate) redrive: Option<Redrive>,
}

/// The dead-letter queue, for messages received `max_receive_count` times and not deleted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Redrive {
    pub(crate) target_arn: String,
    pub(crate) max_receive_count: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&BTreeMap::new())
    }
}

impl Settings {
    /// Reads attributes that [`check`] has passed; a missing one has its default.
    pub(crate) fn read(attributes: &BTreeMap<String, String>) -> Self {
        let number = |wanted: &str| {
            let given = attributes.get(wanted).and_then(|text| text.parse().ok());
            let default = NUMBERS.iter().find(|(name, ..)| *name == wanted);
            given
                .or(default.map(|(_, default, ..)| *default))
                .unwrap_or_default()
        };
        let seconds = |name| Duration::from_secs(number(name));
        Self {
            visibility: seconds("VisibilityTimeout"),
            retention: seconds("MessageRetentionPeriod"),
            delay: seconds("DelaySeconds"),
            wait: seconds("ReceiveMessageWaitTimeSeconds"),
            max_message_bytes: usize::try_from(number("MaximumMessageSize"))
                .unwrap_or(MAX_MESSAGE_BYTES),
            redrive: attributes
                .get("RedrivePolicy")
                .and_then(|text| parse_redrive(text)),
        }
    }
}

/// All attributes with their defaults, as `GetQueueAttributes` answers them.
pub(crate) fn with_defaults(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let numbers = NUMBERS
        .iter()
        .map(|(name, default, ..)| ((*name).to_owned(), default.to_string()));
    let mut all: BTreeMap<_, _> = numbers.collect();
    all.insert("SqsManagedSseEnabled".to_owned(), "true".to_owned());
    all.extend(given.clone());
    all
}

/// Whether an attribute of this name exists, apart from those the service computes.
pub(crate) fn is_settable(name: &str) -> bool {
    NUMBERS.iter().any(|(known, ..)| *known == name)
        || KEPT.contains(&name)
        || name == "RedrivePolicy"
}

/// Checks names and values, but not that the dead-letter queue exists.
pub(crate) fn check(attributes: &BTreeMap<String, String>) -> Result<(), SqsError> {
    for (name, value) in attributes {
        if matches!(
            name.as_str(),
            "FifoQueue" | "ContentBasedDeduplication" | "DeduplicationScope"
        ) {
            return Err(SqsError::unsupported(
                "FIFO queues are not emulated, standard queues only.",
            ));
        }
        if !is_settable(name) {
            return Err(SqsError::new(
                "InvalidAttributeName",
                format!("Unknown Attribute {name}."),
            ));
        }
        if let Some((_, _, least, most)) = NUMBERS.iter().find(|(known, ..)| known == name) {
            let in_range = value
                .parse()
                .is_ok_and(|n: u64| (*least..=*most).contains(&n));
            if !in_range {
                return Err(SqsError::invalid_attribute(name));
            }
        }
        if name == "RedrivePolicy" && !value.is_empty() && parse_redrive(value).is_none() {
            return Err(SqsError::invalid_parameter(
                "RedrivePolicy",
                value,
                "It must hold deadLetterTargetArn and maxReceiveCount (1 to 1000).",
            ));
        }
    }
    Ok(())
}

/// Reads `{"deadLetterTargetArn":"arn:…","maxReceiveCount":"5"}`, the count as text or number.
fn parse_redrive(text: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(text).ok()?;
    let count = match policy.get("maxReceiveCount")? {
        Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    Some(Redrive {
        target_arn: policy.get("deadLetterTargetArn")?.as_str()?.to_owned(),
        max_receive_count: u32::try_from(count)
            .ok()
            .filter(|n| (1..=1000).contains(n))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert!(check(&one("VisibilityTimeout", "43200")).is_ok());
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("VisibilityTimeout", "-1"),
            ("DelaySeconds", "901"),
            ("MessageRetentionPeriod", "59"),
            ("MaximumMessageSize", "1048577"),
            ("ReceiveMessageWaitTimeSeconds", "soon"),
        ] {
            assert!(check(&one(name, value)).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn a_redrive_policy_takes_its_count_as_text_or_number() {
        for count in ["3", "\"3\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"arn:x","maxReceiveCount":{count}}}"#);
            let redrive = Settings::read(&one("RedrivePolicy", &text)).redrive;
            assert_eq!(redrive.map(|redrive| redrive.max_receive_count), Some(3));
        }
        assert!(check(&one("RedrivePolicy", r#"{"maxReceiveCount":3}"#)).is_err());
    }
}
