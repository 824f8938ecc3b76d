//! The page's text.

use std::fmt::{Display, Write};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::chart::{self, Line};
use super::series::{Point, Series, Top};
use crate::demo::Report;
use crate::lake_samples::LakeSamples;

const STYLE: &str = include_str!("style.css");

/// What the page tells.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) report: &'a Report,
    pub(crate) series: &'a [Series],
    pub(crate) top: &'a Top,
    pub(crate) samples: &'a LakeSamples,
    /// The folder of the lake's objects as files.
    pub(crate) lake: &'a Path,
    pub(crate) took: Duration,
    pub(crate) now: DateTime<Utc>,
}

impl Page<'_> {
    /// The page.
    pub(crate) fn html(&self) -> String {
        let (word, class) = if self.report.is_fine() {
            ("Nothing was lost, and nothing stands twice", "good")
        } else {
            ("Something is wrong: see below", "bad")
        };
        let verdict = self.report.verdict.to_string();
        let (rows, last) = verdict.rsplit_once('\n').unwrap_or(("", &verdict));
        let charts: String = self.series.iter().map(of_series).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>Headwater: the demo of {time}</title><style>{STYLE}</style></head><body>\n\
             <h1>Headwater: the demo of {time} UTC</h1>\n\
             <p class=\"verdict {class}\">{word}<br><strong>{last}</strong></p>\n\
             <p>{total} simulated events went over HTTP through ingest, a queue and the consumer to files, and through \
             the aggregator to Parquet and hourly statistics, in {took:.1} s. The judge then read all of it back and \
             compared it with what had been accepted.</p>\n\
             <h2>What was sent, and what the judge found</h2>\n<pre>{sent}\naggregator        {first}\n\
             once more         {second}\n{rows}</pre>\n\
             <h2>What went through</h2>\n{charts}{top}\
             <h2>Where to look</h2>\n{files}\
             <h2>Go on</h2>\n<pre>cargo run --release -p headwater -- serve    # keeps it running; prints a link to \
             the live page\ncargo run --release -p headwater -- cost     # what a month on AWS costs</pre>\n\
             </body></html>\n",
            time = self.now.format("%F %H:%M"),
            total = self.report.sent.total(),
            took = self.took.as_secs_f64(),
            sent = escaped(&self.report.sent),
            first = escaped(&self.report.first),
            second = escaped(&self.report.second),
            rows = escaped(rows),
            last = escaped(last),
            top = of_top(self.top),
            files = self.files(),
        )
    }

    fn files(&self) -> String {
        let mut list = format!(
            "<p>The lake's objects are files in <code>{}</code>:</p>\n<dl>",
            escaped(self.lake.display())
        );
        for (key, what) in self.samples.objects() {
            // Writing to a text cannot fail.
            let _ = write!(
                list,
                "<dt><code>{}</code></dt><dd>{what}</dd>",
                escaped(key)
            );
        }
        list.push_str("</dl>\n");
        if let Some(line) = self.samples.line() {
            let _ = write!(
                list,
                "<p>A line of the last one:</p>\n<pre class=\"line\">{}</pre>\n",
                escaped(line)
            );
        }
        list
    }
}

fn of_series(series: &Series) -> String {
    let line = |class: &'static str, aggregate: &str| Line {
        class,
        points: series
            .points
            .iter()
            .filter_map(|point| Some((point.timestamp, value(point, aggregate)?)))
            .collect(),
    };
    let lines = [line("max", "max"), line("mean", "avg")];
    let events: f64 = series
        .points
        .iter()
        .filter_map(|point| value(point, "count"))
        .sum();
    let (title, unit) = (escaped(series.title), escaped(series.unit));
    let label = format!("{}: mean and maximum of each five minutes", series.title);
    let mut figure = format!(
        "<figure><figcaption>{title} in {unit}, each five minutes: <span class=\"mean\">mean</span>, \
         <span class=\"max\">maximum</span>; {events} values of <code>{}</code>, times in UTC</figcaption>{}\
         <details><summary>The same as a table</summary><table><tr><th>from</th><th>values</th><th>mean</th>\
         <th>maximum</th></tr>",
        series.signal,
        chart::svg(&lines, &label)
    );
    for point in &series.points {
        let time = DateTime::from_timestamp_millis(point.timestamp).unwrap_or_default();
        let cell = |aggregate: &str, decimals: usize| {
            let value = value(point, aggregate);
            value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
        };
        let _ = write!(
            figure,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            time.format("%H:%M"),
            cell("count", 0),
            cell("avg", 1),
            cell("max", 1)
        );
    }
    figure + "</table></details></figure>\n"
}

fn of_top(top: &Top) -> String {
    let mut table =
        "<h3>The busiest cells</h3>\n<table><tr><th>cell</th><th>mean of blocks in use, %</th>\
                     <th>values</th></tr>"
            .to_owned();
    for cell in &top.entities {
        let mean = cell
            .value
            .map_or_else(String::new, |mean| format!("{mean:.1}"));
        let _ = write!(
            table,
            "<tr><td>{}</td><td>{mean}</td><td>{}</td></tr>",
            escaped(&cell.entity_id),
            cell.count
        );
    }
    table + "</table>\n"
}

fn value(point: &Point, aggregate: &str) -> Option<f64> {
    *point.values.get(aggregate)?
}

/// The text as HTML shows it.
pub(super) fn escaped(text: impl Display) -> String {
    let mut escaped = String::new();
    for letter in text.to_string().chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_id_is_markup() {
        let top = r#"{"entities":[{"entity_id":"<img src=\"x\">&","value":12.34,"count":3}]}"#;
        let table = of_top(&serde_json::from_str(top).unwrap());
        assert!(
            table.contains("<td>&lt;img src=&quot;x&quot;&gt;&amp;</td><td>12.3</td><td>3</td>")
        );
    }
}
