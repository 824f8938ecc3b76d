//! Reads a request's body, within its bounds of size, time and memory.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::http::{HeaderMap, Request, Version, header};
use bytes::Bytes;
use contract::Format;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::http::refusal::Refusal;
use crate::memory::budget::Buffer;

/// Longest time to read on after a refusal, so that the client sees the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A group waits for a body that is arriving for at most this long.
const PROMPT: Duration = Duration::from_millis(100);

/// Free bytes of the budget for each byte of `content-length`, for a body to be read at all: for the body, and for the
/// lines that it becomes.
const ROOM_PER_BYTE: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// Snappy's block format, of remote write alone.
    Snappy,
}

/// The format that `content-type` names; JSON if there is none.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(sent) = all(headers, header::CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let essence = sent
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/json" | "text/json" => Ok(Format::Json),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines" => Ok(Format::Ndjson),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Format::Json),
        _ => Err(Refusal::UnsupportedType(shown(&sent))),
    }
}

/// The compression that `content-encoding` names.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(sent) = all(headers, header::CONTENT_ENCODING) else {
        return Ok(Encoding::Identity);
    };
    match sent.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        several if several.contains(',') => Err(Refusal::SeveralEncodings(shown(&sent))),
        _ => Err(Refusal::UnsupportedEncoding(shown(&sent))),
    }
}

/// Checks what HTTP/1.1 asks of a head and hyper does not check: one `host` (RFC 9112, section 3.2), and no transfer
/// encoding but `chunked`, because hyper would take a body in `gzip, chunked` for its events (section 6.1).
pub(crate) fn check_head<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Refusal::WrongHost(hosts));
    }
    match all(headers, header::TRANSFER_ENCODING) {
        Some(sent) if !sent.trim().eq_ignore_ascii_case("chunked") => {
            Err(Refusal::UnsupportedTransfer(shown(&sent)))
        }
        _ => Ok(()),
    }
}

/// The values of all headers of that name, as one list.
fn all(headers: &HeaderMap, name: header::HeaderName) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(name).into_iter();
    let first = String::from_utf8_lossy(values.next()?.as_bytes());
    Some(values.fold(first, |list, next| {
        format!("{list}, {}", String::from_utf8_lossy(next.as_bytes())).into()
    }))
}

/// The first 60 characters of what a client sent.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The body of a request, from a connection or by way of the router.
pub(crate) trait EventsBody:
    hyper::body::Body<Data = Bytes, Error: Display> + Unpin
{
}

impl<B: hyper::body::Body<Data = Bytes, Error: Display> + Unpin> EventsBody for B {}

/// Reads the whole body into `bytes`, which reserves memory as they arrive. More than `limit` bytes are refused.
pub(crate) async fn read(
    body: &mut impl EventsBody,
    limit: usize,
    mut bytes: Buffer,
) -> Result<Buffer, Refusal> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    // Otherwise the budget would end halfway, and what had arrived by then would be thrown away.
    if announced.saturating_mul(ROOM_PER_BYTE) > bytes.budget().free() as u64 {
        return Err(Refusal::Overloaded);
    }
    bytes.expect(body.size_hint().exact().unwrap_or_default() as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::BodyBroken(error.to_string()))?;
        // Trailers hold no events.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        bytes.append(&data)?;
    }
    Ok(bytes)
}

