//! `alerts test`: rules held against made-up series, by promtool's test files.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use contract::Kinds;
use serde_saphyr::Spanned;
use windows::{Observed, PANE, Settings, Windows};

use crate::commands::series::{TestSeries, read_series};
use crate::commands::test_file::{AlertTest, TestFile, TestGroup};
use crate::evaluate::{Evaluator, EvaluatorSettings, windows_for};
use crate::expr::parse_duration;
use crate::live::is_dimension;
use crate::model::{Labels, State, pairs};
use crate::rules::{
    Complaint, Complaints, Rules, place_of, read_text, read_texts, read_yaml, says_no_data,
};

/// The default of `evaluation_interval`, as in promtool.
const INTERVAL_MS: i64 = 60_000;

/// Latest `eval_time`: each 10 s up to it are evaluated.
const LATEST_MS: i64 = 30 * 86_400_000;

/// Runs each test file, and writes what failed to `out`. Gives whether all passed.
///
/// Labels tell series of one entity apart, or describe them, as the kinds say: those of a kind that is not among
/// `kinds` describe them.
///
/// Values lie 1 ms before the time that promtool gives them, for windows are `[start, end)` here and `(start, end]`
/// there: so the same file gives the same alerts. Alerts do not flap in tests.
///
/// # Errors
///
/// If `out` cannot be written.
pub fn test(paths: &[PathBuf], kinds: &Kinds, out: &mut impl Write) -> std::io::Result<bool> {
    let mut all_passed = true;
    for path in paths {
        match test_file(path, kinds) {
            Ok(failures) if failures.is_empty() => writeln!(out, "{}: passed", path.display())?,
            Ok(failures) => {
                all_passed = false;
                for failure in failures {
                    writeln!(out, "{}: FAILED: {failure}", path.display())?;
                }
            }
            Err(complaints) => {
                all_passed = false;
                writeln!(out, "{complaints}")?;
            }
        }
    }
    Ok(all_passed)
}

fn test_file(path: &Path, kinds: &Kinds) -> Result<Vec<String>, Complaints> {
    let file = path.display().to_string();
    let text = read_text(path)?;
    let read: TestFile =
        read_yaml(&file, &text).map_err(|complaint| Complaints(vec![complaint]))?;
    let source = Source {
        file: &file,
        text: &text,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut texts = Vec::new();
    for name in &read.rule_files {
        let paths = matching(&folder.join(&name.value));
        if paths.is_empty() {
            let complaint = source.complaint(name, "no file has such a name".to_owned());
            return Err(Complaints(vec![complaint]));
        }
        for path in paths {
            texts.push((path.display().to_string(), read_text(&path)?));
        }
    }
    let texts: Vec<_> = texts
        .iter()
        .map(|(file, text)| (&**file, &**text))
        .collect();
    let rules = read_texts(&texts)?;
    let interval = read
        .evaluation_interval
        .as_ref()
        .map_or(Ok(INTERVAL_MS), |text| source.duration(text));
    let interval = interval.map_err(|complaint| Complaints(vec![complaint]))?;
    let mut failures = Vec::new();
    for (place, group) in (1..).zip(&read.tests) {
        let name = group
            .name
            .clone()
            .unwrap_or_else(|| format!("test {place}"));
        let failed = run(&rules, kinds, group, interval, source)
            .map_err(|complaint| Complaints(vec![complaint]))?;
        failures.extend(
            failed
                .into_iter()
                .map(|failure| format!("{name}: {failure}")),
        );
    }
    Ok(failures)
}

/// The path itself, or all whose last part matches `*` and `?` in it, in the order of their names.
fn matching(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let pattern = regex::escape(&name)
        .replace(r"\*", ".*")
        .replace(r"\?", ".");
    let Ok(pattern) = regex::Regex::new(&format!("^(?s:{pattern})$")) else {
        return Vec::new();
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")));
    let entries = entries.into_iter().flatten().flatten();
    let matches = entries.filter(|entry| pattern.is_match(&entry.file_name().to_string_lossy()));
    let mut paths: Vec<PathBuf> = matches
        .map(|entry| path.with_file_name(entry.file_name()))
        .collect();
    paths.sort();
    paths
}

#[derive(Clone, Copy)]
struct Source<'f> {
    file: &'f str,
    text: &'f str,
}

impl Source<'_> {
    fn complaint(self, text: &Spanned<String>, message: String) -> Complaint {
        Complaint {
            file: self.file.to_owned(),
            place: Some(place_of(self.text, text)),
            message,
        }
    }

    fn duration(self, text: &Spanned<String>) -> Result<i64, Complaint> {
        parse_duration(&text.value).ok_or_else(|| {
            let message = format!("`{}` is no duration: write such as `5m`", text.value);
            self.complaint(text, message)
        })
    }
}

