//! The load generator, which runs in a process of its own. A file of events comes in; each is posted over
//! connections that stay open, as fast as posts are answered or at a rate, and every answer must be
//! what it should be. A report goes out.

mod answer;
mod flood;
mod offered;
mod posts;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::procfs;
use crate::stats::{Latencies, latencies_ms};
use answer::{Answer, Answers};
pub(crate) use flood::{FLOOD_KEY, flood};
pub(crate) use offered::{Amount, BATCH, OfferedLoad};
pub(crate) use posts::API_KEY;
use posts::Posts;

/// Pause before a refused post is sent again: ingest's `Retry-After`.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What the load generator is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadSpec {
    /// Address of the service.
    pub(crate) target: SocketAddr,
    /// File of events, one a line.
    pub(crate) corpus: PathBuf,
    pub(crate) load: OfferedLoad,
}

/// What was sent and how it was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// Posts answered 202.
    pub(crate) posts: u64,
    /// Events accepted.
    pub(crate) events: u64,
    /// When the first post went out.
    pub(crate) started_at: DateTime<Utc>,
    /// From the first post to the last answer.
    pub(crate) seconds: f64,
    /// From when a post was due (without a rate: was sent) to its 202, with refusals in between.
    pub(crate) latency_ms: Latencies,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// CPU of the load generator during the load.
    pub(crate) cpu_seconds: f64,
}

/// Sends the load on one thread.
pub(crate) fn run(spec: &LoadSpec) -> anyhow::Result<LoadReport> {
    let events = std::fs::read(&spec.corpus)
        .with_context(|| format!("cannot read `{}`", spec.corpus.display()))?;
    let posts = Posts::new(&events, spec.load.batch);
    drop(events);
    ensure!(!posts.is_empty(), "the corpus is empty");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(send(spec, posts))
}

/// What the connections share.
struct Shared {
    posts: Posts,
    /// Posts that have been begun.
    begun: Cell<u64>,
    /// Most posts to begin.
    most: u64,
    /// When no more posts are begun.
    end: Option<Instant>,
    start: Instant,
    /// Posts a second.
    rate: Option<f64>,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    events: u64,
    statuses: BTreeMap<u16, u64>,
    latencies: Vec<u32>,
}

impl Tally {
    /// Counts an answer to a post that was due, or sent, at `began`.
    fn note(&mut self, answer: &Answer, began: Instant) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if answer.status == 202 {
            self.events += answer.accepted.unwrap_or_default();
            let micros = began.elapsed().as_micros();
            self.latencies
                .push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
    }
}

impl Shared {
    /// The number of the next post, and when it is due.
    fn next(&self) -> Option<(u64, Option<Instant>)> {
        let number = self.begun.get();
        let due = self
            .rate
            .map(|rate| self.start + Duration::from_secs_f64(number as f64 / rate));
        let over = self
            .end
            .is_some_and(|end| due.unwrap_or_else(Instant::now) >= end);
        if number >= self.most || over {
            return None;
        }
        self.begun.set(number + 1);
        Some((number, due))
    }
}

