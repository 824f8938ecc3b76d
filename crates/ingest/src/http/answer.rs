//! The answer to events: how many SQS has, and which were refused and why.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use contract::Rejection;
use futures::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::memory::budget::{Budget, Buffer, Exhausted};

/// Most refused events that an answer lists; `rejected_count` counts them all.
pub const MAX_LISTED: usize = 1_000;

/// Most bytes of the list in one answer: 1,000 refused events take less unless their reasons are long.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes that the lists of all answers take together, until clients have read them.
pub(crate) const LISTS_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that any list may take beside [`LISTS_BYTES`]: clients that leave long answers unread keep nobody from a
/// short one.
const FREE_LIST_BYTES: usize = 4 * 1024;

/// The answer to a post of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Events that are durably in the queue.
    pub accepted: usize,
    /// The first 1,000 refused events; fewer where their reasons take megabytes.
    #[schema(max_items = 1000)]
    pub rejected: Vec<RejectedEvent>,
    /// How many events were refused, those that `rejected` does not list among them.
    pub rejected_count: usize,
    /// Signals that were left out of events which were taken, as their kinds have it (`nulls`, `out_of_range`): the
    /// first 10,000; absent where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10000)]
    pub omitted: Vec<RejectedEvent>,
    /// How many signals were left out; absent where none was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_count: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// An event that was refused, or of which a signal was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedEvent {
    /// The event's place in the body, from 0.
    pub index: usize,
    /// A stable code for what is wrong.
    #[schema(example = "missing_field")]
    pub code: String,
    /// The field at fault; absent where it is the event as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "vehicle_id")]
    pub field: Option<String>,
    /// The reason, for a reader.
    pub message: String,
}

impl RejectedEvent {
    pub(crate) fn new(index: usize, rejection: Rejection) -> RejectedEvent {
        RejectedEvent {
            index,
            code: rejection.code.as_str().to_owned(),
            field: rejection.field,
            message: rejection.message,
        }
    }
}

/// The refused events of an answer while the body is read: as JSON, so that they take little memory.
#[derive(Debug)]
pub(crate) struct RejectedList {
    json: Buffer,
    events: usize,
    /// Signals left out of events that were taken: as JSON, as many as are listed, and all of them.
    omitted: Buffer,
    omitted_listed: usize,
    omitted_count: usize,
}

impl RejectedList {
    /// An empty list, whose memory counts against `lists`.
    pub(crate) fn within(lists: &Budget) -> RejectedList {
        RejectedList {
            json: lists.buffer().with_free(FREE_LIST_BYTES),
            events: 0,
            omitted: lists.buffer().with_free(FREE_LIST_BYTES),
            omitted_listed: 0,
            omitted_count: 0,
        }
    }

    /// Counts a signal that was left out of the event at `index`, and lists it unless the list is full.
    pub(crate) fn omit(&mut self, index: usize, unfit: Rejection) -> Result<(), Exhausted> {
        self.omitted_count += 1;
        list(&mut self.omitted, &mut self.omitted_listed, index, unfit)
    }

    /// Lists the event at `index`; nothing once the list is full.
    pub(crate) fn add(&mut self, index: usize, rejection: Rejection) -> Result<(), Exhausted> {
        list(&mut self.json, &mut self.events, index, rejection)
    }