/// What failed of a group of tests, whose values are `default` apart unless it says otherwise.
fn run(
    rules: &Rules,
    kinds: &Kinds,
    group: &TestGroup,
    default: i64,
    source: Source<'_>,
) -> Result<Vec<String>, Complaint> {
    let interval = group
        .interval
        .as_ref()
        .map_or(Ok(default), |text| source.duration(text))?;
    let mut all = Vec::new();
    for input in &group.input_series {
        let is_dimension = |kind: &str, label: &str| is_dimension(kinds, kind, label);
        let series = read_series(&input.series.value, &input.values.value, is_dimension);
        all.push(series.map_err(|message| source.complaint(&input.series, message))?);
    }
    let mut tests = Vec::new();
    for test in &group.alert_rule_test {
        let at = source.duration(&test.eval_time)?;
        if at > LATEST_MS {
            return Err(source.complaint(&test.eval_time, "`eval_time` is 30d at most".to_owned()));
        }
        if !rules
            .all
            .iter()
            .any(|rule| rule.alert == test.alertname.value)
        {
            let message = format!(
                "no rule of `rule_files` is called `{}`",
                test.alertname.value
            );
            return Err(source.complaint(&test.alertname, message));
        }
        tests.push((at, test));
    }
    tests.sort_by_key(|(at, _)| *at);
    let settings = EvaluatorSettings {
        flap_quiet: 0,
        ..EvaluatorSettings::default()
    };
    let mut windows = Windows::new(windows_for(rules, Settings::default()), -PANE);
    let mut evaluator = Evaluator::new(rules, settings, -PANE);
    let mut failures = Vec::new();
    let mut next = vec![0; all.len()];
    for (at, test) in tests {
        while evaluator.evaluated_to() + PANE <= at {
            let end = evaluator.evaluated_to() + PANE;
            for (series, next) in all.iter().zip(&mut next) {
                observe_until(&mut windows, series, interval, end, next);
            }
            windows.advance(end);
            while let Some(end) = windows.next_end() {
                evaluator.evaluate(&windows, end);
            }
        }
        failures.extend(compare(&evaluator, test));
    }
    Ok(failures)
}

fn observe_until(
    windows: &mut Windows,
    series: &TestSeries,
    interval: i64,
    end: i64,
    next: &mut usize,
) {
    let labels: Vec<_> = pairs(&series.labels).collect();
    let dimensions: Vec<_> = pairs(&series.dimensions).collect();
    while let Some(value) = series.values.get(*next) {
        let at = interval.saturating_mul(*next as i64).saturating_sub(1);
        if at >= end {
            return;
        }
        *next += 1;
        let Some(value) = *value else {
            continue;
        };
        windows.observe(&Observed {
            kind: &series.kind,
            entity: &series.entity,
            at,
            arrived: at,
            labels: &labels,
            dimensions: &dimensions,
            signals: &[(series.signal.as_str(), value)],
        });
    }
}

/// What the alerts of a rule should be and are not, in words.
fn compare(evaluator: &Evaluator, test: &AlertTest) -> Option<String> {
    let name = &test.alertname.value;
    let is_asked = |group: &str| test.groupname.as_ref().is_none_or(|asked| asked == group);
    let mut firing: Vec<(Labels, Labels)> = evaluator
        .active()
        .filter(|(rule, alert)| {
            rule.alert == *name
                && is_asked(&rule.group)
                && matches!(alert.to, State::Firing | State::Keeping)
        })
        .map(|(_, alert)| (alert.labels, alert.annotations))
        .collect();
    let mut missing = Vec::new();
    for expected in &test.exp_alerts {
        let mut labels = expected.exp_labels.clone();
        labels.insert("alertname".to_owned(), name.clone());
        let mut annotations = expected.exp_annotations.clone();
        // promtool takes them for annotations of the alert.
        annotations.retain(|name, _| !says_no_data(name));
        let expected = (labels, annotations);
        match firing.iter().position(|alert| *alert == expected) {
            Some(place) => drop(firing.swap_remove(place)),
            None => missing.push(expected),
        }
    }
    if missing.is_empty() && firing.is_empty() {
        return None;
    }
    let mut text = format!("the alerts of `{name}` at {} differ", test.eval_time.value);
    for (words, alerts) in [
        ("expected, but not firing", missing),
        ("firing, but not expected", firing),
    ] {
        for (labels, annotations) in alerts {
            // Writing to a text does not fail.
            let _ = write!(text, "\n  {words}:\n    labels {}", show(&labels));
            let _ = write!(text, "\n    annotations {}", show(&annotations));
        }
    }
    Some(text)
}

