//! Rule files: what is read, and what is refused where.

use super::*;
use crate::model::Labels;

fn complaints(text: &str) -> Vec<String> {
    let complaints = read_file("a.yml", text).unwrap_err().0;
    complaints.iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_file_of_prometheus_is_read_with_our_keys() {
    let text = r#"
groups:
  - name: cells
    interval: 30s
    labels: { team: radio }
    rules:
      - alert: CellOverloaded
        expr: avg_over_time(dl_prb_util_pct{kind="cell"}[60s]) > 80
        for: 2m
        keep_firing_for: 1m
        no_data: alert
        no_data_after: 10m
        labels: { severity: page, cell: "{{ $labels.entity_id }}" }
        annotations:
          summary: "{{ $labels.entity_id }} at {{ $value | printf \"%.0f\" }} % for two minutes"
      - { alert: Quiet, expr: "absent_over_time(dl_prb_util_pct[5m])", annotations: { headwater_no_data: ok } }
"#;
    let rules = read_file("cells.yml", text).unwrap();
    let [first, second] = &*rules.all else {
        panic!("{rules:?}")
    };
    assert_eq!(first.id, "cells/CellOverloaded");
    assert_eq!((first.hold, first.keep_firing), (120_000, 60_000));
    assert_eq!(
        (first.no_data, first.no_data_after),
        (NoData::Alert, 600_000)
    );
    assert_eq!(
        (second.no_data, second.no_data_after),
        (NoData::Ok, NO_DATA_AFTER_MS)
    );
    assert!(second.annotations.is_empty());
    let labels = [("entity_id", "CELL-1"), ("kind", "cell")];
    let labels: Labels = labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let alert = first.alert_labels(&labels);
    let alert: Vec<_> = alert
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        alert.join(","),
        "alertname=CellOverloaded,cell=CELL-1,entity_id=CELL-1,kind=cell,severity=page,team=radio"
    );
    let summary = &first.annotations(&labels, Some(91.2))["summary"];
    assert_eq!(summary, "CELL-1 at 91 % for two minutes");
    assert!(rules.notes[0].contains("`interval`"), "{:?}", rules.notes);
    assert_eq!(rules.longest_range(), 300_000);
}

#[test]
fn a_list_or_map_without_a_value_is_empty() {
    for (text, count) in [
        ("", 0),
        ("groups:", 0),
        ("groups: [{name: a, rules: }]", 0),
        (
            "groups: [{name: a, labels: , rules: [{alert: A, expr: 'rate(x[60s]) > 1', labels: , annotations: }]}]",
            1,
        ),
    ] {
        assert_eq!(read_file("a.yml", text).unwrap().all.len(), count, "{text}");
    }
    let text = "groups: [{name: a, rules: [{alert: A, expr: 'rate(x[60s]) > 1', labels: {b: }}]}]";
    assert!(complaints(text)[0].contains("a text is missing here"));
}

#[test]
fn the_built_in_rules_are_sound() {
    let rules = Rules::builtin();
    let texts: Vec<_> = rules
        .all
        .iter()
        .map(|rule| (&*rule.alert, &*rule.expr))
        .collect();
    assert_eq!(
        texts,
        [
            (
                "cpu_usage",
                "avg_over_time(cpu_usage{kind=\"metric\"}[60s]) > 80"
            ),
            (
                "memory_usage",
                "avg_over_time(memory_usage{kind=\"metric\"}[60s]) > 90"
            ),
            (
                "error_rate",
                "avg_over_time(error_rate{kind=\"metric\"}[30s]) > 5"
            ),
        ]
    );
    let annotations = rules.all[0].annotations(&Labels::new(), Some(85.0));
    assert_eq!(
        annotations["summary"],
        "cpu_usage avg(60s) > 80.0 (current: 85.0)"
    );
    assert_eq!(annotations["condition"], "avg(60s) > 80.0");
}

#[test]
fn rules_about_the_pipeline_alone_are_taken_out() {
    assert_eq!(Rules::health().all.len(), 3);
    let mut rules = Rules::builtin().with_health();
    let own = rules.take_own();
    assert!(own.all.iter().all(|rule| rule.group == "headwater"));
    assert_eq!((own.all.len(), rules.all.len()), (3, 3));
}

