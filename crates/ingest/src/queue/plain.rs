//! Events as messages of their own, for `PACKING=none`.

use contract::Pack;

/// Takes lines from the first on, as many as one batch call takes, each as a message of its own. An event has at most
/// [`contract::MAX_EVENT_BYTES`], so ten are far within the bytes of a call. Gives how many bytes of lines were taken.
pub(crate) fn one_by_one(lines: &[u8]) -> std::io::Result<(Vec<Pack>, usize)> {
    let (mut packs, mut bytes) = (Vec::new(), 0);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if packs.len() == aws::MAX_ENTRIES {
            break;
        }
        bytes += line.len();
        let line = std::str::from_utf8(line).map_err(std::io::Error::other)?;
        packs.push(Pack {
            body: sendable(line.trim_end_matches('\n')),
            events: 1,
        });
    }
    Ok((packs, bytes))
}

/// The line with what SQS refuses written as JSON escapes. Of the characters that JSON takes unescaped, SQS refuses
/// U+FFFE and U+FFFF alone; they stand in texts only, where an escape means the same (SQS API reference,
/// `SendMessageBatch`, read 2026-11-26).
fn sendable(line: &str) -> String {
    // Both begin with these two bytes, as do few other characters.
    let suspect = line.as_bytes().windows(2).any(|two| two == [0xef, 0xbf]);
    if suspect {
        line.replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let text = "{\"a\":\"\u{fffd}\u{fffe}b\u{ffff}\u{10ffff}\"}\n";
        let (packs, bytes) = one_by_one(text.as_bytes()).unwrap();
        assert_eq!(bytes, text.len());
        assert_eq!(
            packs[0].body,
            "{\"a\":\"\u{fffd}\\ufffeb\\uffff\u{10ffff}\"}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&packs[0].body), value(text));
    }
}
