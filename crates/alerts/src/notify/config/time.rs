//! Checks `time_intervals`.

use serde_saphyr::Spanned;

use super::file::{IntervalText, Text};
use super::sources::Wrong;
use crate::notify::intervals::{self, Interval};

pub(super) fn interval(text: &IntervalText) -> Result<Interval, Wrong> {
    if let Some(location) = &text.location
        && location.value != "UTC"
    {
        let message = format!("no location `{}`: intervals are in UTC", location.value);
        return Err((location.referenced, message));
    }
    let mut times = Vec::new();
    for range in &text.times {
        let minute = |text: &Text| {
            let wrong = || {
                (
                    text.referenced,
                    format!("`{}` is no time: write 09:30", text.value),
                )
            };
            intervals::read_minute(&text.value).ok_or_else(wrong)
        };
        let (start, end) = (minute(&range.start_time)?, minute(&range.end_time)?);
        if start >= end {
            let message =
                "the times end before they begin: write two, one up to 24:00 and one from 00:00"
                    .to_owned();
            return Err((range.end_time.referenced, message));
        }
        times.push(start..end);
    }
    Ok(Interval {
        times,
        weekdays: each(
            &text.weekdays,
            "weekdays: write monday or monday:friday",
            intervals::read_weekdays,
        )?,
        days_of_month: each(
            &text.days_of_month,
            "days: write 1, 1:5 or -3:-1",
            intervals::read_days,
        )?,
        months: each(
            &text.months,
            "months: write may, 5 or may:august",
            intervals::read_months,
        )?,
        years: each(
            &text.years,
            "years: write 2026 or 2026:2028",
            intervals::read_years,
        )?,
    })
}

fn each<T>(
    texts: &[Spanned<String>],
    form: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Wrong> {
    let one = |text: &Spanned<String>| {
        read(&text.value).ok_or_else(|| {
            (
                text.referenced,
                format!("`{}` is no range of {form}", text.value),
            )
        })
    };
    texts.iter().map(one).collect()
}
