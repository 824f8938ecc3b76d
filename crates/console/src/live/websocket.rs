//! The live stream by WebSocket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures::SinkExt;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;

/// Longest time for a client to take a message.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Time between two pings.
const PING_EVERY: Duration = Duration::from_secs(20);

/// A client that has said nothing for this long, not even an answer to a ping, is gone.
const SILENT: Duration = Duration::from_secs(65);

/// Code of the close frame where the server tells a client to come back later (RFC 6455, registry of IANA).
const TRY_AGAIN_LATER: u16 = 1013;

/// Why a connection is closed.
type Close = (u16, &'static str);

/// Serves a client until it leaves, or its session ends: after this time, or by the token.
pub(crate) async fn serve(
    mut socket: WebSocket,
    mut client: Client,
    session: Option<(Duration, CancellationToken)>,
    closing: CancellationToken,
) {
    let close = talk(&mut socket, &mut client, session, closing).await;
    // Its place is free before it is told.
    drop(client);
    if let Some((code, reason)) = close {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // Whoever does not listen is not told.
        let _ = timeout(
            Duration::from_secs(1),
            socket.send(Message::Close(Some(frame))),
        )
        .await;
    }
}

async fn talk(
    socket: &mut WebSocket,
    client: &mut Client,
    session: Option<(Duration, CancellationToken)>,
    closing: CancellationToken,
) -> Option<Close> {
    let ended = super::sse::session_end(session);
    let mut ended = std::pin::pin!(ended);
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => return Some((close_code::AWAY, "the server stops")),
            () = &mut ended => return Some((close_code::POLICY, "the session has ended")),
            incoming = socket.recv() => {
                heard = Instant::now();
                match incoming {
                    Some(Ok(Message::Text(text))) => client.take(text.as_str()),
                    Some(Ok(Message::Binary(_))) => {
                        client.refuse("invalid_message", "send text", &Value::Null);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return None,
                    Some(Err(error)) => {
                        tracing::debug!(event = "live_broke_off", %error, "a client of the live stream is gone");
                        return None;
                    }
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENT {
                    return Some((TRY_AGAIN_LATER, "no answer to pings"));
                }
                match timeout(WRITE_WITHIN, socket.send(Message::Ping(Bytes::new()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(slow()),
                }
            }
            batch = client.next() => {
                for sent in batch {
                    match timeout(WRITE_WITHIN, socket.feed(Message::Text(sent.text))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return None,
                        Err(_) => return Some(slow()),
                    }
                }
                match timeout(WRITE_WITHIN, socket.flush()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(slow()),
                }
            }
        }
    }
}

fn slow() -> Close {
    metrics::counter!("headwater_live_slow_clients_total").increment(1);
    (TRY_AGAIN_LATER, "a message was not taken within 10 s")
}
