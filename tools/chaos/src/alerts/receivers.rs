//! Receivers of webhooks, each with its own way to fail.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::tally::{Message, Tally};

/// How a receiver answers each n-th request; it takes the others.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Good,
    /// This status.
    Status(u16, u64),
    /// 429 with `Retry-After: 2`.
    Busy(u64),
    /// No answer within the time that the service waits.
    Hang(u64),
    /// The connection is cut after the message was taken.
    Cut(u64),
    /// This status for as long as it is away.
    Away(u16),
}

/// Names of the receivers that are counted.
pub(crate) const CHANNELS: [&str; 10] = [
    "good", "fine", "fails", "flaky", "busy", "picky", "hangs", CUTS, "away", "moved",
];

/// The receiver that takes messages and answers nothing: its repeats are its own.
pub(crate) const CUTS: &str = "cuts";

/// The receiver that says that it never takes anything, until it is mended.
pub(crate) const STUCK: &str = "stuck";

/// Longer than the service waits for an answer.
const HANG: Duration = Duration::from_secs(12);

/// Most bytes of a message.
const MOST_BODY: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

fn manner(channel: &str) -> Manner {
    match channel {
        "fails" => Manner::Status(500, 3),
        "flaky" => Manner::Status(502, 2),
        "busy" => Manner::Busy(20),
        "picky" => Manner::Status(400, 4),
        "hangs" => Manner::Hang(50),
        CUTS => Manner::Cut(50),
        "away" => Manner::Away(503),
        "moved" => Manner::Away(404),
        STUCK => Manner::Away(410),
        _ => Manner::Good,
    }
}

#[derive(Debug, Default)]
struct Shared {
    tally: Mutex<Tally>,
    asked: Mutex<BTreeMap<String, u64>>,
    back: AtomicBool,
    mended: AtomicBool,
}

/// A server for all receivers, each at its path; it runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Receivers {
    port: u16,
    shared: Arc<Shared>,
    taken: watch::Receiver<usize>,
    _task: AbortOnDropHandle<()>,
}

impl Receivers {
    pub(crate) async fn start() -> anyhow::Result<Receivers> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen for the receivers")?;
        let port = listener.local_addr()?.port();
        let (shared, (count, taken)) = (Arc::<Shared>::default(), watch::channel(0));
        let task = tokio::spawn(accept(listener, shared.clone(), count));
        Ok(Receivers {
            port,
            shared,
            taken,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where the receiver of this name is.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Tells of the number of messages that the counted receivers have taken.
    pub(crate) fn taken(&self) -> watch::Receiver<usize> {
        self.taken.clone()
    }

    /// From now on those that were away are there.
    pub(crate) fn come_back(&self) {
        self.shared.back.store(true, Ordering::Relaxed);
    }

    /// From now on the one that never took anything takes all.
    pub(crate) fn mend(&self) {
        self.shared.mended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, count: watch::Sender<usize>) {
    let (mut connections, count) = (JoinSet::new(), Arc::new(count));
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, count) = (shared.clone(), count.clone());
        connections.spawn(async move {
            let serve = service_fn(|request| answer(&shared, &count, request));
            // A connection that was cut, by us or by a kill.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: &Shared,
    count: &watch::Sender<usize>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let channel = request.uri().path().trim_matches('/').to_owned();
    let id = request.headers().get("idempotency-key").cloned();
    let body = Limited::new(request.into_body(), MOST_BODY).collect().await;
    let body = body.map_err(|_| Cut)?.to_bytes();
    let take = || {
        let id = id.as_ref().and_then(|id| id.to_str().ok());
        let message = Message::read(&channel, id.unwrap_or_default(), &body);
        let counted = lock(&shared.tally).add(message);
        if counted {
            count.send_modify(|count| *count += 1);
        }
    };
    let nth = {
        let mut asked = lock(&shared.asked);
        let nth = asked.entry(channel.clone()).or_default();
        *nth += 1;
        *nth
    };
    let is_away = |flag: &AtomicBool| !flag.load(Ordering::Relaxed);
    let status = match manner(&channel) {
        Manner::Status(status, each) if nth.is_multiple_of(each) => status,
        Manner::Busy(each) if nth.is_multiple_of(each) => 429,
        Manner::Hang(each) if nth.is_multiple_of(each) => {
            tokio::time::sleep(HANG).await;
            return Err(Cut);
        }
        Manner::Cut(each) if nth.is_multiple_of(each) => {
            take();
            return Err(Cut);
        }
        Manner::Away(status) if channel == STUCK && is_away(&shared.mended) => status,
        Manner::Away(status) if channel != STUCK && is_away(&shared.back) => status,
        _ => {
            take();
            200
        }
    };
    let mut response = Response::builder().status(status);
    if status == 429 {
        response = response.header("retry-after", "2");
    }
    response.body(Full::default()).map_err(|_| Cut)
}