/// Reads a body that came together with its head, as most small ones do, without the timers that others need. Nothing
/// if more is to come. It is polled twice, because the connection looks for the body only once it has been asked for
/// it.
pub(crate) async fn at_once<T>(mut read: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut asked = false;
    poll_fn(|context| match read.as_mut().poll(context) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Reads a body within `longest`. A body that is called off is refused as one that takes too long. `not_prompt` is
/// called once no group should wait for the body any longer.
pub(crate) async fn in_time(
    mut read: Pin<&mut impl Future<Output = Result<Buffer, Refusal>>>,
    longest: Duration,
    called_off: impl Future<Output = Duration>,
    not_prompt: impl FnOnce(),
) -> Result<Buffer, Refusal> {
    let started = Instant::now();
    let read = async {
        if let Ok(read) = timeout(PROMPT, read.as_mut()).await {
            return read;
        }
        not_prompt();
        let read = timeout_at(started + longest, read).await;
        read.unwrap_or(Err(Refusal::BodyTooSlow(longest)))
    };
    tokio::select! {
        biased;
        read = read => read,
        after = called_off => Err(Refusal::BodyTooSlow(after)),
    }
}

/// Reads the rest of a refused body, at most `limit` bytes, and keeps none of it: a client whose connection is closed
/// in the middle of its upload sees a reset instead of the answer.
pub(crate) async fn drain(body: &mut impl EventsBody, limit: usize) {
    let rest = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |data| data.len());
            if read > limit {
                return;
            }
        }
    };
    // When the time is up, the connection is closed all the same.
    let _ = timeout(DRAIN_TIMEOUT, rest).await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use axum::body::Body;
    use futures::StreamExt;

    use super::*;
    use crate::memory::budget::Budget;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn content_types_are_told_apart() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
        ] {
            assert_eq!(
                format(&with(header::CONTENT_TYPE, json)).unwrap(),
                Format::Json,
                "{json}"
            );
        }
        for lines in [
            "application/x-ndjson",
            "application/ndjson; a=b",
            "application/jsonl",
            "application/jsonlines",
        ] {
            assert_eq!(
                format(&with(header::CONTENT_TYPE, lines)).unwrap(),
                Format::Ndjson,
                "{lines}"
            );
        }
        assert_eq!(format(&HeaderMap::new()).unwrap(), Format::Json);
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "image/png",
        ] {
            assert!(
                matches!(
                    format(&with(header::CONTENT_TYPE, other)),
                    Err(Refusal::UnsupportedType(_))
                ),
                "{other}"
            );
        }
    }

    #[test]
    fn encodings_are_told_apart() {
        for (sent, expected) in [
            ("gzip", Encoding::Gzip),
            ("ZSTD", Encoding::Zstd),
            ("identity", Encoding::Identity),
        ] {
            assert_eq!(
                encoding(&with(header::CONTENT_ENCODING, sent)).unwrap(),
                expected
            );
        }
        for other in ["br", "gzip, zstd", "deflate"] {
            assert!(
                encoding(&with(header::CONTENT_ENCODING, other)).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn several_encodings_are_named_in_the_answer() {
        let mut twice = with(header::CONTENT_ENCODING, "gzip");
        twice.append(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let message = encoding(&twice).unwrap_err().to_string();
        assert!(
            message.contains("`gzip, gzip`") && message.contains("compress once"),
            "{message}"
        );
        let mut twice = with(header::CONTENT_TYPE, "application/json");
        twice.append(header::CONTENT_TYPE, "text/csv".parse().unwrap());
        let message = format(&twice).unwrap_err().to_string();
        assert!(
            message.contains("`application/json, text/csv`"),
            "{message}"
        );
    }

    #[test]
    fn a_head_has_one_host_and_no_transfer_encoding_but_chunked() {
        let check = |version, headers: &[(&str, &str)]| {
            let request = headers.iter().fold(
                Request::post("/v1/events").version(version),
                |request, (name, value)| request.header(*name, *value),
            );
            check_head(&request.body(()).unwrap())
        };
        let host = ("host", "ingest");
        assert!(check(Version::HTTP_11, &[host]).is_ok());
        assert!(check(Version::HTTP_10, &[]).is_ok());
        for (version, headers, hosts) in [
            (Version::HTTP_11, &[][..], 0),
            (Version::HTTP_11, &[host, host], 2),
            (Version::HTTP_10, &[host, host], 2),
        ] {
            let refused = check(version, headers);
            assert!(
                matches!(refused, Err(Refusal::WrongHost(found)) if found == hosts),
                "{refused:?}"
            );
        }
        assert!(check(Version::HTTP_11, &[host, ("transfer-encoding", "Chunked")]).is_ok());
        for other in ["gzip, chunked", "identity", "chunked, chunked"] {
            let refused = check(Version::HTTP_11, &[host, ("transfer-encoding", other)]);
            assert!(
                matches!(refused, Err(Refusal::UnsupportedTransfer(_))),
                "{other}: {refused:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_within_its_bounds() {
        let read_all = async |text: &'static str, limit, free| {
            let budget = Budget::new(free);
            read(&mut Body::from(text), limit, budget.buffer()).await
        };
        let read = read_all("0123456789", 10, 30).await.unwrap();
        assert_eq!((&read[..], read.budget().used()), (&b"0123456789"[..], 10));
        assert!(matches!(
            read_all("0123456789", 9, 100).await,
            Err(Refusal::BodyTooLarge { limit: 9 })
        ));
        assert!(matches!(
            read_all("0123456789", 10, 29).await,
            Err(Refusal::Overloaded)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_called_off_gives_back_what_it_holds() {
        let budget = Budget::new(100);
        let halves = futures::stream::once(async { Ok::<_, std::io::Error>("half") })
            .chain(futures::stream::pending());
        let called_off = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            assert_eq!(budget.used(), 4);
            Duration::from_secs(5)
        };
        let mut body = Body::from_stream(halves);
        let minute = Duration::from_secs(60);
        let refused = {
            let read = pin!(read(&mut body, 10, budget.buffer()));
            in_time(read, minute, called_off, || ()).await
        };
        let after = Duration::from_secs(5);
        assert!(matches!(refused, Err(Refusal::BodyTooSlow(time)) if time == after));
        assert_eq!(budget.used(), 0);
    }
}
