//! A lake in this process, and processes that may be stopped, killed and frozen.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use alerts::journal::{
    Entry, Journal, JournalError, JournalSettings, JournalWriter, State as JournalState,
};
use alerts::model::{Labels, Reason, State, Transition};
use alerts::notify::{Notifier, NotifySources, Routing, Transport, read_notify};
use aws::{Aws, Clock};
use local_aws::LocalAws;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::receivers::Receivers;

pub(crate) const BUCKET: &str = "lake";

/// The time at which every stage begins, in milliseconds since 1970: 2026-11-27T00:00:00Z.
pub(crate) const START: i64 = 1_795_737_600_000;

pub(crate) const ROUTES: &str = "
route: { receiver: one, group_by: [alertname] }
receivers: [{ name: one, webhook_configs: [{ url: http://one/ }] }]
";

pub(crate) struct Stage {
    pub(crate) cloud: LocalAws,
    pub(crate) aws: Aws,
    pub(crate) receivers: Arc<Receivers>,
}

/// A process; dropping it leaves it running, as nobody would stop a process that was forgotten.
pub(crate) struct Process {
    pub(crate) journal: Journal,
    pub(crate) routing: watch::Sender<Arc<Routing>>,
    stop: CancellationToken,
    frozen: Arc<Frost>,
    task: JoinHandle<Result<(), JournalError>>,
}

pub(crate) fn routing(text: &str) -> Arc<Routing> {
    let sources = NotifySources {
        external_url: "http://here",
        folder: Path::new("/"),
        variable: &|_| None,
    };
    Arc::new(read_notify("notify.yml", text, &sources).unwrap())
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage::at(SystemTime::UNIX_EPOCH + Duration::from_millis(START.unsigned_abs())).await
    }

    /// It is `start` at the beginning.
    pub(crate) async fn at(start: SystemTime) -> Stage {
        let cloud = LocalAws::builder().start_time(start).build().unwrap();
        let clock = Clock::starting_at(start.into());
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        Stage {
            cloud,
            aws,
            receivers: Arc::default(),
        }
    }

    pub(crate) fn settings(&self) -> JournalSettings {
        JournalSettings::new(Uuid::new_v4())
    }

    /// As usual, but for tests that last for days: a record every five minutes is enough.
    pub(crate) fn calm_settings(&self) -> JournalSettings {
        JournalSettings {
            heartbeat: Duration::from_secs(300),
            takeover_after: Duration::from_secs(900),
            ..self.settings()
        }
    }

    /// Starts a process that tells `routes`, and waits until it leads.
    pub(crate) async fn lead(&self, routes: &str) -> Process {
        self.lead_by(routes, self.settings()).await
    }

    pub(crate) async fn lead_by(&self, routes: &str, settings: JournalSettings) -> Process {
        let process = self.start(routes, settings).await.unwrap();
        process.journal.until_leader().await.unwrap();
        process
    }

    /// Starts a process.
    pub(crate) async fn start(
        &self,
        routes: &str,
        settings: JournalSettings,
    ) -> Result<Process, JournalError> {
        self.start_with(routing(routes), settings, self.receivers.clone())
            .await
    }

    /// Starts a process whose messages go by `transport`.
    pub(crate) async fn start_with(
        &self,
        routing: Arc<Routing>,
        settings: JournalSettings,
        transport: Arc<dyn Transport>,
    ) -> Result<Process, JournalError> {
        let lake = self.aws.lake(BUCKET);
        let (journal, writer) = Journal::open(lake, self.aws.clock(), settings).await?;
        let routing = watch::Sender::new(routing);
        let notifier = Notifier::new(journal.clone(), routing.subscribe(), transport);
        let (stop, frozen) = (CancellationToken::new(), Arc::<Frost>::default());
        let work = Freezable(
            Box::pin(work(writer, notifier, stop.clone())),
            frozen.clone(),
        );
        Ok(Process {
            journal,
            routing,
            stop,
            frozen,
            task: tokio::spawn(work),
        })
    }

    /// All of a process in one future: the log, the notifier, and an evaluation that goes through `script` from where
    /// the log says that it has come to. The script has seconds after the start, and transitions. Ends when all is told.
    pub(crate) async fn whole(&self, routes: &str, script: &[(i64, Vec<Transition>)]) {
        let lake = self.aws.lake(BUCKET);
        let (journal, writer) = Journal::open(lake, self.aws.clock(), self.settings())
            .await
            .unwrap();
        let routing = watch::Sender::new(routing(routes));
        let notifier = Notifier::new(journal.clone(), routing.subscribe(), self.receivers.clone());
        let never = CancellationToken::new();
        let evaluate = async {
            journal.until_leader().await.unwrap();
            let done = journal.state().evaluated_to.unwrap_or(i64::MIN);
            for (at, transitions) in script {
                let at = START + at * 1000;
                if at > done {
                    let wait = (at - journal.now()).max(0).unsigned_abs();
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    journal.append(at, transitions.clone()).await.unwrap();
                }
            }
            let mut changes = journal.changes();
            while !is_quiet(&journal.state()) {
                changes.changed().await.unwrap();
            }
        };
        tokio::select! {
            biased;
            ended = writer.run(&never) => ended.unwrap(),
            ended = notifier.run(&never) => ended.unwrap(),
            () = evaluate => {}
        }
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.cloud.objects(BUCKET).into_iter();
        keys.filter(|key| key.starts_with(prefix)).collect()
    }

    /// The state as a new process would find it.
    pub(crate) async fn stored(&self) -> JournalState {
        let opened = Journal::open(self.aws.lake(BUCKET), self.aws.clock(), self.settings()).await;
        opened.unwrap().0.state().clone()
    }
}

impl Process {
    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Ends it well.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// From now on it does nothing until it is thawed.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.frozen.is_frozen.store(is_frozen, Ordering::SeqCst);
        if let Some(waker) = self.frozen.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    /// How it ended.
    pub(crate) async fn ended(self) -> Result<(), JournalError> {
        self.task.await.unwrap()
    }

    /// Records transitions; the evaluation has come to `at` seconds after the start.
    pub(crate) async fn evaluate(&self, at: i64, transitions: Vec<Transition>) {
        self.journal
            .append(START + at * 1000, transitions)
            .await
            .unwrap();
    }

    pub(crate) async fn write(&self, entry: Entry) {
        self.journal.write(vec![entry]).await.unwrap();
    }

    /// Waits until the state is as `is` wants it.
    pub(crate) async fn until(&self, is: impl Fn(&JournalState) -> bool) {
        let mut changes = self.journal.changes();
        while !is(&self.journal.state()) {
            changes.changed().await.unwrap();
        }
    }

    /// Waits until nothing is to be told any more.
    pub(crate) async fn until_quiet(&self) {
        self.until(is_quiet).await;
    }
}

fn is_quiet(state: &JournalState) -> bool {
    state.notifications.is_empty() && state.alerts.values().all(|alert| alert.is_firing())
}

/// A transition of alert `name` with the label `n`, at seconds after the start.
pub(crate) fn transition(name: &str, n: &str, to: State, at: i64) -> Transition {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let at = START + at * 1000;
    Transition {
        episode: format!("{name}-{n}"),
        rule: format!("group/{name}"),
        labels: Labels::from([
            pair("alertname", name),
            pair("n", n),
            pair("severity", "page"),
        ]),
        dimensions: Labels::new(),
        annotations: Labels::from([pair("summary", &format!("{name} of {n}"))]),
        to,
        reason: Reason::Condition,
        at,
        active_at: at,
        fired_at: (to != State::Pending).then_some(at),
        value: Some(85.0),
        fired_before: Vec::new(),
    }
}

pub(crate) fn firing(name: &str, n: &str, at: i64) -> Transition {
    transition(name, n, State::Firing, at)
}

pub(crate) fn resolved(name: &str, n: &str, at: i64) -> Transition {
    transition(name, n, State::Resolved, at)
}

/// Seconds of paused time.
pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A process: the notifier works until `stop`, and the log is written until the notifier has ended.
async fn work(
    writer: JournalWriter,
    notifier: Notifier,
    stop: CancellationToken,
) -> Result<(), JournalError> {
    let writing = CancellationToken::new();
    futures::future::join(writer.run(&writing), notify(&notifier, &stop, &writing))
        .await
        .0
}

async fn notify(notifier: &Notifier, stop: &CancellationToken, writing: &CancellationToken) {
    // Its error says only that the writer has ended, and that tells more.
    let _ = notifier.run(stop).await;
    writing.cancel();
}

struct Freezable<F: Future>(Pin<Box<F>>, Arc<Frost>);

/// Whether a process is frozen, and who is to be woken when it thaws.
#[derive(Default)]
struct Frost {
    is_frozen: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl<F: Future> Future for Freezable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        *self.1.waker.lock().unwrap() = Some(context.waker().clone());
        if self.1.is_frozen.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.0.as_mut().poll(context)
    }
}

/// Alerts as a message tells of them: the label `n`, and the status.
pub(crate) fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(n, status)| ((*n).to_owned(), (*status).to_owned()))
        .collect()
}