fn show(labels: &Labels) -> String {
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", labels.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    const RULES: &str = r#"
groups:
  - name: cells
    rules:
      - alert: Hot
        expr: avg_over_time(load{kind="cell"}[5m]) > 80
        for: 2m
        labels: { severity: page }
        annotations: { summary: "{{ $labels.entity_id }} at {{ $value | printf \"%.0f\" }}" }
      - { alert: Failing, expr: "increase(requests_total[5m]) > 10" }
"#;

    fn run(test: &str) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
        let path = folder.path().join("rules_test.yml");
        std::fs::write(&path, test).unwrap();
        let mut out = Vec::new();
        let kinds = contract::Kinds::builtin();
        let passed = super::test(&[path], &kinds, &mut out).unwrap();
        (passed, String::from_utf8(out).unwrap())
    }

    fn file(series: &str, eval_time: &str, expected: &str) -> String {
        format!(
            "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      \
             - {{series: '{series}', values: '10x5 90x20'}}\n    alert_rule_test:\n      \
             - {{eval_time: {eval_time}, alertname: Hot, exp_alerts: [{expected}]}}\n"
        )
    }

    const SERIES: &str = "load{kind=\"cell\", entity_id=\"c\"}";
    const HOT: &str = "{exp_labels: {severity: page, kind: cell, entity_id: c}, exp_annotations: {summary: c at 90}}";

    /// The mean of five minutes is above 80 from minute 10 on, as promtool 2.42 and 3.14 find.
    #[test]
    fn rules_are_held_against_made_up_series() {
        let (passed, text) = run(&file(SERIES, "11m", ""));
        assert!(passed, "{text}");
        let hot = file(SERIES, "12m", HOT);
        for name in ["rules.yml", "r?les.yml", "./*s.yml"] {
            let (passed, text) = run(&hot.replace("[rules.yml]", &format!("['{name}']")));
            assert!(passed, "{text}");
        }
    }

    /// The mean of five minutes is above 80 from 5 min 30 s on.
    #[test]
    fn values_are_as_far_apart_as_looks_at_the_rules_unless_it_is_said() {
        for (eval_time, expected) in [("440s", ""), ("450s", HOT)] {
            let text = file(SERIES, eval_time, expected)
                .replace("evaluation_interval: 1m", "evaluation_interval: 10s")
                .replace("interval: 1m\n    input_series", "input_series");
            let (passed, said) = run(&text);
            assert!(passed, "{said}");
        }
    }

    /// One counter grows by 1 a minute, the other by 10, and begins again in between.
    #[test]
    fn labels_tell_series_of_metrics_apart() {
        let series = |code: &str, values: &str| {
            format!(
                "{{series: 'requests_total{{kind=\"metric\", entity_id=\"i\", code=\"{code}\"}}', values: '{values}'}}"
            )
        };
        let all = [series("200", "7+1x30"), series("500", "100+10x8 0+10x20")].join(", ");
        let expected = "{exp_labels: {kind: metric, entity_id: i, code: '500'}}";
        let test = format!(
            "rule_files: [rules.yml]\ntests:\n  - interval: 1m\n    input_series: [{all}]\n    alert_rule_test: \
             [{{eval_time: 12m, alertname: Failing, exp_alerts: [{expected}]}}]\n"
        );
        let (passed, text) = run(&test);
        assert!(passed, "{text}");
    }

    #[test]
    fn what_differs_is_shown() {
        let (passed, text) = run(&file(SERIES, "12m", ""));
        assert!(
            !passed && text.contains("firing, but not expected"),
            "{text}"
        );
        assert!(text.contains("annotations {summary=\"c at 90\"}"), "{text}");
        let (passed, text) = run(&file(SERIES, "11m", HOT));
        assert!(
            !passed && text.contains("expected, but not firing"),
            "{text}"
        );
    }

    #[test]
    fn a_test_file_with_a_mistake_is_refused_with_its_place() {
        let (passed, text) = run(&file("load{kind=\"cell\"}", "11m", ""));
        assert!(
            !passed && text.contains("rules_test.yml:6:19: the label `entity_id`"),
            "{text}"
        );
        let (_, text) = run(&file(SERIES, "soon", ""));
        assert!(text.contains("`soon` is no duration"), "{text}");
        let (_, text) = run(&file(SERIES, "1m", "").replace("alertname: Hot", "alertname: Cold"));
        assert!(text.contains("is called `Cold`"), "{text}");
        let (_, text) = run("rule_files: ['*.yaml']");
        assert!(
            text.contains("rules_test.yml:1:15: no file has such a name"),
            "{text}"
        );
        let (_, text) = run("tests: [{promql_expr_test: []}]");
        assert!(text.contains("unknown key `promql_expr_test`"), "{text}");
    }
}
