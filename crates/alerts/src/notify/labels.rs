//! Labels as Alertmanager writes and hashes them.

use std::fmt::Write;

use crate::model::Labels;

/// `{a="x", b="y"}`, as Alertmanager writes labels in group keys.
pub(crate) fn format_labels(labels: &Labels) -> String {
    let mut text = String::from("{");
    for (place, (name, value)) in labels.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{comma}{name}={value:?}");
    }
    text.push('}');
    text
}

/// Alertmanager's fingerprint of labels: FNV-1a of 64 bits over names and values, sorted by name, each followed by the
/// byte 255 (source: prometheus/common, `model/fnv.go` and `model/signature.go`).
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        text.bytes().for_each(&mut add);
        add(255);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_alertmanager() {
        let labels = Labels::from([
            ("severity".into(), "warning".into()),
            ("job".into(), "foo".into()),
        ]);
        assert_eq!(fingerprint(&labels), "9266ef3da838ad95");
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
    }
}
