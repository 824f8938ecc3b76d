//! Sends a stream of events: when they are due, in posts of the asked size, over many connections.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::answer::{Answer, PostError};
use super::client::{Client, ClientCounts};

/// Events that a source may be ahead of the posts.
const AHEAD: usize = 4_096;

/// Later than any run goes on; clocks can add it.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A post is closed at this many bytes of events however many were asked for: below what ingest takes
/// in one body, compressed or not.
const MAX_POST_BYTES: usize = 900_000;

/// How events are sent.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// The most events in one post; at least 1.
    pub batch: usize,
    /// The most posts under way at once; at least 1.
    pub connections: usize,
    /// Longest time that an event waits for its post to fill.
    pub linger: Duration,
}

impl Default for SendOptions {
    /// Single posts, 16 at once.
    fn default() -> SendOptions {
        SendOptions {
            batch: 1,
            connections: 16,
            linger: Duration::from_secs(1),
        }
    }
}

/// An event that [`send`] posts.
pub trait Outgoing: Send + 'static {
    /// The event as JSON, one line.
    fn body(&self) -> &str;

    /// When to send it, counted from the start of the sending; `None` is as soon as possible.
    fn due(&self) -> Option<Duration>;
}

/// A post that has ended.
#[derive(Debug)]
pub struct Posted<T> {
    /// The events in the order in which they were posted, which is the order of the answer's positions.
    pub events: Vec<T>,
    /// What became of them, after all retries.
    pub result: Result<Answer, PostError>,
    /// When the answer had come, or the client gave up.
    pub at: DateTime<Utc>,
}

impl<T> Posted<T> {
    /// Whether the body was refused as a whole for what is in it (400, 413): the next one may be taken.
    pub fn is_refused_body(&self) -> bool {
        matches!(
            self.result,
            Err(PostError::Refused {
                status: 400 | 413,
                ..
            })
        )
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Requests of this run alone.
    pub requests: ClientCounts,
    /// From the first event to the last answer.
    pub wall: Duration,
    /// Whether the run was stopped from outside.
    pub stopped: bool,
    /// What ended the run early, if anything did; the first of several.
    pub failure: Option<SendError>,
}

/// What ends a run before its source does.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The source of the events.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// A post, in a way that the next one would fail too.
    #[error(transparent)]
    Post(PostError),
    /// The task of a post, which ended early.
    #[error("a post ended early")]
    Task(#[source] JoinError),
}

impl SendError {
    /// What a user can do about it; absent if the error says all.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            SendError::Post(error) => error.advice(),
            SendError::Source(_) | SendError::Task(_) => None,
        }
    }
}

/// Sends what `source` yields, until it ends, it fails, `stop` is cancelled, or a post fails in a way
/// that the next would too. Posts under way are finished. `on_answer` is given each post that has
/// ended, one after the other, in the order in which they ended.
///
/// Gives back the source, for what it has counted, unless it panicked. A source's error ends the run
/// and is its [`failure`](Ended::failure).
pub async fn send<S, T, E>(
    client: Arc<Client>,
    source: S,
    options: &SendOptions,
    stop: &CancellationToken,
    on_answer: impl FnMut(&Posted<T>),
) -> (Ended, Option<S>)
where
    S: Iterator<Item = Result<T, E>> + Send + 'static,
    T: Outgoing,
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    let counts_before = client.counts();
    let (sender, mut events) = mpsc::channel(AHEAD);
    // Reading files and unpacking them blocks; its own thread keeps the posts going.
    let producer = tokio::task::spawn_blocking(move || produce(source, &sender));
    let mut run = Run {
        permits: Arc::new(Semaphore::new(options.connections.max(1))),
        posts: JoinSet::new(),
        failure: None,
        over: stop.child_token(),
        client,
        on_answer,
    };
    let linger = options.linger.min(FAR);
    let mut post: Vec<T> = Vec::new();
    let (mut bytes, mut opened) = (0, start);
    while !run.over.is_cancelled() {
        let event = tokio::select! {
            biased;
            () = run.over.cancelled() => break,
            // An event in hand must not wait for one that is hours away.
            () = tokio::time::sleep_until(opened + linger), if !post.is_empty() => None,
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => break,
            },
        };
        if let Some(event) = event {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    run.failure = run.failure.or(Some(SendError::Source(Box::new(error))));
                    break;
                }
            };
            if let Some(due) = event.due() {
                let due = start + due.min(FAR);
                if due > opened + linger && !post.is_empty() {
                    run.dispatch(std::mem::take(&mut post)).await;
                    bytes = 0;
                }
                tokio::select! {
                    biased;
                    () = run.over.cancelled() => break,
                    () = tokio::time::sleep_until(due) => {}
                }
            }
            if post.is_empty() {
                opened = Instant::now();
            }
            bytes += event.body().len() + 1;
            post.push(event);
            if post.len() < options.batch && bytes < MAX_POST_BYTES {
                continue;
            }
        }
        run.dispatch(std::mem::take(&mut post)).await;
        bytes = 0;
    }
    if !run.over.is_cancelled() {
        run.dispatch(post).await;
    }
    drop(events);
    while let Some(done) = run.posts.join_next().await {
        run.settle(done);
    }
    let ended = Ended {
        requests: run.client.counts().since(counts_before),
        wall: start.elapsed(),
        stopped: stop.is_cancelled(),
        failure: run.failure,
    };
    // The producer ends by itself now that nobody listens.
    (ended, producer.await.ok())
}

/// Passes on what the source yields until it ends or nobody listens; gives the source back.
fn produce<S: Iterator>(mut source: S, events: &mpsc::Sender<S::Item>) -> S {
    for event in source.by_ref() {
        if events.blocking_send(event).is_err() {
            break;
        }
    }
    source
}

struct Run<T, H> {
    client: Arc<Client>,
    permits: Arc<Semaphore>,
    posts: JoinSet<Posted<T>>,
    failure: Option<SendError>,
    /// The run is over: stopped from outside, or pointless.
    over: CancellationToken,
    on_answer: H,
}

impl<T: Outgoing, H: FnMut(&Posted<T>)> Run<T, H> {
    /// Posts as soon as a connection is free.
    async fn dispatch(&mut self, events: Vec<T>) {
        if events.is_empty() {
            return;
        }
        // Waits without taking `over` into account: what is here was due, and posts end by themselves.
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let client = Arc::clone(&self.client);
        self.posts.spawn(async move {
            let bodies: Vec<&str> = events.iter().map(Outgoing::body).collect();
            let result = client.post(&bodies).await;
            let at = Utc::now();
            drop(permit);
            Posted { events, result, at }
        });
        while let Some(done) = self.posts.try_join_next() {
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<Posted<T>, JoinError>) {
        let posted = match done {
            Ok(posted) => posted,
            Err(error) => {
                self.failure.get_or_insert(SendError::Task(error));
                return;
            }
        };
        (self.on_answer)(&posted);
        // Stopped while a post was waiting to be tried again: not worth a fuss.
        if self.over.is_cancelled() {
            return;
        }
        let about_this_body = posted.is_refused_body();
        let Err(error) = posted.result else { return };
        error!(
            event = "post_failed",
            events = posted.events.len(),
            "{error}"
        );
        if !about_this_body {
            self.failure.get_or_insert(SendError::Post(error));
            self.over.cancel();
        }
    }
}
