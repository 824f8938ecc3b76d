//! Texts with `{{ … }}` in labels and annotations: the small part of Go's templates that rules use.

use crate::model::Labels;
use crate::rules::number;
use service::nearest::nearest;

/// What is shown for the value of an alert that has none, because data are missing.
const NO_VALUE: &str = "no data";

const STEPS: [(&str, Step); 4] = [
    ("humanize", Step::Humanize),
    ("humanize1024", Step::Humanize1024),
    ("humanizeDuration", Step::Duration),
    ("humanizePercentage", Step::Percentage),
];

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Filled(Term, Vec<Step>),
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Value,
    Label(String),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Humanize,
    Humanize1024,
    Duration,
    Percentage,
    Printf {
        before: String,
        verb: Verb,
        after: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verb {
    Fixed(usize),
    Significant(usize),
    Plain,
}

/// Why a text is no template that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateError {
    /// The byte at which it goes wrong.
    pub(super) at: usize,
    pub(super) message: String,
}

impl Template {
    /// Reads a text such as `{{ $labels.entity_id }} at {{ $value | printf "%.0f" }} %`.
    pub(super) fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("{{") {
            let open = at + found;
            let inside = open + 2;
            let error = |message: &str| TemplateError {
                at: open,
                message: message.to_owned(),
            };
            let length = text[inside..]
                .find("}}")
                .ok_or_else(|| error("this `{{` has no `}}`"))?;
            let action = &text[inside..inside + length];
            let mut before = &text[at..open];
            let cut = action
                .strip_prefix('-')
                .filter(|rest| rest.starts_with(' '));
            if cut.is_some() {
                before = before.trim_end();
            }
            let action = cut.unwrap_or(action);
            let cut = action.strip_suffix('-').filter(|rest| rest.ends_with(' '));
            let trims_after = cut.is_some();
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(parse_action(cut.unwrap_or(action)).map_err(|message| error(&message))?);
            at = inside + length + 2;
            if trims_after {
                at += text[at..].len() - text[at..].trim_start().len();
            }
        }
        pieces.push(Piece::Text(text[at..].to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Template {
            source: text.to_owned(),
            pieces,
        })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the text depends on the value.
    pub(super) fn shows_value(&self) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| matches!(piece, Piece::Filled(Term::Value, _)))
    }

    /// The text itself, if nothing in it is filled in.
    pub(super) fn fixed_text(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text, filled in. A label that is absent gives nothing; without a value its place says `no data`.
    pub fn render(&self, labels: &Labels, value: Option<f64>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out += text,
                Piece::Filled(term, steps) => out += &fill(term, steps, labels, value),
            }
        }
        out
    }
}

fn fill(term: &Term, steps: &[Step], labels: &Labels, value: Option<f64>) -> String {
    let mut text = match term {
        Term::Value => match value {
            None => return NO_VALUE.to_owned(),
            Some(value) => match steps.split_first() {
                None => return number::show(value),
                Some((first, rest)) => {
                    let text = first.number(value);
                    return rest.iter().fold(text, |text, step| step.text(&text));
                }
            },
        },
        Term::Label(name) => labels.get(name).cloned().unwrap_or_default(),
        Term::Text(text) => text.clone(),
    };
    for step in steps {
        text = step.text(&text);
    }
    text
}

impl Step {
    fn number(&self, value: f64) -> String {
        match self {
            Step::Humanize => number::humanize(value),
            Step::Humanize1024 => number::humanize1024(value),
            Step::Duration => number::humanize_duration(value),
            Step::Percentage => number::humanize_percentage(value),
            Step::Printf {
                before,
                verb,
                after,
            } => {
                let shown = match verb {
                    Verb::Fixed(digits) => number::fixed(value, *digits),
                    Verb::Significant(digits) => number::significant(value, *digits),
                    Verb::Plain => number::show(value),
                };
                format!("{before}{shown}{after}")
            }
        }
    }

    /// A text that is no number stays as it is, but for what `printf` puts around it.
    fn text(&self, text: &str) -> String {
        match (self, text.parse()) {
            (
                Step::Printf {
                    before,
                    verb: Verb::Plain,
                    after,
                },
                _,
            ) => format!("{before}{text}{after}"),
            (step, Ok(number)) => step.number(number),
            (Step::Printf { before, after, .. }, Err(_)) => format!("{before}{text}{after}"),
            (_, Err(_)) => text.to_owned(),
        }
    }
}

fn parse_action(action: &str) -> Result<Piece, String> {
    let mut parts = words(action)?.into_iter().peekable();
    let mut group = Vec::new();
    let mut groups = Vec::new();
    for word in parts.by_ref() {
        if word == "|" {
            groups.push(std::mem::take(&mut group));
        } else {
            group.push(word);
        }
    }
    groups.push(group);
    let mut groups = groups.into_iter();
    let first = groups.next().unwrap_or_default();
    let (term, mut steps) = match &*first {
        [] => return Err("`{{ }}` is empty: write such as `{{ $value }}`".to_owned()),
        [term] => (parse_term(term)?, Vec::new()),
        [function @ .., term] => (parse_term(term)?, vec![parse_step(function)?]),
    };
    for group in groups {
        steps.push(parse_step(&group)?);
    }
    Ok(Piece::Filled(term, steps))
}

/// The words of an action; quoted texts keep their opening quote.
fn words(action: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = action.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut word = String::from(c);
        if c == '|' {
            words.push(word);
            continue;
        }
        if matches!(c, '"' | '`') {
            loop {
                match chars.next() {
                    Some(end) if end == c => break,
                    Some('\\') if c == '"' => word.extend(chars.next()),
                    Some(inside) => word.push(inside),
                    None => return Err(format!("a text in {{{{ }}}} has no closing {c}")),
                }
            }
        } else {
            while let Some(next) = chars.peek()
                && !next.is_whitespace()
                && *next != '|'
            {
                word.extend(chars.next());
            }
        }
        words.push(word);
    }
    Ok(words)
}

