//! What of `notify.yml` is taken, and where what is not stands.

use std::path::Path;

use super::*;
use crate::model::Labels;
use crate::notify::Routing;

fn read(text: &str) -> Result<Routing, String> {
    let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let sources = NotifySources {
        external_url: "http://here/",
        folder: Path::new("/"),
        variable: &variable,
    };
    read_notify("notify.yml", text, &sources).map_err(|complaints| complaints.to_string())
}

const FULL: &str = r#"
global:
  resolve_timeout: 5m
  smtp_smarthost: mail.example.com:587
  smtp_from: Headwater <alerts@example.com>
  smtp_auth_username: alerts
  smtp_auth_password: ${TOKEN}
route:
  receiver: ops
  group_by: [alertname]
  routes:
    - matchers: ['severity = "page"', team=~"a|b"]
      receiver: pager
      group_wait: 0s
      continue: true
    - matchers: ['{severity="page"}']
      group_by: ['...']
      receiver: mail
      repeat_interval: 1d
      mute_time_intervals: [nights]
    - match: { severity: info }
      receiver: nobody
inhibit_rules:
  - source_matchers: [severity="page"]
    target_matchers: [severity="info"]
    equal: [entity_id]
time_intervals:
  - name: nights
    time_intervals:
      - times: [{ start_time: "22:00", end_time: "24:00" }]
        weekdays: ['monday:friday']
