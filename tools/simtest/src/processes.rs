//! The processes of the pipeline: the real services, started, and started again when they end.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use batch_consumer::dlq::{Filter, replay};
use bytesize::ByteSize;
use clap::Parser;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::attack::{Attack, Role};
use crate::chance::Chance;
use crate::follow::{self, Followed};
use crate::query;
use crate::socket::Front;
use crate::wire::Process;
use crate::world::{BUCKET, DEAD_LETTERS, QUEUE, World, lock};

/// The key that clients send to ingest.
pub const API_KEY: &str = "simulated-key";

/// Longest that a process may take to end: a few slow answers one after the other.
const END_WITHIN: Duration = Duration::from_secs(600);

/// Time beyond its grace that an ingest or consumer may take to end: what the wire adds.
const SLACK: Duration = Duration::from_secs(5);

/// The ingest that runs in each place; none while it is down.
pub type Fronts = Arc<Mutex<Vec<Option<Front>>>>;

/// A process that is told to stop, and how to tell.
type Stops = Arc<Mutex<Vec<(Process, CancellationToken)>>>;

/// All processes of a run.
pub struct Processes {
    /// Where posts go.
    pub fronts: Fronts,
    /// What the tail has given since it started last.
    pub followed: Followed,
    stops: Stops,
    keepers: Vec<JoinHandle<()>>,
    replay: JoinHandle<()>,
}

impl Processes {
    /// Starts all of them; each is started again when it ends, until the world is over.
    pub fn start(world: &Arc<World>) -> Processes {
        let plan = &world.plan;
        let fronts: Fronts = Arc::new(Mutex::new(vec![None; plan.ingests]));
        let stops = Stops::default();
        let mut keepers = Vec::new();
        for number in 0..plan.ingests {
            let fronts = fronts.clone();
            keepers.push(keep(
                world,
                &stops,
                Role::Ingest,
                number,
                move |process, stop| ingest(process, stop, fronts.clone(), number),
            ));
        }
        for number in 0..plan.consumers {
            keepers.push(keep(world, &stops, Role::Consumer, number, consumer));
        }
        for number in 0..plan.aggregators {
            keepers.push(keep(world, &stops, Role::Aggregator, number, aggregator));
        }
        let followed = Followed::default();
        let follows = followed.clone();
        let follow = move |process, stop| follow::run(process, stop, follows.clone());
        keepers.push(keep(world, &stops, Role::Tail, 0, follow));
        keepers.push(keep(world, &stops, Role::Query, 0, query::run));
        let replay = keep(world, &stops, Role::Replay, 0, replayer);
        Processes {
            fronts,
            followed,
            stops,
            keepers,
            replay,
        }
    }

    /// Starts two consumers, a replay of dead letters, and `count` processes of alerts.
    pub fn of_alerts<F>(
        world: &Arc<World>,
        count: usize,
        alerts: impl Fn(Process, CancellationToken) -> F + Clone + Send + 'static,
    ) -> Processes
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stops = Stops::default();
        let mut keepers = Vec::new();
        for number in 0..world.plan.consumers {
            keepers.push(keep(world, &stops, Role::Consumer, number, consumer));
        }
        for number in 0..count {
            keepers.push(keep(world, &stops, Role::Alerts, number, alerts.clone()));
        }
        Processes {
            fronts: Fronts::default(),
            followed: Followed::default(),
            replay: keep(world, &stops, Role::Replay, 0, replayer),
            stops,
            keepers,
        }
    }

    /// The processes that run now: neither dead nor stopped.
    pub fn running(&self) -> Vec<Process> {
        lock(&self.stops)
            .iter()
            .map(|(process, _)| process.clone())
            .collect()
    }

    /// Tells a process to stop.
    pub fn stop(&self, process: &Process) {
        let stops = lock(&self.stops);
        let running = stops.iter().find(|(other, _)| other.name == process.name);
        if let Some((process, stop)) = running {
            process.world.fire(Attack::Stop(process.role));
            process.tell(format_args!("is told to stop"));
            stop.cancel();
        }
    }

    /// Once there is peace: waits until the replay that is under way has ended, then until the rest
    /// has `drained`, stops all and waits until they have.
    pub async fn end(
        self,
        world: &World,
        drained: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        end(world, self.replay).await;
        drained.await?;
        world.over.cancel();
        for keeper in self.keepers {
            end(world, keeper).await;
        }
        Ok(())
    }
}

