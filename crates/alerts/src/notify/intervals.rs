//! Intervals of time in a week or year, as `time_intervals` has them. All in UTC.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

/// A time lies in it if it lies in one range of each list that is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Minutes of the day; the end is not in it.
    pub(crate) times: Vec<std::ops::Range<u32>>,
    /// Days of the week from Sunday, 0, on.
    pub(crate) weekdays: Vec<RangeInclusive<u32>>,
    /// Days of the month from 1 on, or from the last one, -1, back.
    pub(crate) days_of_month: Vec<RangeInclusive<i32>>,
    /// Months from 1 on.
    pub(crate) months: Vec<RangeInclusive<u32>>,
    /// Years.
    pub(crate) years: Vec<RangeInclusive<i32>>,
}

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Interval {
    /// Whether a time, in milliseconds since 1970, lies in it.
    pub(crate) fn contains(&self, millis: i64) -> bool {
        let time = DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default();
        let minute = time.hour() * 60 + time.minute();
        let (day, length) = (time.day() as i32, days_in_month(time));
        let from_start = |day: i32| if day < 0 { length + 1 + day } else { day };
        let any = |empty: bool, found: bool| empty || found;
        any(
            self.times.is_empty(),
            self.times.iter().any(|range| range.contains(&minute)),
        ) && any(
            self.weekdays.is_empty(),
            in_ranges(&self.weekdays, &time.weekday().num_days_from_sunday()),
        ) && any(
            self.days_of_month.is_empty(),
            self.days_of_month.iter().any(|range| {
                (from_start(*range.start())..=from_start(*range.end())).contains(&day)
            }),
        ) && any(
            self.months.is_empty(),
            in_ranges(&self.months, &time.month()),
        ) && any(self.years.is_empty(), in_ranges(&self.years, &time.year()))
    }
}

fn in_ranges<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: &T) -> bool {
    ranges.iter().any(|range| range.contains(value))
}

fn days_in_month(time: DateTime<Utc>) -> i32 {
    let next = match time.month() {
        12 => NaiveDate::from_ymd_opt(time.year() + 1, 1, 1),
        month => NaiveDate::from_ymd_opt(time.year(), month + 1, 1),
    };
    next.and_then(|first| first.pred_opt())
        .map_or(31, |last| last.day() as i32)
}

/// The minute of the day that `HH:MM` names, `24:00` included.
pub(crate) fn read_minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= 24 * 60).then_some(minutes)
}

/// A range of weekdays, such as `monday:friday` or `sunday`.
pub(crate) fn read_weekdays(text: &str) -> Option<RangeInclusive<u32>> {
    read_range(text, |name| place(&WEEKDAYS, name))
}

/// A range of months, by name or number, such as `may:august` or `12`.
pub(crate) fn read_months(text: &str) -> Option<RangeInclusive<u32>> {
    let month = |text: &str| {
        let named = place(&MONTHS, text).map(|place| place + 1);
        named.or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
    };
    read_range(text, month)
}

/// A range of days of the month, such as `1:5` or `-3:-1`.
pub(crate) fn read_days(text: &str) -> Option<RangeInclusive<i32>> {
    let day = |text: &str| {
        text.parse()
            .ok()
            .filter(|day: &i32| *day != 0 && (-31..=31).contains(day))
    };
    let (first, last) = ends(text);
    let range = day(first)?..=day(last)?;
    let same_side = (*range.start() < 0) == (*range.end() < 0);
    (!same_side || range.start() <= range.end()).then_some(range)
}

/// A range of years, such as `2026:2028`.
pub(crate) fn read_years(text: &str) -> Option<RangeInclusive<i32>> {
    read_range(text, |year| year.parse().ok())
}

fn read_range<T: PartialOrd>(
    text: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<RangeInclusive<T>> {
    let (first, last) = ends(text);
    let range = read(first)?..=read(last)?;
    (range.start() <= range.end()).then_some(range)
}

fn ends(text: &str) -> (&str, &str) {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    (first.trim(), last.trim())
}

fn place(names: &[&str], name: &str) -> Option<u32> {
    let place = names
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))?;
    u32::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> i64 {
        time.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn a_time_must_lie_in_a_range_of_each_kind() {
        let office = Interval {
            times: vec![
                read_minute("09:00").unwrap()..read_minute("12:00").unwrap(),
                read_minute("13:00").unwrap()..read_minute("17:00").unwrap(),
            ],
            weekdays: vec![read_weekdays("monday:friday").unwrap()],
            ..Interval::default()
        };
        assert!(office.contains(at("2026-11-27T09:00:00Z")), "a Friday");
        assert!(!office.contains(at("2026-11-27T17:00:00Z")));
        assert!(!office.contains(at("2026-11-27T12:30:00Z")));
        assert!(!office.contains(at("2026-11-28T11:00:00Z")), "a Saturday");
        let month_end = Interval {
            days_of_month: vec![read_days("-2:-1").unwrap()],
            months: vec![read_months("february").unwrap()],
            ..Interval::default()
        };
        assert!(month_end.contains(at("2024-02-28T00:00:00Z")));
        assert!(!month_end.contains(at("2024-02-27T00:00:00Z")));
        assert!(!month_end.contains(at("2024-03-31T00:00:00Z")));
    }

    #[test]
    fn what_is_no_range_is_not_read() {
        assert_eq!(read_minute("24:00"), Some(1440));
        for text in ["24:01", "9:00", "09:60", "x"] {
            assert_eq!(read_minute(text), None, "{text}");
        }
        assert_eq!(read_weekdays("friday:monday"), None);
        assert_eq!(read_months("13"), None);
        assert_eq!(read_days("0"), None);
        assert_eq!(read_years("2026"), Some(2026..=2026));
    }
}
