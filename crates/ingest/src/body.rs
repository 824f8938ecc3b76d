//! Reads a request's body, within its bounds of size, time and memory.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use contract::Format;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::timeout;

use crate::answer::Refusal;
use crate::budget::Reservation;

/// Longest time to read on after a refusal, so that the client gets to see the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// How the headers say that the events are written; a body without a content type is JSON.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(sent) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let sent = String::from_utf8_lossy(sent.as_bytes());
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

/// How the headers say that the body is compressed.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut sent = headers.get_all(header::CONTENT_ENCODING).iter();
    let (one, more) = (sent.next(), sent.next());
    let Some(one) = one else {
        return Ok(Encoding::Identity);
    };
    let text = String::from_utf8_lossy(one.as_bytes());
    match (text.trim().to_ascii_lowercase().as_str(), more) {
        ("" | "identity", None) => Ok(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
        ("zstd", None) => Ok(Encoding::Zstd),
        _ => Err(Refusal::UnsupportedEncoding(shown(&text))),
    }
}

/// At most 60 characters of what a client sent.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Reads the whole body, at most `limit` bytes of it, and takes its share of the byte budget as
/// the bytes arrive.
pub(crate) async fn read(
    body: &mut Body,
    limit: usize,
    longest: Duration,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Refusal> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let mut bytes = Vec::with_capacity((announced as usize).min(256 * 1024));
    let all = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::BodyBroken(error.to_string()))?;
            // Trailers carry nothing of the event.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            reservation.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    timeout(longest, all)
        .await
        .unwrap_or(Err(Refusal::BodyTooSlow(longest)))?;
    Ok(bytes)
}

/// Reads what is left of a refused body and keeps none of it: a connection that is closed on a
/// client in the middle of its upload shows it a reset instead of the answer.
pub(crate) async fn drain(body: &mut Body, limit: usize) {
    let rest = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |data| data.len());
            if read > limit {
                return;
            }
        }
    };
    // Out of time, the connection is closed on what is left.
    let _ = timeout(DRAIN_TIMEOUT, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

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

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_within_its_bounds() {
        let budget = Budget::new(100);
        let second = Duration::from_secs(1);
        let read_all = async |text: &'static str, limit| {
            let mut reservation = budget.reserve();
            let read = read(&mut Body::from(text), limit, second, &mut reservation).await;
            (read, reservation)
        };
        let (read, reservation) = read_all("0123456789", 10).await;
        assert_eq!(read.unwrap(), b"0123456789");
        assert_eq!(budget.used(), 10);
        drop(reservation);
        assert!(matches!(
            read_all("0123456789", 9).await.0,
            Err(Refusal::BodyTooLarge { limit: 9 })
        ));
        let mut taken = budget.reserve();
        taken.grow(95).unwrap();
        assert!(matches!(
            read_all("0123456789", 10).await.0,
            Err(Refusal::Overloaded)
        ));
    }
}
