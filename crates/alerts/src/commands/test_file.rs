//! Test files as promtool has them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::rules::or_default;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) rule_files: Vec<Spanned<String>>,
    /// The default of each group's `interval`. Rules are looked at as of each window's end, whatever it says.
    pub(super) evaluation_interval: Option<Spanned<String>>,
    /// Read, and without effect: groups do not depend on each other.
    #[serde(default, rename = "group_eval_order")]
    pub(super) _group_eval_order: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tests: Vec<TestGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestGroup {
    pub(super) name: Option<String>,
    pub(super) interval: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) input_series: Vec<InputSeries>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) alert_rule_test: Vec<AlertTest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: Spanned<String>,
    pub(super) values: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: Spanned<String>,
    pub(super) groupname: Option<String>,
    pub(super) alertname: Spanned<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) exp_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) exp_annotations: BTreeMap<String, String>,
}
