//! The bytes of all posts, made before the first one is sent.

use std::io::Write;

/// The key that the services under test take.
pub(crate) const API_KEY: &str = "bench-key-0001";

/// Whole HTTP requests, one after the other.
pub(super) struct Posts {
    bytes: Vec<u8>,
    /// For each post, where it begins in `bytes` and its number of events.
    marks: Vec<(usize, u64)>,
}

impl Posts {
    /// Cuts `events`, one a line, into posts of `batch` (the last may have fewer): NDJSON, or one
    /// JSON object where `batch` is 1.
    pub(super) fn new(events: &[u8], batch: usize) -> Posts {
        let lines = events.iter().filter(|byte| **byte == b'\n').count();
        let heads = lines.div_ceil(batch.max(1)) * 160;
        let mut posts = Posts {
            bytes: Vec::with_capacity(events.len() + heads),
            marks: Vec::new(),
        };
        let content_type = match batch {
            1 => "application/json",
            _ => "application/x-ndjson",
        };
        let (mut rest, mut count, mut at) = (events, 0, 0);
        while at < rest.len() {
            at += rest[at..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(rest.len() - at, |end| end + 1);
            count += 1;
            if count == batch as u64 || at == rest.len() {
                posts.push(&rest[..at], content_type, count);
                (rest, count, at) = (&rest[at..], 0, 0);
            }
        }
        posts
    }

    fn push(&mut self, body: &[u8], content_type: &str, events: u64) {
        self.marks.push((self.bytes.len(), events));
        // Writing to a `Vec` cannot fail.
        let _ = write!(
            self.bytes,
            "POST /v1/events/vehicle HTTP/1.1\r\nhost: bench\r\nx-api-key: {API_KEY}\r\n\
             content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.bytes.extend_from_slice(body);
    }

    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The bytes of a post and its number of events. `number` wraps around after the last post.
    pub(super) fn get(&self, number: u64) -> (&[u8], u64) {
        let at = (number % self.marks.len() as u64) as usize;
        let (start, events) = self.marks[at];
        let end = self
            .marks
            .get(at + 1)
            .map_or(self.bytes.len(), |(next, _)| *next);
        (&self.bytes[start..end], events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_hold_all_lines_in_order_and_come_round_again() {
        let posts = Posts::new(b"{1}\n{22}\n{333}\n", 2);
        assert_eq!(posts.len(), 2);
        let bodies: Vec<_> = (0..3)
            .map(|number| {
                let (post, events) = posts.get(number);
                let text = std::str::from_utf8(post).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.ends_with(&format!("content-length: {}", body.len())));
                assert!(head.contains("application/x-ndjson"));
                (body.to_owned(), events)
            })
            .collect();
        assert_eq!(bodies[0], ("{1}\n{22}\n".to_owned(), 2));
        assert_eq!(bodies[1], ("{333}\n".to_owned(), 1));
        assert_eq!(bodies[2], bodies[0]);
    }

    #[test]
    fn one_event_a_post_is_json() {
        let posts = Posts::new(b"{1}\n{2}", 1);
        let text = String::from_utf8(posts.get(1).0.to_vec()).unwrap();
        assert!(text.contains("application/json") && text.ends_with("{2}"));
        assert!(Posts::new(b"", 5).is_empty());
    }
}