    /// The answer, an [`Accepted`]. The list keeps its share of the memory until it has been sent.
    pub(crate) fn answer(self, accepted: usize, rejected_count: usize) -> Response {
        let status = if accepted == 0 {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::ACCEPTED
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if rejected_count == 0 && self.omitted_count == 0 {
            let text = format!(r#"{{"accepted":{accepted},"rejected":[],"rejected_count":0}}"#);
            *response.body_mut() = text.into();
            return response;
        }
        // In pieces, so that the list is not copied once more.
        let (before_omitted, end) = if self.omitted_count == 0 {
            (String::new(), "}".to_owned())
        } else {
            let count = self.omitted_count;
            (
                r#","omitted":["#.to_owned(),
                format!(r#"],"omitted_count":{count}}}"#),
            )
        };
        let pieces: [Bytes; 5] = [
            format!(r#"{{"accepted":{accepted},"rejected":["#).into(),
            self.json.into_bytes(),
            format!(r#"],"rejected_count":{rejected_count}{before_omitted}"#).into(),
            self.omitted.into_bytes(),
            end.into(),
        ];
        let length = pieces.iter().map(Bytes::len).sum::<usize>();
        headers.insert(header::CONTENT_LENGTH, length.into());
        let pieces = pieces.map(Ok::<_, Infallible>);
        *response.body_mut() = Body::from_stream(stream::iter(pieces));
        response
    }

    #[cfg(test)]
    pub(crate) fn events(&self) -> Vec<RejectedEvent> {
        let list = [b"[", &self.json[..], b"]"].concat();
        serde_json::from_slice(&list).unwrap()
    }
}

/// Appends to a list in JSON, of which `listed` stand there; nothing once it is full.
fn list(
    json: &mut Buffer,
    listed: &mut usize,
    index: usize,
    rejection: Rejection,
) -> Result<(), Exhausted> {
    if *listed >= MAX_LISTED || json.len() >= MAX_LIST_BYTES {
        return Ok(());
    }
    let mut event = if *listed == 0 { Vec::new() } else { vec![b','] };
    serde_json::to_writer(&mut event, &RejectedEvent::new(index, rejection))
        .expect("texts and numbers can be written as JSON");
    json.append(&event)?;
    *listed += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::{Kinds, parse_sent};
    use http_body_util::BodyExt;

    use super::*;

    fn rejection() -> Rejection {
        let now = "2025-10-04T12:35:00Z".parse().unwrap();
        parse_sent(&Kinds::builtin(), None, r#"{"vehicle_id":"a\"b"}"#, now).unwrap_err()
    }

    async fn read(response: Response) -> Accepted {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn an_answer_lists_each_refused_event() {
        let lists = Budget::new(LISTS_BYTES);
        let none = RejectedList::within(&lists).answer(3, 0);
        assert_eq!(none.status(), StatusCode::ACCEPTED);
        let answer = read(none).await;
        assert_eq!(
            (answer.accepted, answer.rejected, answer.rejected_count),
            (3, vec![], 0)
        );
        let mut listed = RejectedList::within(&lists);
        for index in [1, 4] {
            listed.add(index, rejection()).unwrap();
        }
        let two = listed.answer(0, 2);
        assert_eq!(two.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = read(two).await;
        let expected = [1, 4].map(|index| RejectedEvent::new(index, rejection()));
        assert_eq!(answer.rejected, expected);
        assert_eq!((answer.accepted, answer.rejected_count), (0, 2));
    }

    #[tokio::test]
    async fn signals_left_out_are_listed_beside_the_refused() {
        let lists = Budget::new(LISTS_BYTES);
        let mut listed = RejectedList::within(&lists);
        listed.omit(0, rejection()).unwrap();
        listed.omit(2, rejection()).unwrap();
        let answer = read(listed.answer(3, 0)).await;
        let expected = [0, 2].map(|index| RejectedEvent::new(index, rejection()));
        assert_eq!(
            (answer.omitted, answer.omitted_count),
            (expected.to_vec(), 2)
        );
        assert_eq!((answer.rejected, answer.rejected_count), (vec![], 0));
    }

    #[tokio::test]
    async fn a_long_list_holds_its_memory_until_it_is_sent_and_a_short_one_needs_none() {
        let lists = Budget::new(100_000);
        let mut long = RejectedList::within(&lists);
        let mut fitted = 0;
        while long.add(fitted, rejection()).is_ok() {
            fitted += 1;
        }
        assert!((100..1000).contains(&fitted), "{fitted}");
        let answer = long.answer(1, fitted);
        assert!(lists.used() > 50_000, "{}", lists.used());
        let mut short = RejectedList::within(&lists);
        (0..20).for_each(|index| short.add(index, rejection()).unwrap());
        assert_eq!(read(short.answer(1, 20)).await.rejected.len(), 20);
        drop(answer);
        assert_eq!(lists.used(), 0);
    }
}
