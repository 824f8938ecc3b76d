//! The wire between a process and the cloud, on which requests are slow, and at whose end the
//! process may be struck.
//!
//! A request that has left goes its way whatever becomes of its sender: it takes effect though
//! the sender is dead, stands still or has given up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws::{Aws, Clock};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::attack::{Attack, Moment, Role};
use crate::chance::Chance;
use crate::life::Life;
use crate::plan::Strike;
use crate::stage::Stage;
use crate::world::{World, lock};

/// How long a request or an answer takes when nothing is wrong.
const USUAL: std::ops::Range<Duration> = Duration::from_millis(1)..Duration::from_millis(12);

/// One process from its start to its end, as the world sees it.
#[derive(Debug, Clone)]
pub struct Process {
    /// The world that it is in.
    pub world: Arc<World>,
    /// What it does.
    pub role: Role,
    /// `consumer-1.3`: the first consumer, started for the third time.
    pub name: Arc<str>,
    /// Whether the process is running, frozen or dead.
    pub life: Life,
    /// The process's clock, wrong by some seconds if the seed says so.
    pub clock: Clock,
    /// Whether the parts that it writes get names that tell no time.
    old_names: bool,
    chance: Arc<Mutex<Chance>>,
}

impl Process {
    /// A process that starts now.
    pub fn start(world: &Arc<World>, role: Role, number: usize, incarnation: u32) -> Process {
        let name = format!("{}-{number}.{incarnation}", role.name());
        let mut chance = Chance::new(world.plan.seed, &name);
        let most = world.plan.clock_error.num_milliseconds();
        let error = chance.number(0..(2 * most + 1).unsigned_abs()) as i64 - most;
        if error.abs() >= 1_000 {
            world.fire(Attack::ClockApart);
        }
        world.tell(&name, format_args!("starts, its clock {error} ms ahead"));
        Process {
            world: world.clone(),
            role,
            name: name.into(),
            old_names: world.plan.old_names && role == Role::Consumer && number == 0,
            life: Life::new(),
            clock: Clock::starting_at(world.clock.now() + chrono::TimeDelta::milliseconds(error)),
            chance: Arc::new(Mutex::new(chance)),
        }
    }

    /// Clients of the emulated cloud, through which the faults reach the process.
    pub fn aws(&self) -> Aws {
        let http = SharedHttpClient::new(Wire {
            process: self.clone(),
            inner: self.world.cloud.http_client(),
        });
        Aws::emulated_at(http, self.world.cloud.endpoint(), self.clock)
    }

    /// Adds a line to the trace.
    pub fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.world.tell(&self.name, what);
    }

    /// Strikes the process, unless the faults have ended: a strike that is drawn when a request leaves may be due only
    /// after the request's effect, and a slow request takes effect much later.
    pub fn strike(&self, strike: Strike, moment: Moment) {
        if !self.world.is_disturbed() {
            return;
        }
        match strike {
            Strike::Kill if !self.life.is_dead() => {
                self.world.fire(Attack::Kill(self.role, moment));
                self.tell(format_args!("is killed"));
                self.life.kill();
            }
            Strike::Freeze(time) if self.world.freeze(&self.life, time) => {
                self.world.fire(Attack::Freeze(self.role, moment));
                self.tell(format_args!("freezes for {} ms", time.as_millis()));
            }
            _ => {}
        }
    }

    /// Draws with the process's own chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut lock(&self.chance))
    }

    /// Draws the strike that befalls it with one request, if any does.
    pub(crate) fn strike_at_request(&self) -> Option<(Strike, Moment)> {
        let plan = &self.world.plan;
        if !self.world.is_disturbed() || self.role == Role::Reader {
            return None;
        }
        self.draw(|chance| {
            let struck = chance.hits(plan.struck);
            let moment = chance.one_of(&[Moment::BeforeRequest, Moment::AfterEffect]);
            struck.then(|| (plan.strike(chance, self.role), moment))
        })
    }

    /// Draws whether the aggregator is killed at this request, if a commit makes it once.
    fn take_over(&self, request: &str) -> Option<(Strike, Moment)> {
        let aggregates = self.role == Role::Aggregator && self.world.is_disturbed();
        let (_, moment) = Stage::once(request).filter(|_| aggregates)?;
        self.draw(|chance| chance.hits(self.world.plan.take_over))
            .then_some((Strike::Kill, moment))
    }

    /// Draws how long a request or an answer is on its way.
    fn way(&self, slow: Attack) -> Duration {
        let plan = &self.world.plan;
        let disturbed = self.world.is_disturbed();
        let (is_slow, time) = self.draw(|chance| match disturbed && chance.hits(plan.slow) {
            true => (true, chance.time(plan.slowness.clone())),
            false => (false, chance.time(USUAL)),
        });
        if is_slow {
            self.world.fire(slow);
        }
        time
    }
}

/// The SDK's HTTP client of one process.
#[derive(Debug, Clone)]
struct Wire {
    process: Process,
    inner: SharedHttpClient,
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Line {
            process: self.process.clone(),
            cloud: self.inner.http_connector(settings, components),
        })
    }
}

