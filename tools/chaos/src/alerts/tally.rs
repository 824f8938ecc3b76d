//! What the receivers have taken.

use std::collections::BTreeMap;

use serde_json::Value;

use super::receivers::{CHANNELS, CUTS};

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    channel: String,
    id: String,
    entity: String,
    status: String,
}

impl Message {
    /// The first alert of a webhook's body; empty texts where it has none.
    pub(crate) fn read(channel: &str, id: &str, body: &[u8]) -> Message {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let alert = &body["alerts"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Message {
            channel: channel.to_owned(),
            id: id.to_owned(),
            entity: text(&alert["labels"]["entity_id"]),
            status: text(&alert["status"]),
        }
    }
}

/// All messages, by entity in the order in which they came: status, and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counted: BTreeMap<(String, String), Vec<(String, String)>>,
    /// Ids of what the other receivers took.
    others: Vec<(String, String)>,
}

/// What the tally comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Different messages.
    pub(crate) delivered: usize,
    /// Messages that came again, with the id of the first.
    pub(crate) repeats: usize,
    /// Those of `repeats` that a receiver caused, which took a message and cut the connection.
    pub(crate) by_cuts: usize,
    /// Messages that came again with another id.
    pub(crate) other_ids: usize,
    /// Entities of which the end was told before the beginning.
    pub(crate) out_of_order: usize,
}

impl Tally {
    /// Takes in a message; false if its receiver is not counted.
    pub(crate) fn add(&mut self, message: Message) -> bool {
        if !CHANNELS.contains(&&*message.channel) {
            self.others.push((message.channel, message.id));
            return false;
        }
        let key = (message.channel, message.entity);
        let told = (message.status, message.id);
        self.counted.entry(key).or_default().push(told);
        true
    }

    /// Whether another receiver has taken a message with this id.
    pub(crate) fn has_other(&self, channel: &str, id: &str) -> bool {
        self.others
            .iter()
            .any(|other| other.0 == channel && other.1 == id)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for ((channel, _), told) in &self.counted {
            let mut first: BTreeMap<&str, &str> = BTreeMap::new();
            for (status, id) in told {
                match first.get(&**status) {
                    None => {
                        counts.out_of_order +=
                            usize::from(status == "resolved" && first.is_empty());
                        first.insert(status, id);
                    }
                    Some(known) if known == id => {
                        counts.repeats += 1;
                        counts.by_cuts += usize::from(channel == CUTS);
                    }
                    Some(_) => counts.other_ids += 1,
                }
            }
            counts.delivered += first.len();
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_other_ids_are_told_apart() {
        let mut tally = Tally::default();
        let mut add = |channel: &str, entity: &str, status: &str, id: &str| {
            let labels = serde_json::json!({"entity_id": entity});
            let body = serde_json::json!({"alerts": [{"labels": labels, "status": status}]});
            tally.add(Message::read(channel, id, body.to_string().as_bytes()))
        };
        for (entity, status, id) in [
            ("a", "firing", "1"),
            ("a", "firing", "1"),
            ("a", "resolved", "2"),
            ("b", "resolved", "3"),
            ("b", "resolved", "4"),
        ] {
            assert!(add("good", entity, status, id));
        }
        assert!(add(CUTS, "c", "firing", "5"));
        assert!(add(CUTS, "c", "firing", "5"));
        assert!(!add("states", "d", "firing", "6"));
        let counts = Counts {
            delivered: 4,
            repeats: 2,
            by_cuts: 1,
            other_ids: 1,
            out_of_order: 1,
        };
        assert_eq!(tally.counts(), counts);
        assert!(tally.has_other("states", "6"));
    }
}