async fn end(world: &World, keeper: JoinHandle<()>) {
    if timeout(END_WITHIN, keeper).await.is_err() {
        world.fail("a process does not stop".to_owned());
    }
}

/// Keeps a process running until the world is over.
fn keep<F>(
    world: &Arc<World>,
    stops: &Stops,
    role: Role,
    number: usize,
    work: impl Fn(Process, CancellationToken) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (world, stops) = (world.clone(), stops.clone());
    // A replay in peace would take letters away that are there to stay.
    let over = match role {
        Role::Replay => world.peace.clone(),
        _ => world.over.clone(),
    };
    tokio::spawn(async move {
        let mut chance = Chance::new(world.plan.seed, &format!("{}-{number}", role.name()));
        for incarnation in 1.. {
            let process = Process::start(&world, role, number, incarnation);
            let stop = over.child_token();
            lock(&stops).push((process.clone(), stop.clone()));
            let stopping = async {
                stop.cancelled().await;
                Instant::now()
            };
            let (ended, stopped_at) = {
                let work = process.life.live(work(process.clone(), stop.clone()));
                let (mut work, mut stopping) = (std::pin::pin!(work), std::pin::pin!(stopping));
                tokio::select! {
                    biased;
                    ended = &mut work => (ended, None),
                    at = &mut stopping => (work.await, Some(at)),
                }
            };
            lock(&stops).retain(|(other, _)| other.name != process.name);
            match &ended {
                Some(Ok(())) => process.tell(format_args!("ends")),
                Some(Err(error)) => process.tell(format_args!("ends: {error:#}")),
                None => {}
            }
            if let (Some(Ok(())), Some(at), Role::Ingest | Role::Consumer) =
                (&ended, stopped_at, role)
                && at.elapsed() > GRACE + SLACK
                && !process.life.was_frozen()
            {
                world.fail(format!(
                    "{} took {:?} to stop, its grace is {GRACE:?}",
                    process.name,
                    at.elapsed()
                ));
            }
            // What it left behind, as tasks of its own, reaches nobody any more.
            process.life.kill();
            if over.is_cancelled() {
                return;
            }
            sleep(chance.time(world.plan.down.clone())).await;
        }
    })
}

/// Grace of an ingest or consumer that is told to stop.
const GRACE: Duration = Duration::from_secs(20);

async fn ingest(
    process: Process,
    stop: CancellationToken,
    fronts: Fronts,
    number: usize,
) -> anyhow::Result<()> {
    static DEFAULTS: OnceLock<ingest::Config> = OnceLock::new();
    let mut config = DEFAULTS
        .get_or_init(|| {
            let key = format!("--api-keys={API_KEY}");
            ingest::Config::parse_from(["ingest", &key, "--create=false"])
        })
        .clone();
    config.queue.queue_name = QUEUE.to_owned();
    config.dlq.dlq_name = DEAD_LETTERS.to_owned();
    config.shutdown_grace = GRACE;
    process.draw(|chance| {
        config.linger = Duration::from_millis(chance.one_of(&[0, 25, 200]));
        config.send_timeout = Duration::from_secs(chance.one_of(&[3, 10]));
        config.max_in_flight = chance.one_of(&[1, 4]);
        config.max_connections = chance.one_of(&[1, 2, 1_000]);
    });
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .build_recorder()
        .handle();
    let aws = process.aws();
    let app = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        app = ingest::App::start(&config, &aws, metrics) => app?,
    };
    let (front, connections) = Front::new(&process);
    lock(&fronts)[number] = Some(front);
    // Until its process ends, which also ends this future.
    let _down = Down { fronts, number };
    ingest::serve(&config, app, connections, Default::default(), &stop).await
}