#[derive(Debug, Clone)]
struct Line {
    process: Process,
    cloud: SharedHttpConnector,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let line = self.clone();
        HttpConnectorFuture::new(async move { line.carry(request).await })
    }
}

impl Line {
    async fn carry(self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let process = self.process.clone();
        process.life.goes_on().await;
        process.world.count_request();
        if process.old_names {
            give_old_name(&process.world, &mut request);
        }
        let what = describe(&request);
        let strike = process
            .strike_at_request()
            .or_else(|| process.take_over(&what));
        process.tell(format_args!("{what}"));
        if let Some((Strike::Kill, moment)) = strike
            && process.role == Role::Aggregator
            && let Some(stage) = Stage::of(&what, moment)
        {
            process.world.fire(Attack::TakeOver(stage));
        }
        if process.role == Role::Aggregator
            && Stage::of(&what, Moment::BeforeRequest) == Some(Stage::PutOff)
        {
            process.world.fire(Attack::PutOff);
        }
        if let Some((strike, Moment::BeforeRequest)) = strike {
            process.strike(strike, Moment::BeforeRequest);
            process.life.goes_on().await;
        }
        let (answer, waiting) = oneshot::channel();
        tokio::spawn(self.travel(request, what, strike, answer));
        let response = waiting
            .await
            .unwrap_or_else(|_| Err(ConnectorError::io("the request got lost".into())));
        process.life.goes_on().await;
        response
    }

    /// There, the effect, and back: whether or not anyone waits.
    async fn travel(
        self,
        request: HttpRequest,
        what: String,
        strike: Option<(Strike, Moment)>,
        answer: oneshot::Sender<Result<HttpResponse, ConnectorError>>,
    ) {
        let process = &self.process;
        tokio::time::sleep(process.way(Attack::SlowRequest)).await;
        if answer.is_closed() && process.world.is_disturbed() {
            process.world.fire(Attack::LateEffect);
            process.tell(format_args!("{what}: arrives though nobody waits"));
        }
        let response = self.cloud.call(request).await;
        let outcome = match &response {
            Ok(response) => response.status().as_u16(),
            Err(_) => 0,
        };
        process.tell(format_args!("{what}: {outcome}"));
        if process.role == Role::Consumer
            && let Some(key) = what.strip_prefix("PUT lake/")
        {
            process.world.landed_at(key);
        }
        if let Some((strike, Moment::AfterEffect)) = strike {
            process.strike(strike, Moment::AfterEffect);
        }
        tokio::time::sleep(process.way(Attack::SlowAnswer)).await;
        // An error says that nobody waits any more.
        let _ = answer.send(response);
    }
}

/// Lets a raw part have a name as older releases gave it: one that tells no time, and is the same for a second attempt.
fn give_old_name(world: &World, request: &mut HttpRequest) {
    let uri = request.uri().to_owned();
    let path = uri.split('?').next().unwrap_or_default();
    let part = contract::raw_part_id(path).filter(|_| path.contains("/raw/"));
    if let Some(part) = part.filter(|_| request.method() == "PUT") {
        let old = Uuid::new_v5(&Uuid::NAMESPACE_OID, part.as_bytes());
        let renamed = uri.replace(&part.to_string(), &old.to_string());
        if request.set_uri(renamed).is_ok() {
            world.fire(Attack::OldNames);
        }
    }
}

/// The operation, and for S3 what it is about.
fn describe(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.trim_start_matches("AmazonSQS.").to_owned();
    }
    let uri = request.uri();
    let path = uri.split_once("//").map_or(uri, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, rest)| rest);
    let (key, query) = path.split_once('?').unwrap_or((path, ""));
    let prefix = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="));
    let condition = ["if-none-match", "if-match"]
        .into_iter()
        .find(|name| request.headers().get(name).is_some());
    let mut text = format!("{} {key}", request.method());
    for more in [prefix, condition].into_iter().flatten() {
        text.push(' ');
        text.push_str(more);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::RunPlan;
    use crate::trace::Keep;
    use crate::world::BUCKET;

    #[tokio::test(start_paused = true)]
    async fn a_strike_that_is_due_after_the_faults_have_ended_does_not_take_place() {
        let second = Duration::from_secs(1);
        let plan = RunPlan {
            struck: 1.0,
            slow: 1.0,
            slowness: 10 * second..20 * second,
            cloud: Vec::new(),
            ..RunPlan::of(1)
        };
        let world = World::new(plan, Keep::Hash).unwrap();
        world.disturb();
        let processes: Vec<_> = (0..40)
            .map(|number| Process::start(&world, Role::Tail, number, 1))
            .collect();
        for process in processes.clone() {
            tokio::spawn(async move {
                let lake = process.aws().lake(BUCKET);
                process.life.live(lake.list("raw/", None)).await
            });
        }
        let dead = || processes.iter().filter(|one| one.life.is_dead()).count();
        tokio::time::sleep(second).await;
        let struck = processes.iter().filter(|one| !one.life.runs()).count();
        let dead_in_unrest = dead();
        assert!(0 < dead_in_unrest && dead_in_unrest < struck && struck < processes.len());
        world.calm();
        tokio::time::sleep(60 * second).await;
        assert_eq!(dead(), dead_in_unrest);
        assert!(!processes.iter().any(|one| one.life.is_frozen()));
    }
}
