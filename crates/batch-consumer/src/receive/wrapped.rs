//! Messages that another AWS service has put an envelope around: what they are, and what to set there.

use serde_json::Value;

/// Says what the text is and what the sender can set, if it is the envelope of an AWS service that delivers to queues.
///
/// Forms: SNS developer guide, "Message and JSON formats"; EventBridge user guide, "Event structure reference"; S3
/// user guide, "Event message structure" (read 2026-11-26).
pub(super) fn described(text: &str) -> Option<&'static str> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return None;
    };
    let has = |names: &[&str]| names.iter().all(|name| fields.contains_key(*name));
    if has(&["Type", "TopicArn", "Message"]) {
        Some(
            "an SNS envelope, with the events as a text in its `Message`: enable raw message delivery for the \
             subscription of the queue",
        )
    } else if has(&["detail-type", "source", "detail"]) {
        Some(
            "an EventBridge envelope, with the event in its `detail`: set the input path of the rule's target to \
             `$.detail`",
        )
    } else if has(&["Service", "Event", "Bucket"]) || of_records(fields.get("Records")) {
        Some("a notification of an AWS service, which holds no event: let it go to another queue")
    } else {
        None
    }
}

/// Whether these are the records of a notification, such as S3's: each names the service that it comes from.
fn of_records(records: Option<&Value>) -> bool {
    let first = records.and_then(|records| records.get(0));
    first.is_some_and(|record| record.get("eventSource").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_told_from_events_with_what_to_set() {
        let told = |text: &str| described(text).unwrap_or_default();
        let sns =
            r#"{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:x","Message":"{}"}"#;
        assert!(told(sns).contains("raw message delivery"));
        let bridge = r#"{"version":"0","id":"1","detail-type":"reading","source":"my.app","detail":{"a":1}}"#;
        assert!(told(bridge).contains("`$.detail`"));
        let s3 = r#"{"Records":[{"eventSource":"aws:s3","s3":{}}]}"#;
        assert!(told(s3).contains("another queue"));
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#;
        assert!(told(test).contains("another queue"));
        for event in [
            "{}",
            "[]",
            "no JSON",
            r#"{"source":"pmgen","entity_id":"x"}"#,
            r#"{"Records":[]}"#,
        ] {
            assert_eq!(described(event), None, "{event}");
        }
    }
}