/// Takes an ingest from its place when its process ends.
struct Down {
    fronts: Fronts,
    number: usize,
}

impl Drop for Down {
    fn drop(&mut self) {
        lock(&self.fronts)[self.number] = None;
    }
}

async fn consumer(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    let mut config = batch_consumer::Config::default();
    config.queue.queue_name = QUEUE.to_owned();
    config.dlq.dlq_name = DEAD_LETTERS.to_owned();
    config.lake.lake_bucket = BUCKET.to_owned();
    config.create.create = Some(false);
    config.shutdown_grace = GRACE;
    process.draw(|chance| {
        config.batch_max_messages = chance.one_of(&[1, 3, 100]);
        config.batch_max_wait = Duration::from_millis(chance.one_of(&[100, 800, 2_000]));
        config.receivers = chance.one_of(&[1, 2, 4]);
        config.poll_wait = Duration::from_secs(chance.one_of(&[2, 10, 20]));
        config.visibility_timeout = Duration::from_secs(chance.one_of(&[4, 10, 60]));
    });
    // From a stream of its own: those of older seeds stay as they were.
    config.batch_adaptive = Chance::new(process.world.plan.seed, "adaptive").hits(0.5);
    batch_consumer::run(config, process.aws(), stop).await
}

async fn aggregator(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    let mut config = aggregator_config();
    let memory = process.draw(|chance| {
        config.interval = Duration::from_millis(chance.one_of(&[3_000, 10_000, 30_000]));
        config.commit_max_age = Duration::from_secs(chance.one_of(&[0, 0, 5]));
        chance.one_of(&[8 << 10, 32 << 10, 256 << 20])
    });
    config.memory_limit = ByteSize(memory);
    if memory < 1 << 20 {
        process.world.fire(Attack::LittleMemory);
    }
    // From a stream of its own: those of older seeds stay as they were.
    let mut chance = Chance::new(process.world.plan.seed, &format!("hours-{}", process.name));
    let most_hours = chance.one_of(&[1, 2, 5_000]);
    config.commit_max_hours = NonZeroUsize::MIN.saturating_add(most_hours - 1);
    aggregator::watch(&config, &process.aws(), &stop, |_| {}).await;
    Ok(())
}

/// The settings of an aggregator of the simulated lake. Other threads would take the order of events out of the seed's
/// hands.
pub fn aggregator_config() -> aggregator::Config {
    static DEFAULTS: OnceLock<aggregator::Config> = OnceLock::new();
    DEFAULTS
        .get_or_init(|| aggregator::Config {
            threads: Some(NonZeroUsize::MIN),
            ..aggregator::Config::for_bucket(BUCKET)
        })
        .clone()
}

/// Sends all dead letters back to the queue, again and again.
async fn replayer(process: Process, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        let pause =
            process.draw(|chance| chance.time(Duration::from_secs(2)..Duration::from_secs(20)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = sleep(pause) => {}
        }
        if process.world.cloud.queue_depth(DEAD_LETTERS) == 0 {
            continue;
        }
        let aws = process.aws();
        let (dead_letters, queue) = (aws.queue(DEAD_LETTERS).await?, aws.queue(QUEUE).await?);
        let filter = Filter {
            sent_before: Some(process.clock.now()),
            ..Filter::default()
        };
        let replayed = replay(&dead_letters, &queue, &filter, false, &stop, |_, _| {}).await?;
        process.tell(format_args!(
            "replayed {}, {} not sent, {} not deleted",
            replayed.sent, replayed.unsent, replayed.undeleted
        ));
    }
}