receivers:
  - name: ops
    webhook_configs:
      - url: http://127.0.0.1:9/hook/${TOKEN}
        max_alerts: 20
        http_config: { authorization: { credentials: "${TOKEN}" } }
    slack_configs:
      - api_url: https://hooks.slack.com/services/${TOKEN}
  - name: pager
    pagerduty_configs: [{ routing_key: "${TOKEN}", severity: error }]
    alertmanager_configs: [{ url: http://am:9093 }]
  - name: mail
    email_configs: [{ to: "a@example.com, b@example.com", send_resolved: false }]
  - name: nobody
"#;

fn keys(routing: &Routing, severity: &str) -> Vec<(String, String)> {
    let labels = [("alertname", "X"), ("severity", severity), ("team", "a")];
    let labels: Labels = labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let targets = routing.targets(&labels).into_iter();
    targets
        .map(|target| (routing.receiver_of(&target).to_owned(), target.group_key))
        .collect()
}

#[test]
fn a_whole_file_is_read_and_routes_as_alertmanager_does() {
    let routing = read(FULL).unwrap();
    let own = |text: &str| text.to_owned();
    assert_eq!(
        keys(&routing, "other"),
        [(own("ops"), own(r#"{}:{alertname="X"}"#))]
    );
    assert_eq!(
        keys(&routing, "info"),
        [(
            own("nobody"),
            own(r#"{}/{severity="info"}:{alertname="X"}"#)
        )]
    );
    assert_eq!(
        keys(&routing, "page"),
        [
            (
                own("pager"),
                own(r#"{}/{severity="page",team=~"a|b"}:{alertname="X"}"#)
            ),
            (
                own("mail"),
                own(r#"{}/{severity="page"}:{alertname="X", severity="page", team="a"}"#)
            ),
        ]
    );
    let names = routing
        .receivers
        .values()
        .flat_map(|receiver| &receiver.channels);
    let names: Vec<&str> = names.map(|channel| channel.name.as_str()).collect();
    let expected = [
        "mail/email/0",
        "ops/webhook/0",
        "ops/slack/0",
        "pager/pagerduty/0",
        "pager/alertmanager/0",
    ];
    assert_eq!(names, expected);
    assert!(!routing.channel("mail/email/0").unwrap().send_resolved);
    assert_eq!(routing.channel("ops/webhook/0").unwrap().max_alerts, 20);
    assert_eq!(routing.external_url, "http://here");
    assert!(
        !format!("{routing:?}").contains("s3cret"),
        "secrets stay out of logs"
    );
}

#[test]
fn the_built_in_file_prints_on_the_console() {
    let routing = read(BUILTIN).unwrap();
    assert!(routing.channel("console/console/0").is_some());
}

/// What is told of a file, in which `§` stands before the place that it must name.
fn told_at(text: &str, words: &str) {
    let before = text.split('§').next().unwrap();
    let (line, column) = (
        before.matches('\n').count() + 1,
        before.lines().last().unwrap().chars().count() + 1,
    );
    let told = read(&text.replace('§', "")).unwrap_err();
    let expected = format!("notify.yml:{line}:{column}: {words}");
    assert!(told.contains(&expected), "{told} is not {expected}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (route, words) in [
        ("receiver: §opps", "no receiver `opps`: did you mean `ops`?"),
        (
            "receiver: ops, group_wait: §5",
            "`5` is no duration: write 30s, 5m or 4h",
        ),
        (
            "receiver: ops, routes: [{ matchers: [§'a~b'] }]",
            "cannot read the matcher `a~b`",
        ),
        (
            "receiver: ops, routes: [{ matchers: [§'a=~\"(\"'] }]",
            "cannot read the expression of a",
        ),
        (
            "receiver: ops, matchers: [§a=b]",
            "the first route takes every alert",
        ),
        ("group_by: [§a]", "the first route has no `receiver`"),
        ("receiver: ops, group_by: [a, §'...']", "`...` stands alone"),
        (
            "receiver: ops, mute_time_intervals: [§x]",
            "no time interval `x`",
        ),
        (
            "receiver: ops, §group_wat: 5s",
            "unknown key `group_wat`: did you mean `group_wait`?",
        ),
    ] {
        told_at(
            &format!("route: {{ {route} }}\nreceivers:\n  - name: ops\n"),
            words,
        );
    }
    for (config, words) in [
        ("webhook_configs: [§{}]", "`url` or `url_file` is missing"),
        (
            "webhook_configs: [{ url: §ftp://x }]",
            "the address is none",
        ),
        (
            "webhook_configs: [{ url: §'http://${NOT_SET}' }]",
            "the variable NOT_SET is not set",
        ),
        (
            "webhook_configs: [{ url_file: §/no/such }]",
            "cannot read `/no/such`",
        ),
        (
            "pagerduty_configs: [{ routing_key: §plain }]",
            "`routing_key` is a secret",
        ),
        (
            "slack_configs: [{ api_url: §https://hooks.slack.com/x }]",
            "the address is a secret",
        ),
        (
            "email_configs: [{ to: §nobody, from: a@b.c, smarthost: 'x:25' }]",
            "no address of mail",
        ),
        (
            "email_configs: [{ to: a@b.c, from: a@b.c, smarthost: §x }]",
            "the mail server is written host:port",
        ),
        ("§opsgenie_configs: []", "unknown key `opsgenie_configs`"),
    ] {
        told_at(
            &format!("route: {{ receiver: ops }}\nreceivers:\n  - name: ops\n    {config}\n"),
            words,
        );
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = "route: { receiver: a, group_wait: x, repeat_interval: 0s }\nreceivers:\n  - name: b\n  - name: b\n";
    let told = read(text).unwrap_err();
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn matchers_stand_in_the_key_of_a_group_as_alertmanager_sorts_them() {
    let routing = read(
        "route: { receiver: r, routes: [{ matchers: ['b=x', 'a=~\"y\"', 'a!=\"y\"', 'a=\"y\"'] }] }\n\
         receivers: [{ name: r, alertmanager_configs: [{ url: 'http://am' }] }]",
    )
    .unwrap();
    assert_eq!(routing.routes[1].key, r#"{}/{a="y",a!="y",a=~"y",b="x"}"#);
    // Another Alertmanager makes its own groups: it gets all alerts of a rule.
    assert_eq!(routing.receivers["r"].channels[0].max_alerts, 10_000);
}

/// As Alertmanager 0.25 gives it.
#[test]
fn a_group_key_has_the_matchers_of_each_route_by_name_and_value() {
    let text = r#"
route:
  receiver: a
  routes:
    - match: { team: a }
      match_re: { alertname: 'X|"' }
      matchers: ['severity != "x"', 'severity =~ "p.*"']
receivers: [{ name: a }]
"#;
    let found = keys(&read(text).unwrap(), "page");
    let found: Vec<&str> = found.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(
        found,
        [r#"{}/{alertname=~"^(?:X|\")$",severity=~"p.*",severity!="x",team="a"}:{}"#]
    );
}