fn parse_term(word: &str) -> Result<Term, String> {
    if matches!(word, "$value" | ".Value") {
        return Ok(Term::Value);
    }
    let label = word
        .strip_prefix("$labels.")
        .or_else(|| word.strip_prefix(".Labels."));
    if let Some(label) = label
        && is_label(label)
    {
        return Ok(Term::Label(label.to_owned()));
    }
    if let Some(text) = word.strip_prefix(['"', '`']) {
        return Ok(Term::Text(text.to_owned()));
    }
    Err(format!(
        "`{word}` is not taken in {{{{ }}}}: taken are `$value`, `$labels.NAME`, and `humanize`, `humanize1024`, \
         `humanizeDuration`, `humanizePercentage` or `printf \"%.1f\"` after a `|`"
    ))
}

fn parse_step(words: &[String]) -> Result<Step, String> {
    match words {
        [function] => {
            let known = STEPS.iter().find(|(name, _)| name == function);
            known.map(|(_, step)| step.clone()).ok_or_else(|| {
                let names = STEPS.iter().map(|(name, _)| *name).chain(["printf"]);
                let hint = nearest(function, names.clone());
                let hint = hint.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
                let names: Vec<_> = names.collect();
                format!(
                    "the function `{function}` is not taken in {{{{ }}}}: {hint}taken are {}",
                    names.join(", ")
                )
            })
        }
        [function, format] if function == "printf" && format.starts_with(['"', '`']) => {
            parse_format(&format[1..])
        }
        _ => Err(format!(
            "`{}` is not taken in {{{{ }}}}: a function takes one value, as in `{{{{ $value | humanize }}}}`",
            words.join(" ")
        )),
    }
}

fn parse_format(format: &str) -> Result<Step, String> {
    let mut parts = [String::new(), String::new()];
    let mut verb = None;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        let part = &mut parts[usize::from(verb.is_some())];
        if c != '%' {
            part.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(next) = chars.next_if(|next| next.is_ascii_digit() || *next == '.') {
            spec.push(next);
        }
        let digits = spec
            .strip_prefix('.')
            .and_then(|digits| digits.parse::<usize>().ok());
        let digits = digits.filter(|digits| *digits <= 30);
        let read = match (chars.next(), &*spec, digits) {
            (Some('%'), "", _) => {
                part.push('%');
                continue;
            }
            (Some('f'), "", _) => Verb::Fixed(6),
            (Some('f'), _, Some(digits)) => Verb::Fixed(digits),
            (Some('g'), _, Some(digits)) => Verb::Significant(digits),
            (Some('g' | 'v' | 's'), "", _) => Verb::Plain,
            _ => {
                return Err(format!(
                    "the format `{format}` is not taken: write `%.1f`, `%f`, `%.4g`, `%g`, `%v` or `%s`"
                ));
            }
        };
        if verb.replace(read).is_some() {
            return Err(format!("the format `{format}` shows more than one value"));
        }
    }
    let verb =
        verb.ok_or_else(|| format!("the format `{format}` shows no value: write such as `%.1f`"))?;
    let [before, after] = parts;
    Ok(Step::Printf {
        before,
        verb,
        after,
    })
}

pub(crate) fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        let labels = [("entity_id", "CELL-1"), ("load", "12345")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Template::parse(text)
            .unwrap()
            .render(&labels.into(), Some(91.25))
    }

    #[test]
    fn places_are_filled_in() {
        for (text, filled) in [
            ("plain", "plain"),
            ("{{ $value }}", "91.25"),
            ("{{.Value}} at {{ .Labels.entity_id }}", "91.25 at CELL-1"),
            (
                r#"{{ $labels.entity_id }} at {{ $value | printf "%.1f" }} %"#,
                "CELL-1 at 91.2 %",
            ),
            (r#"{{ printf "%.0f%%" $value }}"#, "91%"),
            (r#"{{ printf "<%s>" $labels.entity_id }}"#, "<CELL-1>"),
            (
                "{{ humanize $value }}{{ $value | humanizeDuration }}",
                "91.251m 31s",
            ),
            ("{{ $labels.load | humanize }}", "12.35k"),
            ("{{ $labels.none }}.", "."),
            ("a {{- $value -}} b", "a91.25b"),
            ("a {{- \" b\" -}} c", "a bc"),
            (r#"{{ "{{" }}"#, "{{"),
        ] {
            assert_eq!(render(text), filled, "{text}");
        }
        let template = Template::parse("{{ $value | humanize }}").unwrap();
        assert_eq!(template.render(&Labels::new(), None), "no data");
    }

    #[test]
    fn what_is_not_taken_is_named() {
        for (text, at, words) in [
            ("a {{ $value", 2, "has no `}}`"),
            ("{{ }}", 0, "is empty"),
            ("{{ $vlaue }}", 0, "`$vlaue` is not taken"),
            ("{{ if $value }}x{{ end }}", 0, "`if` is not taken"),
            ("{{ $value | humanise }}", 0, "did you mean `humanize`?"),
            ("{{ $value | printf \"%d\" }}", 0, "`%d` is not taken"),
            ("{{ $value | printf \"x\" }}", 0, "shows no value"),
            ("{{ query \"up\" | first }}", 0, "`query` is not taken"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.message.contains(words), "{text}: {}", error.message);
            assert_eq!(error.at, at, "{text}");
        }
    }
}
