//! One run: faults under load, then peace, then the laws. The same seed gives the same run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batch_consumer::dlq::{Filter, replay};
use contract::{Kinds, MAX_RECEIVES};
use judge::Certainty;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::alerts;
use crate::attack::{Attack, Moment, Role};
use crate::chance::Chance;
use crate::clients::{Clients, Entries};
use crate::events::Events;
use crate::follow;
use crate::forget;
use crate::laws;
use crate::processes::Processes;
use crate::query;
use crate::strange;
use crate::subject::Subject;
use crate::trace::Keep;
use crate::world::{BUCKET, DEAD_LETTERS, QUEUE, World, lock};

/// Longest simulated time from peace to an empty queue.
const DRAIN_WITHIN: Duration = Duration::from_secs(3 * 3_600);

std::thread_local! {
    /// Panics of the run on this thread.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Results of a run.
#[derive(Debug)]
pub struct RunResult {
    /// The seed of the run.
    pub seed: u64,
    /// Laws that were broken, in words; empty if all held.
    pub failures: Vec<String>,
    /// How often each attack took place.
    pub fired: BTreeMap<Attack, u64>,
    /// Number of accepted events.
    pub accepted: u64,
    /// Number of requests to the emulated AWS.
    pub requests: u64,
    /// Duration in simulated time.
    pub simulated: Duration,
    /// Hash over all lines of the trace.
    pub digest: u64,
    /// Lines of the trace; empty unless [`Keep::Lines`].
    pub trace: Vec<String>,
}

/// Makes a panic a failure of its run rather than a message on stderr. Call it once, before the first run.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.with_borrow_mut(|panics| panics.push(format!("panics: {panic}")));
    }));
}

/// Runs a seed of the pipeline on this thread.
///
/// # Errors
///
/// If the runtime cannot be made or the world cannot be set up.
pub fn run(seed: u64, keep: Keep) -> anyhow::Result<RunResult> {
    run_of(Subject::Pipeline, seed, keep)
}

/// Runs a seed on this thread.
///
/// # Errors
///
/// As of [`run`].
pub fn run_of(subject: Subject, seed: u64, keep: Keep) -> anyhow::Result<RunResult> {
    // The SDK's retries and ours take their jitter from this generator.
    fastrand::seed(seed);
    PANICS.with_borrow_mut(Vec::clear);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let mut result = runtime.block_on(live_through(subject, seed, keep))?;
    drop(runtime);
    result.failures.extend(PANICS.take());
    Ok(result)
}

async fn live_through(subject: Subject, seed: u64, keep: Keep) -> anyhow::Result<RunResult> {
    let start = Instant::now();
    let world = World::new(subject.plan(seed), keep)?;
    world.tell("seed", format_args!("{seed}: {:?}", world.plan));
    let aws = world.onlooker();
    aws::setup::create_queues(&aws, QUEUE, DEAD_LETTERS).await?;
    aws::setup::create_bucket(&aws, BUCKET).await?;
    let mut accepted = 0;
    {
        let ordeal = async {
            match subject {
                Subject::Pipeline => ordeal(&world).await,
                Subject::Alerts => alerts::ordeal(&world).await,
            }
        };
        let hopeless = world.hopeless.notified();
        tokio::select! {
            biased;
            () = hopeless => {}
            result = ordeal => accepted = result?,
        }
    }
    count_cloud_faults(&world, subject);
    let requests = world.requests();
    let (failures, fired, trace) = world.take_results();
    Ok(RunResult {
        seed,
        failures,
        fired,
        accepted,
        requests,
        simulated: start.elapsed(),
        digest: trace.digest(),
        trace: trace.into_lines(),
    })
}

