//! Sends a stream of events: when they are due, in posts of the asked size, over many connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::answer::{Answer, PostError};
use crate::client::Client;
use crate::generator::Class;
use crate::summary::Summary;

/// Events that a source may be ahead of the posts.
const AHEAD: usize = 4_096;

/// Later than any run goes on; clocks can add it.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A post is closed at this many bytes of events however many were asked for: below what ingest takes
/// in one body, compressed or not.
const MAX_POST_BYTES: usize = 900_000;

/// An event to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The event as JSON, one line.
    pub body: String,
    /// In which state it is.
    pub class: Class,
    /// When to send it, from the start on; none is as soon as possible.
    pub due: Option<Duration>,
}

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
    Task(#[source] tokio::task::JoinError),
}

impl SendError {
    /// What a user can do about it; absent where the error says all.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            SendError::Post(error) => error.advice(),
            SendError::Source(_) | SendError::Task(_) => None,
        }
    }
}

type PostResult = (Vec<(String, Class)>, Result<Answer, PostError>);

/// Sends what `source` yields, until it ends, it fails, `stop` is cancelled, or a post fails in a way
/// that the next would too. Posts under way are finished. `progress` is told the number of events
/// that are done with.
///
/// Gives back the source, for what it has counted, unless it panicked. A source's error ends the run
/// and is in the summary.
pub async fn send<S, E>(
    client: Arc<Client>,
    source: S,
    options: &SendOptions,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> (Summary, Option<S>)
where
    S: Iterator<Item = Result<Outgoing, E>> + Send + 'static,
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
        summary: Summary::default(),
        over: stop.child_token(),
        client,
        progress,
    };
    let mut post: Vec<(String, Class)> = Vec::new();
    let (mut bytes, mut opened) = (0, start);
    while !run.over.is_cancelled() {
        let event = tokio::select! {
            biased;
            () = run.over.cancelled() => break,
            // An event in hand must not wait for one that is hours away.
            () = tokio::time::sleep_until(opened + options.linger), if !post.is_empty() => None,
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => break,
            },
        };
        if let Some(event) = event {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    run.summary.fail(SendError::Source(Box::new(error)));
                    break;
                }
            };
            if let Some(due) = event.due {
                let due = start + due.min(FAR);
                if due > opened + options.linger && !post.is_empty() {
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
            bytes += event.body.len() + 1;
            post.push((event.body, event.class));
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
    let source = producer.await.ok();
    let counts = run.client.counts();
    run.summary.wall = start.elapsed();
    run.summary.requests = counts.requests - counts_before.requests;
    run.summary.throttled = counts.throttled - counts_before.throttled;
    run.summary.retries = counts.retries - counts_before.retries;
    run.summary.stopped = stop.is_cancelled();
    (run.summary, source)
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

struct Run<P> {
    client: Arc<Client>,
    permits: Arc<Semaphore>,
    posts: JoinSet<PostResult>,
    summary: Summary,
    /// The run is over: stopped from outside, or pointless.
    over: CancellationToken,
    progress: P,
}

impl<P: Fn(u64)> Run<P> {
    /// Posts as soon as a connection is free.
    async fn dispatch(&mut self, events: Vec<(String, Class)>) {
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
            let bodies: Vec<&str> = events.iter().map(|(body, _)| body.as_str()).collect();
            let result = client.post(&bodies).await;
            drop(permit);
            (events, result)
        });
        while let Some(done) = self.posts.try_join_next() {
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<PostResult, tokio::task::JoinError>) {
        let (events, result) = match done {
            Ok(done) => done,
            Err(error) => {
                self.summary.fail(SendError::Task(error));
                return;
            }
        };
        (self.progress)(events.len() as u64);
        let classes: Vec<Class> = events.iter().map(|(_, class)| *class).collect();
        match result {
            Ok(answer) => self.summary.add_answer(&classes, &answer),
            Err(error) => {
                self.summary.add_failure(&classes);
                let refused = matches!(
                    &error,
                    PostError::Refused {
                        status: 400..=499,
                        ..
                    }
                );
                let message = error.to_string();
                if refused {
                    self.summary.refuse(&classes, &message);
                }
                if self.over.is_cancelled() {
                    // Stopped while it was waiting to try again: not worth a fuss.
                    return;
                }
                // A body that is refused says nothing about the next one; all else does.
                let about_this_body = matches!(
                    &error,
                    PostError::Refused {
                        status: 400 | 413,
                        ..
                    }
                );
                error!(event = "post_failed", events = events.len(), "{message}");
                if !about_this_body {
                    self.summary.fail(SendError::Post(error));
                    self.over.cancel();
                }
            }
        }
    }
}
