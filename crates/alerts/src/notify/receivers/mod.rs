//! Receivers: a message comes in, a request of the receiver's own form goes out, and its answer is judged.

mod alertmanager;
mod console;
mod email;
mod pagerduty;
mod post;
mod slack;
mod webhook;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use secrecy::SecretString;

pub(crate) use email::Email;

use super::message::{Message, one_line};
use super::transport::{HttpReply, MailReply};

/// Most alerts in a message, unless `max_alerts` says fewer: about 1 MB.
pub(crate) const MOST_ALERTS: usize = 1_000;

/// Most alerts that are handed on to an Alertmanager, which groups them itself: those of a whole rule.
pub(crate) const MOST_HANDED_ON: usize = 10_000;

/// Most characters of an answer that are kept.
const MOST_ANSWER: usize = 300;

/// One integration of a receiver.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    /// `<receiver>/<kind>/<place>`, such as `ops/webhook/0`.
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    pub(crate) send_resolved: bool,
    /// Most alerts in a message.
    pub(crate) max_alerts: usize,
}

/// How a channel is told.
#[derive(Debug, Clone)]
pub(crate) enum ChannelKind {
    Webhook {
        url: SecretString,
        authorization: Option<SecretString>,
    },
    Slack {
        url: SecretString,
        channel: Option<String>,
    },
    PagerDuty {
        url: String,
        routing_key: SecretString,
        severity: Option<String>,
    },
    Alertmanager {
        url: String,
        ends_after: i64,
    },
    Email(Box<Email>),
    Console,
}

/// What a channel's message becomes on its way.
pub(crate) enum Outgoing {
    Http(Box<Request<Bytes>>),
    Mail(Box<Email>, Box<lettre::Message>),
    Lines(Vec<String>),
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) kind: VerdictKind,
    /// In words, for people: one line of at most 300 characters.
    pub(crate) answer: String,
    /// How long the receiver asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// Whether a message has arrived, and whose fault it is if not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerdictKind {
    /// The receiver has taken it.
    Delivered,
    /// The receiver takes nothing for now: it does not answer, is overloaded, or does not know us.
    ChannelFails,
    /// The receiver does not take this message.
    MessageFails,
    /// The receiver will never take it.
    Refused,
}

impl Verdict {
    /// `answer` is anybody's text: it is kept as one line that steers no terminal, and cut.
    pub(crate) fn new(kind: VerdictKind, answer: &str) -> Verdict {
        let head: String = answer.chars().take(MOST_ANSWER).collect();
        let line = one_line(head.trim());
        Verdict {
            kind,
            answer: line.chars().take(MOST_ANSWER).collect(),
            retry_after: None,
        }
    }
}

impl Channel {
    /// The message in the form of the channel.
    ///
    /// # Errors
    ///
    /// In words, if it has no form: an address that is none.
    pub(crate) fn outgoing(&self, message: &Message) -> Result<Outgoing, String> {
        let request = match &self.kind {
            ChannelKind::Webhook { url, authorization } => {
                webhook::request(url, authorization.as_ref(), message)
            }
            ChannelKind::Slack { url, channel } => slack::request(url, channel.as_deref(), message),
            ChannelKind::PagerDuty {
                url,
                routing_key,
                severity,
            } => pagerduty::request(url, routing_key, severity.as_deref(), message),
            ChannelKind::Alertmanager { url, ends_after } => {
                alertmanager::request(url, *ends_after, message)
            }
            ChannelKind::Email(email) => {
                let mail = email.message(message)?;
                return Ok(Outgoing::Mail(email.clone(), Box::new(mail)));
            }
            ChannelKind::Console => return Ok(Outgoing::Lines(console::lines(message))),
        };
        request.map(|request| Outgoing::Http(Box::new(request)))
    }

    /// What an HTTP answer means.
    pub(crate) fn judge(&self, reply: HttpReply) -> Verdict {
        let is_slack = matches!(self.kind, ChannelKind::Slack { .. });
        judge_http(reply, is_slack)
    }
}

fn judge_http(reply: HttpReply, is_slack: bool) -> Verdict {
    let answer = match reply {
        Ok(answer) => answer,
        Err(reason) => return Verdict::new(VerdictKind::ChannelFails, &reason),
    };
    let status = answer.status();
    let text = String::from_utf8_lossy(answer.body());
    // Slack answers 200 and `ok`; other words with 200 are an error of a proxy.
    let is_taken = status.is_success() && (!is_slack || text.trim() == "ok");
    let kind = match status {
        _ if is_taken => VerdictKind::Delivered,
        StatusCode::GONE => VerdictKind::Refused,
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::LENGTH_REQUIRED
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => VerdictKind::MessageFails,
        _ => VerdictKind::ChannelFails,
    };
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Verdict {
        retry_after: retry_after
            .and_then(|text| read_retry_after(text, answer.headers().get(header::DATE))),
        ..Verdict::new(kind, &format!("{} {}", status.as_u16(), text.trim()))
    }
}

/// Seconds, or a date, which counts from the date of the answer: clocks may differ.
fn read_retry_after(text: &str, date: Option<&http::HeaderValue>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(date?.to_str().ok()?).ok()?;
    at.duration_since(now).ok()
}

/// What the answer of a mail server means.
pub(crate) fn judge_mail(reply: MailReply) -> Verdict {
    match reply {
        Ok(answer) => Verdict::new(VerdictKind::Delivered, &answer),
        Err(failure) if failure.is_permanent => {
            Verdict::new(VerdictKind::MessageFails, &failure.reason)
        }
        Err(failure) => Verdict::new(VerdictKind::ChannelFails, &failure.reason),
    }
}

#[cfg(test)]
mod tests;
