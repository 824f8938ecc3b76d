//! Receivers of notifications, the way to them, and what they were told.

use std::sync::Arc;
use std::time::Duration;

use alerts::notify::{ATTEMPT_TIMEOUT, HttpReply, MailFailure, MailReply, Smtp, Transport};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::alerts::Town;
use crate::alerts::refusal::Refusal;
use crate::attack::{Attack, Moment};
use crate::plan::Strike;
use crate::wire::Process;
use crate::world::lock;

/// Names of the receivers in `rules/notify.yml`.
pub const RECEIVERS: [&str; 2] = ["pager", "team"];

/// How long a receiver that is away stays away.
const AWAY: TimeDelta = TimeDelta::hours(1);

/// A message that a receiver took.
#[derive(Debug, Clone)]
pub struct Told {
    /// Name of the receiver.
    pub receiver: &'static str,
    /// `Idempotency-Key`.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What it says.
    pub message: Message,
}

/// The fields of a webhook that are looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Message {
    /// Its alerts.
    pub alerts: Vec<ToldAlert>,
    /// Why it was sent.
    pub notification_reason: String,
}

/// An alert of a message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldAlert {
    /// `firing` or `resolved`.
    pub status: String,
    /// Its labels.
    pub labels: Labels,
    /// Since when it fires.
    pub starts_at: DateTime<Utc>,
    /// When it was resolved.
    pub ends_at: DateTime<Utc>,
}

/// The labels that tell alerts apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Labels {
    /// Name of the rule.
    pub alertname: String,
    /// The device.
    pub entity_id: String,
}

/// The way from a process to the receivers.
#[derive(Debug)]
pub struct Way {
    /// The process.
    pub process: Process,
    /// Where the receivers are.
    pub town: Arc<Town>,
}

impl Transport for Way {
    fn http(&self, request: Request<Bytes>) -> BoxFuture<'_, HttpReply> {
        Box::pin(async move {
            let process = &self.process;
            process.life.goes_on().await;
            let strike = process.strike_at_request();
            process.tell(format_args!("POST {}", request.uri()));
            if let Some((strike, Moment::BeforeRequest)) = strike {
                process.strike(strike, Moment::BeforeRequest);
                process.life.goes_on().await;
            }
            let (answer, waiting) = oneshot::channel();
            tokio::spawn(travel(
                process.clone(),
                self.town.clone(),
                request,
                strike,
                answer,
            ));
            let reply = timeout(ATTEMPT_TIMEOUT, waiting).await;
            process.life.goes_on().await;
            match reply {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => Err("the connection is cut".to_owned()),
                Err(_) => Err("no answer in time".to_owned()),
            }
        })
    }

    fn mail<'t>(&'t self, _: &'t Smtp, _: lettre::Message) -> BoxFuture<'t, MailReply> {
        let failure = MailFailure {
            is_permanent: true,
            reason: "there are no mail servers here".to_owned(),
        };
        Box::pin(async move { Err(failure) })
    }

    fn print(&self, line: &str) {
        self.process.tell(format_args!("prints {line}"));
    }
}

/// There, the effect, and back: whether or not anyone waits.
async fn travel(
    process: Process,
    town: Arc<Town>,
    request: Request<Bytes>,
    strike: Option<(Strike, Moment)>,
    answer: oneshot::Sender<HttpReply>,
) {
    let host = request.uri().host().unwrap_or_default();
    let Some(number) = RECEIVERS.iter().position(|name| *name == host) else {
        return town.world.fail(format!("nobody is called `{host}`"));
    };
    let draw = || {
        let mut chance = lock(&town.receivers[number]);
        let way = chance.time(Duration::from_millis(1)..Duration::from_millis(80));
        let refused = town.world.is_disturbed() && chance.hits(town.plan.refused);
        let refusal = refused.then(|| chance.one_of(&Refusal::ALL[..6]));
        (way, refusal, chance.hits(0.5), chance.number(1..120))
    };
    let (way, refusal, one_half, seconds) = draw();
    sleep(way).await;
    let now = town.world.clock.now();
    let is_away = town.away[number].is_some_and(|from| from <= now && now < from + AWAY);
    let refusal = if is_away {
        Some(Refusal::Away)
    } else {
        refusal
    };
    if let Some(refusal) = refusal {
        town.world.fire(Attack::Receiver(refusal));
        town.world
            .tell(RECEIVERS[number], format_args!("{refusal}"));
    }
    let takes = match refusal {
        None | Some(Refusal::CutAfter) => true,
        Some(Refusal::Hangs) => one_half,
        Some(_) => false,
    };
    if takes {
        town.take(RECEIVERS[number], &request, now);
    }
    if let Some((strike, Moment::AfterEffect)) = strike {
        process.strike(strike, Moment::AfterEffect);
    }
    sleep(way).await;
    let reply = match refusal {
        None => status(StatusCode::OK, None),
        Some(Refusal::Fails) => status(StatusCode::INTERNAL_SERVER_ERROR, None),
        Some(Refusal::Throttles) => {
            status(StatusCode::TOO_MANY_REQUESTS, one_half.then_some(seconds))
        }
        Some(Refusal::Refuses) => status(StatusCode::BAD_REQUEST, None),
        Some(Refusal::Hangs) => return sleep(2 * ATTEMPT_TIMEOUT).await,
        Some(Refusal::CutBefore | Refusal::CutAfter | Refusal::Away) => return,
    };
    // An error says that nobody waits any more.
    let _ = answer.send(Ok(reply));
}

fn status(status: StatusCode, retry_after: Option<u64>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

impl Town {
    /// A receiver takes a message. It must be in the log by then, and a repeat must tell of the same alerts.
    fn take(&self, receiver: &'static str, request: &Request<Bytes>, at: DateTime<Utc>) {
        let id = request.headers().get("idempotency-key");
        let id = id
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let message: Message = match serde_json::from_slice(request.body()) {
            Ok(message) => message,
            Err(error) => {
                let text = String::from_utf8_lossy(request.body());
                return self
                    .world
                    .fail(format!("{receiver} cannot read {text}: {error}"));
            }
        };
        self.world.tell(
            receiver,
            format_args!("takes {id}: {}", message.notification_reason),
        );
        let mut log = lock(&self.log);
        log.read_on(&self.world);
        match log.opened.get(&id) {
            None => self.world.fail(format!(
                "{receiver} was told by {id} what is not in the log: {message:?}"
            )),
            Some(opened) if opened.receiver != receiver => {
                let whose = &opened.receiver;
                self.world
                    .fail(format!("{receiver} was told by {id} what is for {whose}"));
            }
            Some(_) => {}
        }
        let mut told = lock(&self.told);
        let first = told.iter().find(|told| told.id == id);
        let of = |message: &Message| -> Vec<_> {
            let alerts = message.alerts.iter();
            alerts
                .map(|alert| (alert.status.clone(), alert.labels.clone(), alert.starts_at))
                .collect()
        };
        if let Some(first) = first.filter(|first| of(&first.message) != of(&message)) {
            self.world.fail(format!(
                "{id} told first {:?}, then {message:?}",
                first.message
            ));
        }
        told.push(Told {
            receiver,
            id,
            at,
            message,
        });
    }
}
