//! Receivers in the test's memory: each host answers in its own way, and what it took is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use alerts::notify::{ATTEMPT_TIMEOUT, HttpReply, MailReply, Smtp, Transport};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How a host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200.
    Good,
    /// This status, until a time.
    StatusUntil(u16, Instant),
    /// This status to each n-th request, and 200 to the others.
    StatusEach(u16, u64),
    /// 429 with `Retry-After: 2` to each n-th request.
    BusyEach(u64),
    /// 429 with `Retry-After: 1` until a time.
    BusyUntil(Instant),
    /// 400 to messages about groups whose `alertname` begins so.
    Dislikes(&'static str),
    /// No answer to each n-th request, which is not taken.
    HangEach(u64),
    /// The connection is cut after each n-th request, which is taken all the same.
    CutEach(u64),
}

/// A request that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) host: String,
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Taken {
    pub(crate) fn status(&self) -> &str {
        self.body["status"].as_str().unwrap()
    }

    /// Values of the label `n` of its alerts, with the status of each.
    pub(crate) fn alerts(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alerts = self.body["alerts"].as_array().unwrap().iter();
        alerts
            .map(|alert| (text(&alert["labels"]["n"]), text(&alert["status"])))
            .collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Receivers {
    manners: Mutex<BTreeMap<String, Manner>>,
    asked: Mutex<BTreeMap<String, u64>>,
    taken: Mutex<Vec<Taken>>,
}

impl Receivers {
    pub(crate) fn behave(&self, host: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(host.to_owned(), manner);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn taken_by(&self, host: &str) -> Vec<Taken> {
        let mut taken = self.taken();
        taken.retain(|taken| taken.host == host);
        taken
    }

    /// Requests to a host so far, answered or not.
    pub(crate) fn asked(&self, host: &str) -> u64 {
        self.asked
            .lock()
            .unwrap()
            .get(host)
            .copied()
            .unwrap_or_default()
    }

    fn take(&self, host: &str, request: &Request<Bytes>) {
        self.taken.lock().unwrap().push(Taken {
            host: host.to_owned(),
            id: request.headers()["idempotency-key"]
                .to_str()
                .unwrap()
                .to_owned(),
            body: serde_json::from_slice(request.body()).unwrap(),
            at: Instant::now(),
        });
    }
}

fn is_about(request: &Request<Bytes>, name: &str) -> bool {
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let group = body["groupLabels"]["alertname"].as_str();
    group.unwrap().starts_with(name)
}

fn answer(status: u16) -> HttpReply {
    Ok(Response::builder()
        .status(status)
        .body(Bytes::from_static(b"told"))
        .unwrap())
}

impl Transport for Receivers {
    fn http(&self, request: Request<Bytes>) -> BoxFuture<'_, HttpReply> {
        Box::pin(async move {
            let host = request.uri().host().unwrap().to_owned();
            let nth = {
                let mut asked = self.asked.lock().unwrap();
                let count = asked.entry(host.clone()).or_default();
                *count += 1;
                *count
            };
            let manner = self
                .manners
                .lock()
                .unwrap()
                .get(&host)
                .copied()
                .unwrap_or(Manner::Good);
            sleep(Duration::from_millis(5)).await;
            match manner {
                Manner::StatusUntil(status, until) if Instant::now() < until => answer(status),
                Manner::StatusEach(status, each) if nth.is_multiple_of(each) => answer(status),
                Manner::BusyEach(each) if nth.is_multiple_of(each) => {
                    let busy = Response::builder().status(429).header("retry-after", "2");
                    Ok(busy.body(Bytes::new()).unwrap())
                }
                Manner::BusyUntil(until) if Instant::now() < until => {
                    let busy = Response::builder().status(429).header("retry-after", "1");
                    Ok(busy.body(Bytes::new()).unwrap())
                }
                Manner::Dislikes(name) if is_about(&request, name) => answer(400),
                Manner::HangEach(each) if nth.is_multiple_of(each) => {
                    sleep(ATTEMPT_TIMEOUT).await;
                    Err("no answer within 10s".to_owned())
                }
                Manner::CutEach(each) if nth.is_multiple_of(each) => {
                    self.take(&host, &request);
                    Err("the connection was cut".to_owned())
                }
                _ => {
                    self.take(&host, &request);
                    sleep(Duration::from_millis(5)).await;
                    answer(200)
                }
            }
        })
    }

    fn mail<'t>(&'t self, _: &'t Smtp, _: lettre::Message) -> BoxFuture<'t, MailReply> {
        Box::pin(async { Ok("250 queued".to_owned()) })
    }

    fn print(&self, _: &str) {}
}
