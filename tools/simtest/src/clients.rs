//! Those who post events, and enter in the ledger what was accepted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{Kinds, MAX_SIGNALS};
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Request, StatusCode};
use judge::{Certainty, Ledger};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::attack::{Attack, TROUBLES};
use crate::chance::Chance;
use crate::events::{Events, SimulatedEvent};
use crate::processes::{API_KEY, Fronts};
use crate::socket::{Connection, PostBody};
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

/// One client.
struct Client {
    clients: Clients,
    name: String,
    chance: Chance,
    /// The connection of its last post, where that was kept.
    connection: Option<Connection>,
}

impl Clients {
    fn client(self, name: String) -> Client {
        Client {
            chance: Chance::new(self.world.plan.seed, &name),
            clients: self,
            name,
            connection: None,
        }
    }

    /// One client that posts vehicles' events with ever new signals, until these are more than the kind may have
    /// columns.
    pub async fn post_new_names(self) {
        let mut client = self.clone().client("newcomer".to_owned());
        let seed = Chance::new(self.world.plan.seed, "new names");
        let mut events = Events::new(seed, 0.0, "new");
        let bound = self
            .kinds
            .get("vehicle")
            .map_or(0, |kind| kind.max_undeclared);
        let mut accepted = 0;
        // Most of the names in a post, and some in later ones, which another commit may take in.
        for count in [bound / MAX_SIGNALS, 1, 2] {
            let now = self.world.clock.now();
            let events: Vec<_> = (0..count).map(|_| events.with_new_names(now)).collect();
            if client.post(&events).await {
                accepted += count;
            }
            sleep(client.chance.time(Duration::ZERO..Duration::from_secs(5))).await;
        }
        if accepted * MAX_SIGNALS > bound {
            self.world.fire(Attack::NewNames);
        }
    }

    /// One client: posts until no posts are left.
    pub async fn post_all(self, number: usize) {
        let mut client = self.client(format!("client-{number}"));
        loop {
            let pause = client.clients.world.plan.pause;
            sleep(client.chance.time(Duration::ZERO..pause)).await;
            {
                let mut left = lock(&client.clients.left);
                if *left == 0 {
                    return;
                }
                *left -= 1;
            }
            let events = client.clients.make(&mut client.chance);
            client.post(&events).await;
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
}

impl Client {
    /// Posts the events until there is an answer, or no more hope of one; says whether ingest took them.
    async fn post(&mut self, events: &[SimulatedEvent]) -> bool {
        let (body, content_type) = body(&mut self.chance, events);
        let (clients, name) = (self.clients.clone(), self.name.clone());
        let world = &clients.world;
        // What an attempt without an answer left behind is not known.
        let mut unknown = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let pause = Duration::from_millis(100) * 2_u32.pow(attempt);
                sleep(self.chance.time(pause / 2..pause)).await;
            }
            match self.attempt(&body, content_type).await {
                Answer::Unknown => unknown = true,
                Answer::Answered(status, text) => {
                    world.tell(&name, format_args!("{} events: {status}", events.len()));
                    match status {
                        StatusCode::ACCEPTED | StatusCode::UNPROCESSABLE_ENTITY => {
                            clients.enter(&name, events, &text);
                            return true;
                        }
                        StatusCode::SERVICE_UNAVAILABLE => unknown = true,
                        // Nothing was accepted. A body is too slow (408) also where its connection is asked to
                        // give way as the request begins.
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {}
                        _ => {
                            let text = String::from_utf8_lossy(&text).into_owned();
                            world.fail(format!("{name} was told {status}: {text}"));
                            return false;
                        }
                    }
                }
            }
        }
        world.tell(&name, format_args!("{} events: given up", events.len()));
        if unknown {
            for event in events.iter().filter(|event| event.sound) {
                clients.record(&event.text, Certainty::Maybe);
            }
        }
        false
    }

    async fn attempt(&mut self, body: &str, content_type: &'static str) -> Answer {
        let (world, chance) = (&self.clients.world, &mut self.chance);
        let troubled = world.is_disturbed() && chance.hits(world.plan.client_trouble);
        let trouble = troubled.then(|| chance.one_of(&TROUBLES));
        let (there, back) = (way(chance), way(chance));
        let leaves = chance.time(Duration::ZERO..Duration::from_millis(40));
        let each_byte = chance.time(Duration::from_millis(1)..Duration::from_millis(20));
        let keeps = chance.hits(0.5);
        let front = {
            let fronts = lock(&self.clients.fronts);
            let at = chance.number(0..fronts.len() as u64) as usize;
            fronts[at].clone()
        };
        sleep(there).await;
        if let Some(trouble) = trouble {
            world.fire(trouble);
            world.tell(&self.name, format_args!("{trouble}"));
        }
        let Some(front) = front.filter(|front| !front.process.life.is_dead()) else {
            // The connection is refused.
            return Answer::Unknown;
        };
        if trouble == Some(Attack::PostLost) {
            return Answer::Unknown;
        }
        let kept = self.connection.take();
        let connection = match kept.filter(|kept| kept.leads_to(&front.process)) {
            Some(kept) => Some(kept),
            None => front.connect().await,
        };
        let (sent, patience) = match trouble {
            Some(Attack::HalfSent) => (half(body), leaves),
            Some(Attack::ByteByByte) => (byte_by_byte(body, each_byte), PATIENCE),
            Some(Attack::ClientLeft) => (whole(body), leaves),
            _ => (whole(body), PATIENCE),
        };
        let request = Request::post("/v1/events")
            .header("host", "ingest")
            .header("x-api-key", API_KEY)
            .header("content-type", content_type)
            .header("content-length", body.len())
            .body(sent);
        let (Some(mut connection), Ok(request)) = (connection, request) else {
            return Answer::Unknown;
        };
        let answered = timeout(patience, connection.exchange(request)).await;
        if let Some(Attack::ClientLeft | Attack::HalfSent) = trouble {
            // Dropping the connection closes it, whatever is under way.
            return Answer::Unknown;
        }
        sleep(back).await;
        let Ok(Some((status, text))) = answered else {
            return Answer::Unknown;
        };
        self.connection = keeps.then_some(connection);
        if trouble == Some(Attack::AnswerLost) {
            return Answer::Unknown;
        }
        Answer::Answered(status, text)
    }
}

fn whole(text: &str) -> PostBody {
    Full::from(text.to_owned()).boxed_unsync()
}

/// The first half, and nothing after it.
fn half(text: &str) -> PostBody {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let half = stream::iter([Ok(Frame::data(half))]);
    StreamBody::new(half.chain(stream::pending())).boxed_unsync()
}

/// One byte after the other, each after a pause.
fn byte_by_byte(text: &str, pause: Duration) -> PostBody {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let bytes = stream::unfold(text, move |mut left| async move {
        sleep(pause).await;
        let byte = (!left.is_empty()).then(|| left.split_to(1))?;
        Some((Ok(Frame::data(byte)), left))
    });
    StreamBody::new(bytes).boxed_unsync()
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
