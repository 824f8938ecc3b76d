//! Checks receivers: the channels of each.

use lettre::message::{Mailbox, Mailboxes};
use secrecy::{ExposeSecret, SecretString};
use serde_saphyr::{Location, Spanned};

use super::file::{
    EmailText, GlobalText, PagerDutyText, ReceiverText, SlackText, Text, WebhookText,
};
use super::sources::{NotifySources, Wrong};
use crate::notify::receivers::{Channel, ChannelKind, Email, MOST_ALERTS, MOST_HANDED_ON};
use crate::notify::transport::Smtp;

/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// How long a handed-on alert is believed in by an Alertmanager that is not told again, in milliseconds: a day.
const BELIEVED: i64 = 86_400_000;

/// The channels of a receiver, and what is wrong with the others.
pub(super) fn channels(
    receiver: &ReceiverText,
    global: &GlobalText,
    sources: &NotifySources<'_>,
) -> (Vec<Channel>, Vec<Wrong>) {
    let (mut channels, mut wrong) = (Vec::new(), Vec::new());
    let name = &receiver.name.value;
    let mut add = |kind: &str,
                   place: usize,
                   sends: Option<bool>,
                   most: usize,
                   made: Result<ChannelKind, Wrong>| {
        match made {
            Ok(made) => channels.push(Channel {
                name: format!("{name}/{kind}/{place}"),
                kind: made,
                send_resolved: sends.unwrap_or(true),
                max_alerts: most,
            }),
            Err(complaint) => wrong.push(complaint),
        }
    };
    for (place, text) in receiver.webhook_configs.iter().enumerate() {
        // As in Alertmanager, 0 is no bound of one's own.
        let most = text
            .value
            .max_alerts
            .filter(|most| *most > 0)
            .unwrap_or(MOST_ALERTS)
            .min(MOST_ALERTS);
        add(
            "webhook",
            place,
            text.value.send_resolved,
            most,
            webhook(text, sources),
        );
    }
    for (place, text) in receiver.slack_configs.iter().enumerate() {
        add(
            "slack",
            place,
            text.value.send_resolved,
            MOST_ALERTS,
            slack(text, global, sources),
        );
    }
    for (place, text) in receiver.email_configs.iter().enumerate() {
        add(
            "email",
            place,
            text.value.send_resolved,
            MOST_ALERTS,
            email(text, global, sources),
        );
    }
    for (place, text) in receiver.pagerduty_configs.iter().enumerate() {
        add(
            "pagerduty",
            place,
            text.value.send_resolved,
            MOST_ALERTS,
            pagerduty(text, global, sources),
        );
    }
    for (place, text) in receiver.alertmanager_configs.iter().enumerate() {
        let url = sources.url("url", Some(&text.value.url), None);
        let made = url.map(|url| ChannelKind::Alertmanager {
            url: url
                .as_ref()
                .map_or_else(String::new, |url| url.expose_secret().to_owned()),
            ends_after: BELIEVED,
        });
        add(
            "alertmanager",
            place,
            text.value.send_resolved,
            MOST_HANDED_ON,
            made,
        );
    }
    for (place, text) in receiver.console_configs.iter().enumerate() {
        add(
            "console",
            place,
            text.send_resolved,
            MOST_ALERTS,
            Ok(ChannelKind::Console),
        );
    }
    (channels, wrong)
}

fn missing(place: Location, what: &str) -> Wrong {
    (place, format!("{what} is missing"))
}

fn webhook(text: &Spanned<WebhookText>, sources: &NotifySources<'_>) -> Result<ChannelKind, Wrong> {
    let (place, text) = (text.referenced, &text.value);
    let url = sources.url("url", text.url.as_ref(), text.url_file.as_ref())?;
    let authorization = match &text.http_config.authorization {
        Some(given) => {
            let scheme = given.value.scheme.as_deref().unwrap_or("Bearer");
            let (text, file) = (
                given.value.credentials.as_ref(),
                given.value.credentials_file.as_ref(),
            );
            let secret = sources.secret("credentials", text, file)?;
            let secret = secret.ok_or_else(|| missing(given.referenced, "`credentials_file`"))?;
            let header = format!("{scheme} {}", secret.expose_secret());
            if http::HeaderValue::from_str(&header).is_err() {
                return Err((
                    given.referenced,
                    "the credentials hold what no header can carry".to_owned(),
                ));
            }
            Some(SecretString::from(header))
        }
        None => None,
    };
    Ok(ChannelKind::Webhook {
        url: url.ok_or_else(|| missing(place, "`url` or `url_file`"))?,
        authorization,
    })
}

