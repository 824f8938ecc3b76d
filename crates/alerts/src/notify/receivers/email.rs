//! E-mail by SMTP, as text and as HTML. Mail clients show the notifications of a group as one conversation.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};

use super::post::cut;
use crate::notify::message::{Message, one_line};
use crate::notify::transport::Smtp;

/// Lines longer than this are cut by mail servers (RFC 5322, 2.1.1: 998 characters with the header's name).
const MOST_SUBJECT: usize = 900;

/// Who is written to.
#[derive(Debug, Clone)]
pub(crate) struct Email {
    pub(crate) smtp: Smtp,
    pub(crate) from: Mailbox,
    pub(crate) to: Mailboxes,
}

impl Email {
    /// The mail of a message. Its id is the notification's, so that a repeat is the same mail.
    pub(crate) fn message(&self, message: &Message) -> Result<lettre::Message, String> {
        let host = self.from.email.domain();
        let id = |id: &str| format!("<{id}@{host}>");
        let opened = Duration::from_millis(message.opened_at.max(0).unsigned_abs());
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(self.to.clone()))
            .subject(cut(&message.title(), MOST_SUBJECT))
            .message_id(Some(id(&message.id)))
            .date(SystemTime::UNIX_EPOCH + opened);
        if message.thread != message.id {
            mail = mail
                .in_reply_to(id(&message.thread))
                .references(id(&message.thread));
        }
        let text = SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .body(text(message));
        let html = SinglePart::builder()
            .header(ContentType::TEXT_HTML)
            .body(html(message));
        mail.multipart(MultiPart::alternative().singlepart(text).singlepart(html))
            .map_err(|error| format!("the mail cannot be made: {error}"))
    }
}

fn text(message: &Message) -> String {
    let mut text = format!("{}\n\n", message.title());
    for alert in &message.alerts {
        text += &format!(
            "{}: {}\n    since {}",
            alert.status,
            alert.line(),
            alert.starts_at
        );
        if alert.status == "resolved" {
            text += &format!(" until {}", alert.ends_at);
        }
        for (name, value) in &alert.labels {
            text += &format!("\n    {name} = {}", one_line(value));
        }
        text += "\n\n";
    }
    if message.truncated_alerts > 0 {
        text += &format!("and {} more alerts\n\n", message.truncated_alerts);
    }
    text + &format!("{}\nNotification {}\n", message.link(), message.id)
}

fn html(message: &Message) -> String {
    let mut rows = String::new();
    for alert in &message.alerts {
        let labels: Vec<String> = alert
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        rows += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            alert.status,
            escape(&alert.line()),
            escape(&alert.starts_at),
            escape(&labels.join(", "))
        );
    }
    let more = match message.truncated_alerts {
        0 => String::new(),
        more => format!("<p>and {more} more alerts</p>\n"),
    };
    format!(
        "<!DOCTYPE html><html><body><h3>{}</h3>\n<table><tr><th>status</th><th>alert</th><th>since</th>\
         <th>labels</th></tr>\n{rows}</table>\n{more}<p><a href=\"{}\">alerts</a></p><p>Notification {}</p></body></html>\n",
        escape(&message.title()),
        escape(&message.link()),
        message.id
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