/// Faults under load, then peace, then the laws. Gives the number of accepted events.
async fn ordeal(world: &Arc<World>) -> anyhow::Result<u64> {
    let (plan, entries) = (&world.plan, Entries::default());
    let queue = world.onlooker().queue(QUEUE).await?;
    let processes = Processes::start(world);
    // Faults begin after every process has started: a service that cannot start ends with an error.
    sleep(Duration::from_millis(200)).await;
    world.disturb();
    let clients = Clients {
        world: world.clone(),
        fronts: processes.fronts.clone(),
        entries: entries.clone(),
        kinds: Arc::new(Kinds::builtin()),
        events: Arc::new(Mutex::new(Events::new(
            Chance::new(plan.seed, "events"),
            plan.odd_events,
            "veh",
        ))),
        left: Arc::new(Mutex::new(plan.posts)),
    };
    let mut load = JoinSet::new();
    for number in 0..plan.clients {
        load.spawn(clients.clone().post_all(number));
    }
    if plan.new_names {
        load.spawn(clients.clone().post_new_names());
    }
    for number in 0..plan.looks {
        let clients = clients.clone();
        let mut chance = Chance::new(plan.seed, &format!("look {number}"));
        let at = chance.time(Duration::from_secs(1)..plan.unrest + Duration::from_secs(20));
        load.spawn(async move {
            sleep(at).await;
            laws::look(&clients, number as usize).await;
        });
    }
    let strangers = {
        let clients = clients.clone();
        tokio::spawn(async move { strange::put_into(&queue, &clients).await })
    };
    let late = {
        let clients = clients.clone();
        tokio::spawn(async move { strange::put_late_parts(&clients).await })
    };
    let rebuilt = {
        let world = world.clone();
        tokio::spawn(async move { query::rebuild(&world).await })
    };
    let unrest = async {
        let loaded = async { while load.join_next().await.is_some() {} };
        tokio::join!(loaded, sleep(plan.unrest));
    };
    let calmed = async {
        tokio::select! {
            biased;
            () = strike_now_and_then(world, &processes, &Role::ALL) => {}
            () = unrest => {}
        }
        world.calm();
        world.tell("world", format_args!("is calm"));
    };
    // In this task: it cannot be sent to another one.
    tokio::join!(calmed, forget::forget(&clients));
    let doomed = strangers.await?;
    late.await?;
    rebuilt.await?;
    let followed = processes.followed.clone();
    processes.end(world, drain(world)).await?;
    follow::hold(world, &followed);
    laws::hold(world, &clients, &doomed).await;
    query::hold_at_end(world).await;
    forget::hold(world);
    let entries = lock(&entries);
    let accepted = entries
        .iter()
        .filter(|(.., one)| *one == Certainty::Accepted);
    Ok(accepted.count() as u64)
}

/// Strikes or stops a process of these roles now and then, whatever it is doing; never returns.
pub(crate) async fn strike_now_and_then(world: &World, processes: &Processes, roles: &[Role]) {
    let Some(mean) = world.plan.strike_every else {
        return std::future::pending().await;
    };
    let mut chance = Chance::new(world.plan.seed, "strikes");
    loop {
        sleep(chance.time(Duration::ZERO..2 * mean)).await;
        let running = processes.running();
        if running.is_empty() {
            continue;
        }
        let role = chance.one_of(roles);
        let of_role: Vec<_> = running.iter().filter(|one| one.role == role).collect();
        if of_role.is_empty() {
            continue;
        }
        let victim = chance.one_of(&of_role);
        if chance.hits(0.35) {
            processes.stop(victim);
        } else {
            let strike = world.plan.strike(&mut chance, victim.role);
            victim.strike(strike, Moment::AnyTime);
        }
    }
}

/// Waits until the queue is empty. Replays the letters that were only received too often.
pub(crate) async fn drain(world: &Arc<World>) -> anyhow::Result<()> {
    let start = Instant::now();
    let aws = world.onlooker();
    loop {
        let (waiting, unlucky) = (world.cloud.queue_depth(QUEUE), laws::unlucky(world));
        if waiting == 0 && unlucky == 0 {
            break;
        }
        if start.elapsed() > DRAIN_WITHIN {
            world.fail(format!(
                "{waiting} messages are left after {DRAIN_WITHIN:?} of peace, and {unlucky} unlucky letters"
            ));
            return Ok(());
        }
        if unlucky > 0 {
            let (letters, queue) = (aws.queue(DEAD_LETTERS).await?, aws.queue(QUEUE).await?);
            let filter = Filter {
                reason: Some(MAX_RECEIVES.to_owned()),
                ..Filter::default()
            };
            let stop = CancellationToken::new();
            replay(&letters, &queue, &filter, false, &stop, |_, _| {}).await?;
        }
        sleep(Duration::from_secs(1)).await;
    }
    // A consumer may still hold another delivery of a message that is deleted already.
    sleep(Duration::from_secs(10)).await;
    Ok(())
}

fn count_cloud_faults(world: &World, subject: Subject) {
    let fired = world.cloud.faults_fired();
    for attack in subject.attacks() {
        if let Attack::Cloud(..) = attack {
            let times = fired.get(&attack.to_string()).copied().unwrap_or_default();
            world.fire_times(attack, times);
        }
    }
    world.fire_times(Attack::Redelivery, world.cloud.redeliveries());
}