fn slack(
    text: &Spanned<SlackText>,
    global: &GlobalText,
    sources: &NotifySources<'_>,
) -> Result<ChannelKind, Wrong> {
    let (place, text) = (text.referenced, &text.value);
    let own = (text.api_url.as_ref(), text.api_url_file.as_ref());
    let (url, file) = match own {
        (None, None) => (
            global.slack_api_url.as_ref(),
            global.slack_api_url_file.as_ref(),
        ),
        own => own,
    };
    if let Some(url) = url
        && url.value.starts_with("https://hooks.slack.com/")
        && !url.value.contains("${")
    {
        let message = "the address is a secret: write `api_url_file: PATH`, or a variable as in `api_url: ${NAME}`";
        return Err((url.referenced, message.to_owned()));
    }
    let url = sources.url("api_url", url, file)?;
    Ok(ChannelKind::Slack {
        url: url.ok_or_else(|| {
            missing(
                place,
                "`api_url_file`, here or as `slack_api_url_file` in `global`,",
            )
        })?,
        channel: text.channel.clone(),
    })
}

fn pagerduty(
    text: &Spanned<PagerDutyText>,
    global: &GlobalText,
    sources: &NotifySources<'_>,
) -> Result<ChannelKind, Wrong> {
    let (place, text) = (text.referenced, &text.value);
    let url = sources.url(
        "url",
        text.url.as_ref().or(global.pagerduty_url.as_ref()),
        None,
    )?;
    let key = sources.secret(
        "routing_key",
        text.routing_key.as_ref(),
        text.routing_key_file.as_ref(),
    )?;
    Ok(ChannelKind::PagerDuty {
        url: url.map_or_else(
            || PAGERDUTY.to_owned(),
            |url| url.expose_secret().to_owned(),
        ),
        routing_key: key.ok_or_else(|| missing(place, "`routing_key_file`"))?,
        severity: text.severity.clone(),
    })
}

fn email(
    text: &Spanned<EmailText>,
    global: &GlobalText,
    sources: &NotifySources<'_>,
) -> Result<ChannelKind, Wrong> {
    let (place, text) = (text.referenced, &text.value);
    let or_global =
        |own: &Option<Text>, global: &Option<Text>| -> Result<Option<(Location, String)>, Wrong> {
            let text = own.as_ref().or(global.as_ref());
            text.map(|text| Ok((text.referenced, sources.expand(text)?)))
                .transpose()
        };
    let from = or_global(&text.from, &global.smtp_from)?;
    let (at, from) =
        from.ok_or_else(|| missing(place, "`from`, here or as `smtp_from` in `global`,"))?;
    let from: Mailbox = from
        .parse()
        .map_err(|error| (at, format!("no address of mail: {error}")))?;
    let to: Mailboxes = sources
        .expand(&text.to)?
        .parse()
        .map_err(|error| (text.to.referenced, format!("no address of mail: {error}")))?;
    let smarthost = or_global(&text.smarthost, &global.smtp_smarthost)?;
    let (at, smarthost) = smarthost.ok_or_else(|| {
        missing(
            place,
            "`smarthost`, here or as `smtp_smarthost` in `global`,",
        )
    })?;
    let parts = smarthost
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) =
        parts.ok_or_else(|| (at, "the mail server is written host:port".to_owned()))?;
    let password = match (&text.auth_password, &text.auth_password_file) {
        (None, None) => (&global.smtp_auth_password, &global.smtp_auth_password_file),
        own => own,
    };
    let password = sources.secret("auth_password", password.0.as_ref(), password.1.as_ref())?;
    let user = or_global(&text.auth_username, &global.smtp_auth_username)?;
    let user = match (user, password) {
        (Some((_, user)), Some(password)) => Some((user, password)),
        (Some((at, _)), None) => return Err(missing(at, "`auth_password_file`")),
        (None, _) => None,
    };
    let hello = or_global(&text.hello, &global.smtp_hello)?;
    Ok(ChannelKind::Email(Box::new(Email {
        smtp: Smtp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            hello: hello.map(|(_, hello)| hello),
            user,
            require_tls: text.require_tls.or(global.smtp_require_tls).unwrap_or(true),
        },
        from,
        to,
    })))
}
