//! Makes rules of what the files say, and collects what is not taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_saphyr::Spanned;

use crate::expr;
use crate::expr::{STEP_MS, parse_duration};
use crate::rules::complaint::{Complaint, Complaints};
use crate::rules::file::{FileText, GroupText, RuleText, Texts, read_yaml};
use crate::rules::place::place_within;
use crate::rules::rule::{NO_DATA_AFTER_MS, NoData, Rule, Rules};
use crate::rules::template::{Template, is_label};

/// Annotations that say what `no_data` and `no_data_after` would, for files that Prometheus reads too.
const NO_DATA: &str = "headwater_no_data";
const NO_DATA_AFTER: &str = "headwater_no_data_after";

/// Longest `no_data_after`: entities are known for a day.
const LONGEST_NO_DATA_AFTER_MS: i64 = 24 * 3_600_000;

/// Reads the rule files of a folder: those that end in `.yml` or `.yaml`, in the order of their names, without
/// `notify.yml`, `alertmanager.yml` and test files (`*_test.yml`, `*.test.yml`). Folders within it are not read.
///
/// # Errors
///
/// All that is not taken in any of the files.
pub fn read_folder(folder: &Path) -> Result<Rules, Complaints> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let paths: Result<Vec<PathBuf>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(|error| unreadable(folder, &error))?;
    paths.retain(|path| path.is_file() && is_rule_file(path));
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        texts.push((path.display().to_string(), read_text(&path)?));
    }
    let texts: Vec<_> = texts
        .iter()
        .map(|(file, text)| (&**file, &**text))
        .collect();
    read_texts(&texts)
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Complaints> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Complaints {
    Complaints(vec![Complaint {
        file: path.display().to_string(),
        place: None,
        message: format!("cannot be read: {error}"),
    }])
}

/// Reads one rule file, `text`, whose name in complaints is `file`.
///
/// # Errors
///
/// All that is not taken in it.
pub fn read_file(file: &str, text: &str) -> Result<Rules, Complaints> {
    read_texts(&[(file, text)])
}

/// Whether an annotation says what missing data mean, and is not shown.
pub(crate) fn says_no_data(annotation: &str) -> bool {
    matches!(annotation, NO_DATA | NO_DATA_AFTER)
}

fn is_rule_file(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let stem = name
        .strip_suffix(".yml")
        .or_else(|| name.strip_suffix(".yaml"));
    stem.is_some_and(|stem| {
        !matches!(stem, "notify" | "alertmanager")
            && !stem.ends_with("_test")
            && !stem.ends_with(".test")
            && !stem.starts_with('.')
    })
}