#[test]
fn a_rule_takes_the_place_of_a_built_in_one_of_its_name() {
    let text = "groups: [{name: headwater, rules: [{alert: HeadwaterLate, for: 5m,
      expr: 'min_over_time(lake_lag_seconds{kind=\"headwater\"}[60s]) > 300'}]}]";
    let rules = read_file("own.yml", text).unwrap().with_health();
    let late = rules
        .all
        .iter()
        .filter(|rule| rule.alert == "HeadwaterLate");
    let late: Vec<_> = late.map(|rule| (&*rule.file, rule.hold)).collect();
    assert_eq!(late, [("own.yml", 300_000)]);
    assert_eq!(rules.all.len(), 3);
}

#[test]
fn a_typo_is_named_with_its_line_and_column() {
    let text = "groups:\n  - name: a\n    rules:\n      - alert: A\n        exrp: absent_over_time(x[10s])\n";
    assert_eq!(
        complaints(text),
        [
            "a.yml:5:9: unknown key `exrp`: did you mean `expr`? Taken here are record, alert, expr, for, \
             keep_firing_for, labels, annotations, no_data, no_data_after"
        ]
    );
    let text = "groups:\n  - name: a\n    rules:\n      - alert: A\n";
    assert!(
        complaints(text)[0].contains("missing field `expr`"),
        "{:?}",
        complaints(text)
    );
    assert!(
        complaints("groups: [")[0].starts_with("a.yml:"),
        "{:?}",
        complaints("groups: [")
    );
}

#[test]
fn an_error_in_an_expression_is_found_in_each_style_of_yaml() {
    for (expr, place) in [
        ("rate(x[5m]) / 2 > 1", "5:27"),
        ("'rate(x{a=\"''\"}[5m]) / 2 > 1'", "5:36"),
        ("\"rate(x{a=\\\"b\\\"}[5m]) / 2 > 1\"", "5:37"),
        ("|\n          rate(x[5m])\n            / 2 > 1", "7:13"),
        (">\n          rate(x[5m])\n          / 2 > 1", "7:11"),
    ] {
        let text =
            format!("groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: {expr}\n");
        let complaint = &complaints(&text)[0];
        assert!(
            complaint.starts_with(&format!("a.yml:{place}: arithmetic")),
            "{expr}: {complaint}"
        );
    }
}

