//! The live stream as Server-Sent Events: the same messages, each with an id by which browsers go on where they were.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::message::Sent;
use super::since;

/// A comment goes out where nothing else has for this long, so that nobody in between closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// When browsers come back after a connection has ended.
const RETRY: &str = "retry: 2000\n\n";

/// A stream of events for the client, until it leaves, its session ends, or the server stops.
pub(crate) fn serve(
    client: Client,
    session: Option<(Duration, CancellationToken)>,
    closing: CancellationToken,
) -> Response {
    let ended = Box::pin(session_end(session));
    let first = Some(Bytes::from_static(RETRY.as_bytes()));
    let events = stream::unfold((client, ended, closing, first, 0), async |state| {
        let (mut client, mut ended, closing, mut first, mut last) = state;
        let chunk = match first.take() {
            Some(first) => first,
            None => tokio::select! {
                biased;
                () = closing.cancelled() => return None,
                () = &mut ended => return None,
                batch = timeout(KEEP_ALIVE, client.next()) => match batch {
                    Ok(batch) => written(&batch, &client.boot, &mut last),
                    Err(_) => Bytes::from_static(b":\n\n"),
                }
            },
        };
        let next = (client, ended, closing, first, last);
        Some((Ok::<_, std::convert::Infallible>(chunk), next))
    });
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "text/event-stream");
    set(header::CACHE_CONTROL, "no-store");
    response
}

/// The messages as events. The id of each is the greatest number so far, as the newest value of a topic that does not
/// change has a small one. The greeting has none: the client that comes back says where it was before.
fn written(batch: &[Sent], boot: &str, last: &mut u64) -> Bytes {
    let mut text = String::with_capacity(batch.iter().map(|sent| sent.text.len() + 48).sum());
    for sent in batch {
        if !sent.text.contains(r#""topic":"hello""#) {
            *last = sent.seq.max(*last);
            text.push_str("id: ");
            text.push_str(&since::id(boot, *last));
            text.push('\n');
        }
        text.push_str("data: ");
        text.push_str(&sent.text);
        text.push_str("\n\n");
    }
    text.into()
}

/// Waits until the session ends, by its time or because somebody signs out; for ever where there is none.
pub(super) async fn session_end(session: Option<(Duration, CancellationToken)>) {
    match session {
        None => std::future::pending().await,
        Some((left, ended)) => tokio::select! {
            () = sleep(left) => {}
            () = ended.cancelled() => {}
        },
    }
}