/// Reads several files, each a name and a text.
pub(crate) fn read_texts(texts: &[(&str, &str)]) -> Result<Rules, Complaints> {
    let mut reading = Reading::default();
    for (file, text) in texts {
        match read_yaml::<FileText>(file, text) {
            Ok(read) => reading.file(file, text, &read),
            Err(complaint) => reading.complaints.push(complaint),
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    rules: Vec<(Rule, (u64, u64))>,
    notes: Vec<String>,
    complaints: Vec<Complaint>,
}

/// The file that is being read.
#[derive(Clone, Copy)]
struct Source<'f> {
    file: &'f str,
    text: &'f str,
}

impl Reading {
    fn complain(&mut self, source: Source<'_>, text: &Spanned<String>, at: usize, message: String) {
        self.complaints.push(Complaint {
            file: source.file.to_owned(),
            place: Some(place_within(source.text, text, at)),
            message,
        });
    }

    fn file(&mut self, file: &str, text: &str, read: &FileText) {
        let source = Source { file, text };
        let mut names = Vec::new();
        for group in &read.groups {
            let name = &group.name;
            if name.value.trim().is_empty() {
                self.complain(source, name, 0, "a group needs a name".to_owned());
            }
            if names.contains(&&name.value) {
                let message = format!("the group `{}` is in this file twice", name.value);
                self.complain(source, name, 0, message);
            }
            names.push(&name.value);
            self.note_what_changes_nothing(source, group);
            let labels = self.templates(source, &group.labels, true);
            for rule in &group.rules {
                self.rule(source, group, &labels, rule);
            }
        }
    }

    fn note_what_changes_nothing(&mut self, source: Source<'_>, group: &GroupText) {
        let present = [
            ("interval", group.interval.is_some()),
            ("query_offset", group.query_offset.is_some()),
            ("limit", group.limit.is_some()),
        ];
        for (key, _) in present.into_iter().filter(|(_, present)| *present) {
            self.notes.push(format!(
                "{}: `{key}` of the group `{}` changes nothing: rules are looked at as of each window's end",
                source.file, group.name.value
            ));
        }
        for duration in [&group.interval, &group.query_offset].into_iter().flatten() {
            self.duration(source, Some(duration), 0);
        }
    }

    fn rule(
        &mut self,
        source: Source<'_>,
        group: &GroupText,
        group_labels: &BTreeMap<String, Template>,
        text: &RuleText,
    ) {
        if let Some(record) = &text.record {
            let message = "recording rules (`record`) are not taken: SQL has the past, and windows are kept for rules";
            return self.complain(source, record, 0, message.to_owned());
        }
        let Some(alert) = &text.alert else {
            let message = "the rule has no name: add `alert: NAME`".to_owned();
            return self.complain(source, &text.expr, 0, message);
        };
        if alert.value.trim().is_empty() {
            self.complain(
                source,
                alert,
                0,
                "`alert` is empty: give the rule a name".to_owned(),
            );
        }
        let condition = match expr::parse(&text.expr.value) {
            Ok(condition) => Some(condition),
            Err(error) => {
                self.complain(source, &text.expr, error.at, error.message);
                None
            }
        };
        let mut labels = group_labels.clone();
        labels.extend(self.templates(source, &text.labels, true));
        let mut annotations = self.templates(source, &text.annotations, false);
        annotations.retain(|name, _| !says_no_data(name));
        let no_data = text
            .no_data
            .as_ref()
            .or_else(|| text.annotations.get(NO_DATA));
        let no_data = no_data.map_or_else(NoData::default, |word| self.no_data(source, word));
        let after = text.no_data_after.as_ref();
        let after = after.or_else(|| text.annotations.get(NO_DATA_AFTER));
        let no_data_after = self.duration(source, after, NO_DATA_AFTER_MS);
        if let Some(after) = after
            && !(STEP_MS..=LONGEST_NO_DATA_AFTER_MS).contains(&no_data_after)
        {
            self.complain(
                source,
                after,
                0,
                "`no_data_after` is 10s at least and 24h at most".to_owned(),
            );
        }
        let hold = self.duration(source, text.hold.as_ref(), 0);
        let keep_firing = self.duration(source, text.keep_firing_for.as_ref(), 0);
        let Some(condition) = condition else {
            return;
        };
        let key = condition.key_names();
        let is_key = |(name, _): &(&String, &Spanned<String>)| key.contains(&&***name);
        if let Some((name, value)) = text.labels.iter().chain(&group.labels).find(is_key) {
            let message = format!("`{name}` cannot be set: it tells the alerts of this rule apart");
            self.complain(source, value, 0, message);
        }
        let rule = Rule {
            id: format!("{}/{}", group.name.value, alert.value),
            group: group.name.value.clone(),
            alert: alert.value.clone(),
            file: source.file.to_owned(),
            expr: text.expr.value.trim().to_owned(),
            condition,
            hold,
            keep_firing,
            labels,
            annotations,
            no_data,
            no_data_after,
        };
        self.rules.push((rule, place_within(source.text, alert, 0)));
    }

    fn no_data(&mut self, source: Source<'_>, word: &Spanned<String>) -> NoData {
        match &*word.value {
            "keep" => NoData::Keep,
            "ok" => NoData::Ok,
            "alert" => NoData::Alert,
            other => {
                let message = format!("`no_data` is `keep`, `ok` or `alert`, not `{other}`");
                self.complain(source, word, 0, message);
                NoData::Keep
            }
        }
    }

    fn duration(
        &mut self,
        source: Source<'_>,
        text: Option<&Spanned<String>>,
        default: i64,
    ) -> i64 {
        let Some(text) = text else {
            return default;
        };
        parse_duration(&text.value).unwrap_or_else(|| {
            let message = format!(
                "`{}` is no duration: write such as `90s`, `5m` or `1h30m`",
                text.value
            );
            self.complain(source, text, 0, message);
            default
        })
    }

    fn templates(
        &mut self,
        source: Source<'_>,
        texts: &Texts,
        are_labels: bool,
    ) -> BTreeMap<String, Template> {
        let mut templates = BTreeMap::new();
        for (name, text) in texts {
            if !is_label(name) || name == "__name__" || (are_labels && name == "alertname") {
                let message = format!(
                    "`{name}` cannot be set: a name has letters, digits and `_`, and `alertname` is the rule's name"
                );
                self.complain(source, text, 0, message);
            }
            match Template::parse(&text.value) {
                Ok(template) if are_labels && template.shows_value() => {
                    let message = "a label must not hold the value: with each new value it would be another alert; \
                         put it into an annotation";
                    self.complain(source, text, 0, message.to_owned());
                }
                Ok(template) => {
                    templates.insert(name.clone(), template);
                }
                Err(error) => self.complain(source, text, error.at, error.message),
            }
        }
        templates
    }

    /// Tells rules of one name apart by their labels, and refuses those that cannot be.
    fn finish(mut self) -> Result<Rules, Complaints> {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (rule, _) in &self.rules {
            *names.entry(rule.id.clone()).or_default() += 1;
        }
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        for (rule, (line, column)) in &mut self.rules {
            if names.get(&rule.id).is_some_and(|count| *count > 1) {
                let labels = rule.labels.iter();
                let labels = labels.map(|(name, template)| {
                    let text = template.fixed_text().unwrap_or("{{ }}");
                    format!("{name}={text:?}")
                });
                rule.id = format!("{}{{{}}}", rule.id, labels.collect::<Vec<_>>().join(","));
            }
            let place = format!("{}:{line}:{column}", rule.file);
            if let Some(other) = first.get(&rule.id) {
                self.complaints.push(Complaint {
                    file: rule.file.clone(),
                    place: Some((*line, *column)),
                    message: format!(
                        "the rule `{}` of the group `{}` stands at {other} already with the same labels: their \
                         alerts could not be told apart",
                        rule.alert, rule.group
                    ),
                });
            } else {
                first.insert(rule.id.clone(), place);
            }
        }
        if !self.complaints.is_empty() {
            return Err(Complaints(self.complaints));
        }
        Ok(Rules {
            all: self
                .rules
                .into_iter()
                .map(|(rule, _)| Arc::new(rule))
                .collect(),
            notes: self.notes,
        })
    }
}
