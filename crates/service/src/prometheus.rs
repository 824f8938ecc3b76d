//! Reads the Prometheus text format as far as `metrics` writes it.

/// One series of a text in the Prometheus format: `name{labels} value`.
#[derive(Debug)]
pub struct Series<'t> {
    /// The name of the metric, for a histogram with `_bucket`, `_sum` or `_count`.
    pub name: &'t str,
    /// Labels and values as they are written, with the closing brace; empty without labels.
    pub labels: &'t str,
    /// The value at the time of the text.
    pub value: f64,
}

impl<'t> Series<'t> {
    /// The value of a label, as it is written: correct for values without commas, quotes and backslashes, as ours are.
    pub fn label(&self, label: &str) -> Option<&'t str> {
        self.labels.split(',').find_map(|one| {
            let (name, value) = one.split_once("=\"")?;
            let value = value.split_once('"')?.0;
            (name == label).then_some(value)
        })
    }
}

/// Reads the series of a text in the Prometheus format; comments and lines that cannot be read are left out.
pub fn series(text: &str) -> impl Iterator<Item = Series<'_>> {
    text.lines().filter_map(one)
}

fn one(line: &str) -> Option<Series<'_>> {
    let (series, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some(Series {
        name,
        labels,
        value: value.parse().ok()?,
    })
}
