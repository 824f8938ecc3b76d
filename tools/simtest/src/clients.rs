//! Those who post events, and enter in the ledger what was accepted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, Utc};
use contract::Kinds;
use http_body_util::BodyExt;
use judge::{Certainty, Ledger};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::attack::{Attack, TROUBLES};
use crate::chance::Chance;
use crate::events::{Events, SimulatedEvent};
use crate::processes::{API_KEY, Fronts};
use crate::world::{World, lock};

/// How often a post is tried before its client gives up.
const ATTEMPTS: u32 = 5;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The entries of the ledger: an event, when its client learnt of it, and what.
pub type Entries = Arc<Mutex<Vec<(String, DateTime<Utc>, Certainty)>>>;

/// All clients of a run, and their ledger.
#[derive(Clone)]
pub struct Clients {
    /// The world.
    pub world: Arc<World>,
    /// Where ingest is.
    pub fronts: Fronts,
    /// What was accepted, or may have been.
    pub entries: Entries,
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// Where events come from.
    pub events: Arc<Mutex<Events>>,
    /// How many posts are still to be made.
    pub left: Arc<Mutex<u64>>,
}

/// What ingest says to a post.
#[derive(Debug, Deserialize)]
struct Accepted {
    accepted: usize,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
struct Rejected {
    index: usize,
}

/// What a client learns of its post.
#[derive(Debug)]
enum Answer {
    Answered(StatusCode, Vec<u8>),
    /// Nothing, or that the connection is gone.
    Unknown,
}

impl Clients {
    /// One client: posts until no posts are left.
    pub async fn post_all(self, number: usize) {
        let name = format!("client-{number}");
        let mut chance = Chance::new(self.world.plan.seed, &name);
        loop {
            sleep(chance.time(Duration::ZERO..self.world.plan.pause)).await;
            {
                let mut left = lock(&self.left);
                if *left == 0 {
                    return;
                }
                *left -= 1;
            }
            let events = self.make(&mut chance);
            self.post(&name, &mut chance, &events).await;
        }
    }

    fn make(&self, chance: &mut Chance) -> Vec<SimulatedEvent> {
        let count = chance.one_of(&[1, 1, 3, 8]);
        let now = self.world.clock.now();
        let mut events = lock(&self.events);
        let made: Vec<SimulatedEvent> = (0..count).map(|_| events.next(now)).collect();
        for oddity in made.iter().filter_map(|event| event.oddity) {
            self.world.fire(oddity);
        }
        made
    }

