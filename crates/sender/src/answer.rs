//! What ingest answers, and what it means for each event.

use serde::Deserialize;

use super::http::HttpError;

/// What became of the events of one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Positions in the post of the events that are accepted, and so durable.
    pub accepted: Vec<usize>,
    /// The events that are refused; sending them again would change nothing.
    pub rejected: Vec<Rejected>,
    /// How often the post went out: 1 unless it was retried.
    pub attempts: u32,
}

/// A refused event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rejected {
    /// The position in the post, counted from 0.
    pub index: usize,
    /// The stable code: `missing_field`.
    pub code: String,
    /// The reason, for a reader.
    #[serde(default)]
    pub message: String,
}

/// A post without an answer for each of its events.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// No connection, or none that lasted, until the time for retries was over. What was sent may
    /// have been accepted; sent again, it is the same event.
    #[error("cannot reach ingest at {url} (attempts: {attempts})")]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// Attempts in all.
        attempts: u32,
        /// The last failure.
        #[source]
        source: HttpError,
    },
    /// `429` or `503` until the time for retries was over. After a `503` events may have been accepted
    /// all the same; sent again, they are the same events.
    #[error("ingest still answers {status} (attempts: {attempts}): {message}")]
    Overloaded {
        /// `429` or `503`.
        status: u16,
        /// Attempts in all.
        attempts: u32,
        /// What it said.
        message: String,
    },
    /// The whole post was refused, such as for a wrong key: sending it again would change nothing.
    #[error("ingest answers {status}: {message}")]
    Refused {
        /// The status, such as `401`.
        status: u16,
        /// What it said.
        message: String,
    },
    /// An answer that is not one of ingest's: something else listens there, or it is broken.
    #[error("ingest answers {status} with a body that cannot be understood: {message}")]
    Unreadable {
        /// The status.
        status: u16,
        /// What is wrong with it.
        message: String,
    },
}

impl PostError {
    /// What a user can do about it; absent where the error says all.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            PostError::Unreachable { .. } => Some(
                "start it with `API_KEYS=… cargo run -p ingest`, or say by --ingest-url where it is",
            ),
            PostError::Overloaded { .. } => Some(
                "ingest or its queue is overloaded: lower --rate or --connections, or raise --retry-for",
            ),
            PostError::Refused {
                status: 401 | 403, ..
            } => Some("send one of the keys that ingest was started with (API_KEYS)"),
            PostError::Refused {
                status: 404 | 405, ..
            }
            | PostError::Unreadable { .. } => Some(
                "something else than ingest answers there: say by --ingest-url where ingest is",
            ),
            PostError::Refused { .. } => None,
        }
    }
}

#[derive(Deserialize)]
struct AnswerBody {
    accepted: usize,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

/// The body of an answer that refuses a post as a whole.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    message: String,
}

/// Code and words of a refusal; of one that is not ingest's own, as from a proxy, its first words.
pub(crate) fn refusal(text: &str) -> (Option<String>, String) {
    match serde_json::from_str::<Refusal>(text) {
        Ok(Refusal { error }) => (Some(error.code), error.message),
        Err(_) => (None, text.chars().take(200).collect()),
    }
}

pub(crate) fn read_answer(text: &str, events: usize, attempts: u32) -> Result<Answer, String> {
    let body: AnswerBody = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut refused = vec![false; events];
    for rejected in &body.rejected {
        match refused.get_mut(rejected.index) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                return Err(format!(
                    "it refuses event {} of {events}, or refuses it twice",
                    rejected.index
                ));
            }
        }
    }
    let accepted: Vec<usize> = (0..events).filter(|index| !refused[*index]).collect();
    if body.accepted != accepted.len() {
        return Err(format!(
            "it accepts {} and refuses {} of {events} events",
            body.accepted,
            body.rejected.len()
        ));
    }
    Ok(Answer {
        accepted,
        rejected: body.rejected,
        attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_account_for_each_event() {
        let read = |text: &str| read_answer(text, 3, 1);
        let some =
            read(r#"{"accepted":2,"rejected":[{"index":1,"code":"missing_field","message":"x"}]}"#)
                .unwrap();
        assert_eq!((some.accepted, some.rejected[0].index), (vec![0, 2], 1));
        assert_eq!(read(r#"{"accepted":3}"#).unwrap().accepted, [0, 1, 2]);
        for wrong in [
            r#"{"accepted":2,"rejected":[]}"#,
            r#"{"accepted":2,"rejected":[{"index":3,"code":"x"}]}"#,
            r#"{"accepted":1,"rejected":[{"index":1,"code":"x"},{"index":1,"code":"x"}]}"#,
            "<html>",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