async fn send(spec: &LoadSpec, posts: Posts) -> anyhow::Result<LoadReport> {
    let (mut streams, tls) = (Vec::new(), spec.load.ca.as_deref().map(connector));
    let tls = tls.transpose()?;
    for _ in 0..spec.load.connections {
        let stream = TcpStream::connect(spec.target).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", spec.target))?;
        stream.set_nodelay(true)?;
        streams.push(match &tls {
            None => Stream::Left(stream),
            Some(tls) => {
                let name = ServerName::from(spec.target.ip());
                let secured = tls.connect(name, stream).await;
                Stream::Right(secured.context("no TLS with the service")?)
            }
        });
    }
    let all = posts.len() as u64;
    let pid = std::process::id();
    let (started_at, start, cpu) = (Utc::now(), Instant::now(), procfs::cpu_seconds(pid)?);
    let shared = Rc::new(Shared {
        posts,
        begun: Cell::new(0),
        most: match spec.load.amount {
            Amount::Corpus => all,
            Amount::Posts(posts) => posts,
            Amount::Seconds(_) => u64::MAX,
        },
        end: match spec.load.amount {
            Amount::Seconds(seconds) => Some(start + Duration::from_secs_f64(seconds)),
            Amount::Corpus | Amount::Posts(_) => None,
        },
        start,
        rate: spec.load.rate.map(|events| events / spec.load.batch as f64),
        tally: RefCell::default(),
    });
    let local = tokio::task::LocalSet::new();
    let connections: Vec<_> = streams
        .into_iter()
        .map(|stream| local.spawn_local(connection(shared.clone(), stream)))
        .collect();
    local
        .run_until(async {
            for connection in connections {
                connection.await.context("a connection failed")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let seconds = start.elapsed().as_secs_f64();
    let mut tally = shared.tally.take();
    Ok(LoadReport {
        posts: tally.latencies.len() as u64,
        events: tally.events,
        started_at,
        seconds,
        latency_ms: latencies_ms(&mut tally.latencies),
        statuses: tally.statuses,
        cpu_seconds: procfs::cpu_seconds(pid)? - cpu,
    })
}

/// A connection in clear, or with TLS.
pub(super) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// What trusts the CA alone.
fn connector(ca: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).context("cannot read the CA")?)?;
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Sends one post after the other, each until it is accepted.
async fn connection(shared: Rc<Shared>, mut stream: Stream) -> anyhow::Result<()> {
    let mut answers = Answers::default();
    while let Some((number, due)) = shared.next() {
        if let Some(due) = due {
            sleep_until(due).await;
        }
        let began = due.unwrap_or_else(Instant::now);
        let (post, events) = shared.posts.get(number);
        loop {
            stream.write_all(post).await.context("cannot send")?;
            stream.flush().await.context("cannot send")?;
            let answer = answers.next(&mut stream).await?;
            match answer.status {
                202 => ensure!(
                    answer.accepted == Some(events),
                    "{events} events were sent, and the answer is {}",
                    answer.text
                ),
                429 | 503 => {}
                status => bail!("answered {status}: {}", answer.text),
            }
            shared.tally.borrow_mut().note(&answer, began);
            if answer.status == 202 {
                break;
            }
            sleep(BACK_OFF).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::*;

    async fn served(router: Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    async fn load(router: Router, amount: Amount, rate: Option<f64>) -> anyhow::Result<LoadReport> {
        let folder = tempfile::tempdir().unwrap();
        let corpus = folder.path().join("events");
        std::fs::write(&corpus, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n").unwrap();
        let spec = LoadSpec {
            target: served(router).await,
            corpus,
            load: OfferedLoad {
                batch: 2,
                connections: 3,
                amount,
                rate,
                ca: None,
            },
        };
        let done = tokio::task::spawn_blocking(move || run(&spec)).await;
        drop(folder);
        done.unwrap()
    }

    fn counting() -> Router {
        Router::new().route(
            "/v1/events/vehicle",
            post(async |body: String| {
                let accepted = body.lines().count();
                (StatusCode::ACCEPTED, format!("{{\"accepted\":{accepted}}}"))
            }),
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_event_of_the_corpus_is_sent_once() {
        let report = load(counting(), Amount::Corpus, None).await.unwrap();
        assert_eq!((report.posts, report.events), (2, 3));
        assert_eq!(report.statuses, BTreeMap::from([(202, 2)]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rate_is_kept_and_the_corpus_is_repeated() {
        let report = load(counting(), Amount::Seconds(0.5), Some(200.0));
        let report = report.await.unwrap();
        assert_eq!((report.posts, report.events), (50, 75));
        assert!(report.seconds >= 0.48, "{report:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_is_not_what_it_must_be_fails_the_load() {
        for (status, body, expected) in [
            (StatusCode::ACCEPTED, "{\"accepted\":1}", "2 events"),
            (StatusCode::UNAUTHORIZED, "who are you", "who are you"),
        ] {
            let router =
                Router::new().route("/v1/events/vehicle", post(async move || (status, body)));
            let failed = load(router, Amount::Posts(1), None).await;
            let error = format!("{:#}", failed.unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