    /// Posts the events until there is an answer, or no more hope of one.
    async fn post(&self, name: &str, chance: &mut Chance, events: &[SimulatedEvent]) {
        let (body, content_type) = body(chance, events);
        // What an attempt without an answer left behind is not known.
        let mut unknown = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let pause = Duration::from_millis(100) * 2_u32.pow(attempt);
                sleep(chance.time(pause / 2..pause)).await;
            }
            let answer = self.attempt(name, chance, &body, content_type).await;
            match answer {
                Answer::Unknown => unknown = true,
                Answer::Answered(status, text) => {
                    self.world
                        .tell(name, format_args!("{} events: {status}", events.len()));
                    match status {
                        StatusCode::ACCEPTED | StatusCode::UNPROCESSABLE_ENTITY => {
                            return self.enter(name, events, &text);
                        }
                        StatusCode::SERVICE_UNAVAILABLE => unknown = true,
                        StatusCode::TOO_MANY_REQUESTS => {}
                        _ => {
                            let text = String::from_utf8_lossy(&text).into_owned();
                            return self.world.fail(format!("{name} was told {status}: {text}"));
                        }
                    }
                }
            }
        }
        self.world
            .tell(name, format_args!("{} events: given up", events.len()));
        if unknown {
            for event in events.iter().filter(|event| event.sound) {
                self.record(&event.text, Certainty::Maybe);
            }
        }
    }

    /// Enters what ingest accepted, and holds its refusals against what was sent.
    fn enter(&self, name: &str, events: &[SimulatedEvent], text: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<Accepted>(text) else {
            let text = String::from_utf8_lossy(text).into_owned();
            return self.world.fail(format!("{name} cannot read: {text}"));
        };
        let refused: Vec<usize> = answer.rejected.iter().map(|event| event.index).collect();
        let expected: Vec<usize> = (0..events.len()).filter(|at| !events[*at].sound).collect();
        if refused != expected || answer.accepted != events.len() - expected.len() {
            self.world.fail(format!(
                "{name} sent {} events of which {expected:?} are broken, and {refused:?} were refused",
                events.len()
            ));
        }
        for event in events.iter().filter(|event| event.sound) {
            self.record(&event.text, Certainty::Accepted);
        }
    }

    /// Enters an event in the ledger.
    pub fn record(&self, text: &str, certainty: Certainty) {
        let entry = (text.to_owned(), self.world.clock.now(), certainty);
        lock(&self.entries).push(entry);
    }

    /// The ledger as it is now.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        for (text, at, certainty) in &*lock(&self.entries) {
            if let Err(error) = ledger.record(&self.kinds, text, *at, *certainty) {
                self.world
                    .fail(format!("the ledger refuses {text}: {error}"));
            }
        }
        ledger
    }

    async fn attempt(
        &self,
        name: &str,
        chance: &mut Chance,
        body: &str,
        content_type: &'static str,
    ) -> Answer {
        let trouble = match self.world.is_disturbed() && chance.hits(self.world.plan.client_trouble)
        {
            true => Some(chance.one_of(&TROUBLES)),
            false => None,
        };
        let (there, back) = (way(chance), way(chance));
        let leaves = chance.time(Duration::ZERO..Duration::from_millis(40));
        let front = {
            let fronts = lock(&self.fronts);
            let at = chance.number(0..fronts.len() as u64) as usize;
            fronts[at].clone()
        };
        sleep(there).await;
        if let Some(trouble) = trouble {
            self.world.fire(trouble);
            self.world.tell(name, format_args!("{trouble}"));
        }
        let Some(front) = front.filter(|front| !front.process.life.is_dead()) else {
            // The connection is refused.
            return Answer::Unknown;
        };
        if trouble == Some(Attack::PostLost) {
            return Answer::Unknown;
        }
        let request = Request::post("/v1/events")
            .header("x-api-key", API_KEY)
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()));
        let Ok(request) = request else {
            return Answer::Unknown;
        };
        // Handled by the process itself: it goes on when the client waits no longer, and not when
        // the process is dead.
        let handled = tokio::spawn(async move {
            let life = front.process.life.clone();
            let response = life.live(front.router.oneshot(request)).await?;
            let Ok(response) = response;
            let status = response.status();
            let bytes = response.into_body().collect().await.ok()?.to_bytes();
            Some(Answer::Answered(status, bytes.to_vec()))
        });
        if trouble == Some(Attack::ClientLeft) {
            sleep(leaves).await;
            // What a server does when the connection closes.
            handled.abort();
            return Answer::Unknown;
        }
        let answer = match timeout(PATIENCE, handled).await {
            Ok(Ok(Some(answer))) => answer,
            _ => Answer::Unknown,
        };
        sleep(back).await;
        match trouble {
            Some(Attack::AnswerLost) => Answer::Unknown,
            _ => answer,
        }
    }
}

fn way(chance: &mut Chance) -> Duration {
    chance.time(Duration::ZERO..Duration::from_millis(8))
}

/// The events as one of the bodies that ingest takes.
fn body(chance: &mut Chance, events: &[SimulatedEvent]) -> (String, &'static str) {
    let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
    match (texts.as_slice(), chance.hits(0.5)) {
        ([alone], true) => ((*alone).to_owned(), "application/json"),
        (_, true) => (format!("[{}]", texts.join(",")), "application/json"),
        (_, false) => (texts.join("\n"), "application/x-ndjson"),
    }
}
