//! Rule files as they are written: the keys of Prometheus and ours, with the place of each text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_saphyr::{Error, Spanned};

use crate::rules::complaint::Complaint;
use crate::rules::place::line_and_column;
use service::nearest::nearest;

/// Most bytes of a rule file.
const MOST_BYTES: usize = 4 << 20;

pub(super) type Texts = BTreeMap<String, Spanned<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileText {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) groups: Vec<GroupText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupText {
    pub(super) name: Spanned<String>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) query_offset: Option<Spanned<String>>,
    pub(super) limit: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) rules: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    pub(super) record: Option<Spanned<String>>,
    pub(super) alert: Option<Spanned<String>>,
    pub(super) expr: Spanned<String>,
    #[serde(rename = "for")]
    pub(super) hold: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: Texts,
    pub(super) no_data: Option<Spanned<String>>,
    pub(super) no_data_after: Option<Spanned<String>>,
}

/// A list or a map that stands there without a value is empty, as in Prometheus.
pub(crate) fn or_default<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

/// Reads YAML into one of the structures of rule or test files.
pub(crate) fn read_yaml<'t, T: Deserialize<'t>>(file: &str, text: &'t str) -> Result<T, Complaint> {
    let complaint = |place, message| Complaint {
        file: file.to_owned(),
        place,
        message,
    };
    if text.len() > MOST_BYTES {
        return Err(complaint(
            None,
            format!("a file has at most {MOST_BYTES} bytes"),
        ));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(line_and_column);
        complaint(place, in_words(&error))
    })
}

fn in_words(error: &Error) -> String {
    if matches!(error, Error::NullIntoString { .. }) {
        return "a text is missing here: write '' for an empty one".to_owned();
    }
    let Error::SerdeUnknownField {
        field, expected, ..
    } = error
    else {
        let text = error.to_string();
        // The message ends with its place, which stands before it already.
        return match text.rsplit_once(" at line ") {
            Some((message, _)) => message.to_owned(),
            None => text,
        };
    };
    let hint = nearest(field, expected.iter().copied());
    let hint = hint.map_or_else(String::new, |name| format!(": did you mean `{name}`?"));
    let all = expected.join(", ");
    format!("unknown key `{field}`{hint} Taken here are {all}").replacen("` Taken", "`. Taken", 1)
}