#[test]
fn all_complaints_of_a_file_come_at_once() {
    let text = r#"
groups:
  - name: a
    rules:
      - record: b
        expr: x
      - alert: A
        expr: rate(x[5m]) > 1
        for: 2 minutes
        no_data: never
        no_data_after: 1s
        labels: { alertname: B, value: "{{ $value }}" }
        annotations: { summary: "{{ $vlaue }}" }
      - alert: A
        expr: rate(x[5m]) > 2
      - alert: B
        expr: rate(x[5m] > 2
      - alert: C
        expr: rate(x[5m]) > 2
      - alert: C
        expr: rate(x[5m]) > 3
  - name: a
"#;
    let all = complaints(text);
    for words in [
        "a.yml:5:17: recording rules",
        "a.yml:9:14: `2 minutes` is no duration",
        "a.yml:10:18: `no_data` is `keep`",
        "a.yml:11:24: `no_data_after` is 10s at least",
        "a.yml:12:30: `alertname` cannot be set",
        "a label must not hold the value",
        "a.yml:13:34: `$vlaue` is not taken",
        "a.yml:17:26: `)` is missing",
        "a.yml:20:16: the rule `C` of the group `a` stands at a.yml:18:16 already",
        "a.yml:22:11: the group `a` is in this file twice",
    ] {
        assert!(
            all.iter().any(|complaint| complaint.contains(words)),
            "{words}: {all:#?}"
        );
    }
}

#[test]
fn a_label_of_a_group_cannot_hide_what_tells_alerts_apart() {
    let text = |expr: &str| {
        format!(
            "groups:\n  - name: a\n    labels: {{ kind: x }}\n    rules: [{{ alert: A, expr: '{expr}' }}]\n"
        )
    };
    assert_eq!(
        complaints(&text("max_over_time(x[10s]) > 1")),
        ["a.yml:3:21: `kind` cannot be set: it tells the alerts of this rule apart"]
    );
    let free = text("sum by (entity_id) (max_over_time(x[10s])) > 1");
    assert!(read_file("a.yml", &free).is_ok());
}

#[test]
fn rules_of_one_name_are_told_apart_by_their_labels() {
    let file = |severity: &str, limit| {
        format!(
            "groups: [{{name: a, rules: [{{alert: A, expr: 'max_over_time(x[10s]) > {limit}', \
             labels: {{severity: {severity}}}}}]}}]"
        )
    };
    let (warn, page) = (file("warn", 5), file("page", 9));
    let rules = read_texts(&[("a.yml", &warn), ("b.yml", &page)]).unwrap();
    let ids: Vec<_> = rules.all.iter().map(|rule| &*rule.id).collect();
    assert_eq!(ids, ["a/A{severity=\"warn\"}", "a/A{severity=\"page\"}"]);
    assert!(read_texts(&[("a.yml", &warn), ("b.yml", &warn)]).is_err());
}

#[test]
fn the_rule_files_of_a_folder_are_read_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| {
        format!(
            "groups: [{{name: {name}, rules: [{{alert: A, expr: 'absent_over_time(x[10s])'}}]}}]"
        )
    };
    for name in ["b.yml", "a.yaml"] {
        std::fs::write(folder.path().join(name), rule(&name[..1])).unwrap();
    }
    for name in ["notify.yml", "a_test.yml", "a.txt", ".a.yml"] {
        std::fs::write(folder.path().join(name), "x: 1").unwrap();
    }
    let rules = read_folder(folder.path()).unwrap();
    let ids: Vec<_> = rules.all.iter().map(|rule| &*rule.id).collect();
    assert_eq!(ids, ["a/A", "b/A"]);
    let missing = read_folder(&folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn a_rule_on_what_nobody_declares_is_kept_with_a_warning() {
    let text = "groups: [{name: a, rules: [
      {alert: A, expr: 'rate(engine_rmp{kind=\"vehicle\"}[10s]) > 1'},
      {alert: B, expr: 'rate(engine_rpm[10s]) > 1'},
      {alert: C, expr: 'rate(x{kind=\"boat\"}[10s]) > 1'},
      {alert: D, expr: 'rate(series{kind=\"headwater\"}[10s]) > 1'},
      {alert: E, expr: 'rate(requests_total{kind=\"metric\"}[10s]) > 1'},
      {alert: F, expr: 'rate(requests_total[10s]) > 1'},
      {alert: G, expr: 'rate(engine_rmp[10s]) > 1'}]}]";
    let sentences = read_file("a.yml", text)
        .unwrap()
        .undeclared(&contract::Kinds::builtin());
    assert_eq!(sentences.len(), 3, "{sentences:?}");
    assert!(
        sentences[0].contains("did you mean `engine_rpm`?"),
        "{sentences:?}"
    );
    assert!(
        sentences[1].contains("the kind `boat` is not declared"),
        "{sentences:?}"
    );
    assert!(
        sentences[2].contains("may be a name of the kind `metric`: did you mean `engine_rpm`?"),
        "{sentences:?}"
    );
    let text = "groups: [{name: a, rules: [
      {alert: A, expr: 'last_over_time(dead_leters{kind=\"headwater\"}[10s]) > 1'},
      {alert: B, expr: 'last_over_time(dead_letters[10s]) > 1'},
      {alert: C, expr: 'max(last_over_time(series{kind=\"headwater\"}[10s])) > 1
        and max(last_over_time(engine_rpm{kind=\"vehicle\"}[10s])) > 1'}]}]";
    let sentences = read_file("a.yml", text)
        .unwrap()
        .undeclared(&contract::Kinds::builtin());
    assert_eq!(
        sentences,
        [
            "the rule `a/A` waits for data: the kind `headwater` does not have the signal `dead_leters`: did you mean \
             `dead_letters`?",
            "the rule `a/B` waits for data: the signal `dead_letters` of the pipeline itself needs \
             `{kind=\"headwater\"}`",
            "the rule `a/C` asks for the kind `headwater` beside others: in such a rule it has no data",
        ]
    );
}
