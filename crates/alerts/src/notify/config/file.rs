//! `notify.yml` as it is written, with the place of each text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

pub(super) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileText {
    #[serde(default)]
    pub(super) global: GlobalText,
    pub(super) route: RouteText,
    pub(super) receivers: Vec<ReceiverText>,
    #[serde(default)]
    pub(super) inhibit_rules: Vec<InhibitText>,
    #[serde(default)]
    pub(super) time_intervals: Vec<NamedIntervalText>,
}

/// What holds for all receivers that do not say otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GlobalText {
    /// Read and left aside: alerts end by what the rules say.
    #[serde(rename = "resolve_timeout")]
    pub(super) _resolve_timeout: Option<Text>,
    pub(super) smtp_smarthost: Option<Text>,
    pub(super) smtp_from: Option<Text>,
    pub(super) smtp_hello: Option<Text>,
    pub(super) smtp_auth_username: Option<Text>,
    pub(super) smtp_auth_password: Option<Text>,
    pub(super) smtp_auth_password_file: Option<Text>,
    pub(super) smtp_require_tls: Option<bool>,
    pub(super) slack_api_url: Option<Text>,
    pub(super) slack_api_url_file: Option<Text>,
    pub(super) pagerduty_url: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteText {
    pub(super) receiver: Option<Text>,
    pub(super) group_by: Option<Vec<Text>>,
    #[serde(default)]
    pub(super) matchers: Vec<Text>,
    /// Alertmanager's older form.
    #[serde(default, rename = "match")]
    pub(super) equal: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) match_re: BTreeMap<String, Text>,
    pub(super) group_wait: Option<Text>,
    pub(super) group_interval: Option<Text>,
    pub(super) repeat_interval: Option<Text>,
    #[serde(default, rename = "continue")]
    pub(super) goes_on: bool,
    #[serde(default)]
    pub(super) mute_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) active_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) routes: Vec<RouteText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InhibitText {
    #[serde(default)]
    pub(super) source_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) target_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) equal: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedIntervalText {
    pub(super) name: Text,
    pub(super) time_intervals: Vec<IntervalText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntervalText {
    #[serde(default)]
    pub(super) times: Vec<TimesText>,
    #[serde(default)]
    pub(super) weekdays: Vec<Text>,
    #[serde(default)]
    pub(super) days_of_month: Vec<Text>,
    #[serde(default)]
    pub(super) months: Vec<Text>,
    #[serde(default)]
    pub(super) years: Vec<Text>,
    pub(super) location: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimesText {
    pub(super) start_time: Text,
    pub(super) end_time: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverText {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) webhook_configs: Vec<Spanned<WebhookText>>,
    #[serde(default)]
    pub(super) slack_configs: Vec<Spanned<SlackText>>,
    #[serde(default)]
    pub(super) email_configs: Vec<Spanned<EmailText>>,
    #[serde(default)]
    pub(super) pagerduty_configs: Vec<Spanned<PagerDutyText>>,
    #[serde(default)]
    pub(super) alertmanager_configs: Vec<Spanned<AlertmanagerText>>,
    #[serde(default)]
    pub(super) console_configs: Vec<ConsoleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookText {
    pub(super) url: Option<Text>,
    pub(super) url_file: Option<Text>,
    pub(super) send_resolved: Option<bool>,
    pub(super) max_alerts: Option<usize>,
    #[serde(default)]
    pub(super) http_config: HttpText,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpText {
    pub(super) authorization: Option<Spanned<AuthorizationText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizationText {
    #[serde(rename = "type")]
    pub(super) scheme: Option<String>,
    pub(super) credentials: Option<Text>,
    pub(super) credentials_file: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlackText {
    pub(super) api_url: Option<Text>,
    pub(super) api_url_file: Option<Text>,
    pub(super) channel: Option<String>,
    pub(super) send_resolved: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PagerDutyText {
    pub(super) routing_key: Option<Text>,
    pub(super) routing_key_file: Option<Text>,
    pub(super) url: Option<Text>,
    pub(super) severity: Option<String>,
    pub(super) send_resolved: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailText {
    pub(super) to: Text,
    pub(super) from: Option<Text>,
    pub(super) smarthost: Option<Text>,
    pub(super) hello: Option<Text>,
    pub(super) auth_username: Option<Text>,
    pub(super) auth_password: Option<Text>,
    pub(super) auth_password_file: Option<Text>,
    pub(super) require_tls: Option<bool>,
    pub(super) send_resolved: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertmanagerText {
    pub(super) url: Text,
    pub(super) send_resolved: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsoleText {
    pub(super) send_resolved: Option<bool>,
}
