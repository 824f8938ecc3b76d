//! Reads the time of a row: written in one or more columns, or counted from a start.

use std::path::Path;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use regex::Regex;
use serde::Deserialize;

/// `[time]` of a mapping.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeSpec {
    /// Columns whose texts, joined by a space, are the time in `format`.
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    /// `rfc3339`, or as chrono's strftime: `%Y-%m-%d %H:%M:%S%.f`.
    format: Option<String>,
    /// Columns that count from `since`; their sum is the time.
    #[serde(default)]
    pub(crate) elapsed: Vec<ElapsedSpec>,
    /// Where `elapsed` counts from, in RFC 3339; `from_file` can take its place.
    since: Option<String>,
    /// The date, or date and time, that the file's name gives.
    from_file: Option<FromFileSpec>,
    /// `UTC` (default) or an offset, `+02:00`: of texts that name none.
    zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ElapsedSpec {
    pub(crate) column: String,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    D,
    H,
    Min,
    S,
    Ms,
    Us,
    Ns,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromFileSpec {
    /// What to take of the name: the first group, or the whole match.
    pattern: String,
    /// `%Y-%m-%d` unless given.
    format: Option<String>,
}

/// How a row tells its time.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    reading: Reading,
    from_file: Option<(Regex, String)>,
    zone: FixedOffset,
}

#[derive(Debug, Clone)]
enum Reading {
    Rfc3339,
    /// Date and time, with a zone in the text.
    Zoned(String),
    /// Date and time.
    Full(String),
    /// Time of the day; the date is the file's.
    OfDay(String),
    /// Sum of columns, from `since` or from the file's time on.
    Elapsed {
        units: Vec<Unit>,
        since: Option<DateTime<Utc>>,
    },
}

impl TimeSpec {
    pub(crate) fn compile(&self) -> Result<Clock, String> {
        let zone = match self.zone.as_deref() {
            None | Some("UTC" | "Z") => FixedOffset::east_opt(0),
            Some(offset) => offset.parse().ok(),
        };
        let zone = zone.ok_or("`time.zone` is `UTC` or an offset such as `+02:00`")?;
        let from_file = match &self.from_file {
            None => None,
            Some(spec) => {
                let pattern = Regex::new(&spec.pattern)
                    .map_err(|error| format!("`time.from_file.pattern`: {error}"))?;
                Some((
                    pattern,
                    checked(
                        spec.format.as_deref().unwrap_or("%Y-%m-%d"),
                        "time.from_file.format",
                    )?,
                ))
            }
        };
        let reading = match (&self.format, self.elapsed.is_empty()) {
            (Some(format), true) => {
                if self.columns.is_empty() {
                    return Err("`time.format` needs `time.columns`".into());
                }
                if self.since.is_some() {
                    return Err("`time.since` goes with `time.elapsed`".into());
                }
                let has_zone = ["%z", "%:z", "%::z", "%#z", "%+"]
                    .iter()
                    .any(|zone| format.contains(zone));
                match format.as_str() {
                    "rfc3339" => Reading::Rfc3339,
                    format if has_zone => Reading::Zoned(checked(format, "time.format")?),
                    format if from_file.is_some() => {
                        Reading::OfDay(checked(format, "time.format")?)
                    }
                    format => Reading::Full(checked(format, "time.format")?),
                }
            }
            (None, false) => {
                if !self.columns.is_empty() {
                    return Err("`time.columns` goes with `time.format`".into());
                }
                let since = self
                    .since
                    .as_deref()
                    .map(DateTime::parse_from_rfc3339)
                    .transpose();
                let since =
                    since.map_err(|error| format!("`time.since` is not RFC 3339: {error}"))?;
                if since.is_some() == from_file.is_some() {
                    return Err("`time.elapsed` needs either `time.since` or `time.from_file` to count from".into());
                }
                let units = self.elapsed.iter().map(|part| part.unit).collect();
                Reading::Elapsed {
                    units,
                    since: since.map(|since| since.with_timezone(&Utc)),
                }
            }
            _ => return Err("`[time]` needs either `columns` with `format`, or `elapsed`".into()),
        };
        Ok(Clock {
            reading,
            from_file,
            zone,
        })
    }
}

/// The format, if it holds no specifier that chrono does not know.
fn checked(format: &str, what: &str) -> Result<String, String> {
    let unknown =
        chrono::format::StrftimeItems::new(format).any(|item| item == chrono::format::Item::Error);
    if unknown {
        Err(format!("`{what}` holds an unknown specifier: `{format}`"))
    } else {
        Ok(format.to_owned())
    }
}

impl Clock {
    /// The clock for the rows of one file.
    pub(crate) fn for_file(&self, path: &Path) -> Result<FileClock, String> {
        let base =
            match &self.from_file {
                None => None,
                Some((pattern, format)) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    let found = pattern
                        .captures(&name)
                        .and_then(|found| found.get(1).or(found.get(0)));
                    let text = found
                        .ok_or_else(|| format!("its name has no time: /{pattern}/ does not match"))?
                        .as_str();
                    let base = NaiveDateTime::parse_from_str(text, format).or_else(|_| {
                        NaiveDate::parse_from_str(text, format)
                            .map(|date| date.and_time(NaiveTime::MIN))
                    });
                    Some(base.map_err(|error| {
                        format!("`{text}` in its name is not `{format}`: {error}")
                    })?)
                }
            };
        Ok(FileClock {
            clock: self.clone(),
            base,
            last: None,
            days: TimeDelta::zero(),
        })
    }
}

/// Reads the times of one file's rows, in order.
#[derive(Debug)]
pub(crate) struct FileClock {
    clock: Clock,
    base: Option<NaiveDateTime>,
    /// Time of day of the row before, where rows have no date.
    last: Option<NaiveTime>,
    /// Midnights passed since the file's date.
    days: TimeDelta,
}

impl FileClock {
    /// The time that the texts of the clock's columns say; none if they say none.
    pub(crate) fn read(&mut self, texts: &[&str]) -> Option<DateTime<Utc>> {
        let joined = || texts.join(" ");
        let naive = match &self.clock.reading {
            Reading::Rfc3339 => {
                return Some(DateTime::parse_from_rfc3339(&joined()).ok()?.to_utc());
            }
            Reading::Zoned(format) => {
                return Some(DateTime::parse_from_str(&joined(), format).ok()?.to_utc());
            }
            Reading::Full(format) => {
                let text = joined();
                NaiveDateTime::parse_from_str(&text, format)
                    .or_else(|_| {
                        NaiveDate::parse_from_str(&text, format)
                            .map(|date| date.and_time(NaiveTime::MIN))
                    })
                    .ok()?
            }
            Reading::OfDay(format) => {
                let time = NaiveTime::parse_from_str(&joined(), format).ok()?;
                self.on_its_day(time)?
            }
            Reading::Elapsed { units, since } => {
                let mut passed = TimeDelta::zero();
                for (text, unit) in texts.iter().zip(units) {
                    passed = passed.checked_add(&unit.read(text)?)?;
                }
                match since {
                    Some(since) => return since.checked_add_signed(passed),
                    None => self.base?.checked_add_signed(passed)?,
                }
            }
        };
        Some(naive.and_local_timezone(self.clock.zone).single()?.to_utc())
    }

    /// Rows without a date pass midnight when the clock falls back by more than half a day; a
    /// smaller step back is a clock that was set. One that springs ahead by nearly a whole day is
    /// such a small step over a midnight just passed.
    fn on_its_day(&mut self, time: NaiveTime) -> Option<NaiveDateTime> {
        let ahead = self.last.map_or(TimeDelta::zero(), |last| time - last);
        if ahead < TimeDelta::hours(-12) {
            self.days += TimeDelta::days(1);
        } else if ahead > TimeDelta::hours(23) && self.days > TimeDelta::zero() {
            self.days -= TimeDelta::days(1);
        }
        self.last = Some(time);
        self.base?
            .date()
            .and_time(time)
            .checked_add_signed(self.days)
    }
}

impl Unit {
    /// What the text counts, to the microsecond; whole numbers of any size exactly.
    fn read(self, text: &str) -> Option<TimeDelta> {
        let nanos: f64 = match self {
            Unit::D => 86_400e9,
            Unit::H => 3_600e9,
            Unit::Min => 60e9,
            Unit::S => 1e9,
            Unit::Ms => 1e6,
            Unit::Us => 1e3,
            Unit::Ns => 1.0,
        };
        if let Ok(whole) = text.parse::<i64>() {
            let nanos = i128::from(whole) * nanos as i128;
            let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
            return TimeDelta::new(seconds, nanos.rem_euclid(1_000_000_000) as u32);
        }
        let micros = text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())?
            * nanos
            / 1e3;
        (micros.abs() < 9e18).then(|| TimeDelta::microseconds(micros.round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(spec: &str, file: &str) -> Result<FileClock, String> {
        toml::from_str::<TimeSpec>(spec)
            .unwrap()
            .compile()?
            .for_file(Path::new(file))
    }

    fn read(clock: &mut FileClock, texts: &[&str]) -> String {
        clock
            .read(texts)
            .map_or("none".into(), contract::format_millis)
    }

    #[test]
    fn written_times_are_read_in_their_zone() {
        let cases = [
            (
                "format = 'rfc3339'",
                "2020-02-27T18:39:27.5+01:00",
                "2020-02-27T17:39:27.500Z",
            ),
            (
                "format = '%Y.%m.%d_%H.%M.%S'",
                "2020.02.27_18.39.27",
                "2020-02-27T18:39:27.000Z",
            ),
            (
                "format = '%Y.%m.%d_%H.%M.%S'\nzone = '+02:00'",
                "2020.02.27_18.39.27",
                "2020-02-27T16:39:27.000Z",
            ),
            (
                "format = '%d/%m/%Y %I:%M:%S %p'",
                "27/02/2020 06:39:27 PM",
                "2020-02-27T18:39:27.000Z",
            ),
            (
                "format = '%Y-%m-%d %H:%M:%S%.f %z'",
                "2020-02-27 18:39:27.25 -0500",
                "2020-02-27T23:39:27.250Z",
            ),
            (
                "format = '%Y-%m-%d'",
                "2020-02-27",
                "2020-02-27T00:00:00.000Z",
            ),
            ("format = '%Y-%m-%d'", "27.2.2020", "none"),
        ];
        for (spec, text, expected) in cases {
            let mut clock = clock(&format!("columns = ['T']\n{spec}"), "x.csv").unwrap();
            assert_eq!(read(&mut clock, &[text]), expected, "{spec}");
        }
    }

    #[test]
    fn date_and_time_may_stand_in_two_columns() {
        let mut clock = clock("columns = ['D', 'T']\nformat = '%d.%m.%y %H:%M'", "x.csv").unwrap();
        assert_eq!(
            read(&mut clock, &["27.02.20", "18:39"]),
            "2020-02-27T18:39:00.000Z"
        );
    }

    #[test]
    fn a_file_names_the_date_and_its_rows_may_pass_midnight_and_jitter() {
        let spec = "columns = ['T']\nformat = '%H:%M:%S%.f'\nfrom_file = { pattern = '^(\\d{4}-\\d\\d-\\d\\d)_' }";
        let mut night = clock(spec, "trips/2017-07-05_Seat.csv.gz").unwrap();
        let times = [
            "07:16:30.444",
            "23:59:59.9",
            "00:00:00.1",
            "23:59:59.95",
            "00:00:01",
            "13:00:00",
            "12:59:59.9",
        ];
        let days: Vec<String> = times
            .iter()
            .map(|time| read(&mut night, &[time])[..10].to_owned())
            .collect();
        assert_eq!(
            days.join(" "),
            "2017-07-05 2017-07-05 2017-07-06 2017-07-05 2017-07-06 2017-07-06 2017-07-06"
        );
        assert!(
            clock(spec, "Seat.csv")
                .unwrap_err()
                .contains("its name has no time")
        );
        assert!(
            clock(spec, "2017-99-05_Seat.csv")
                .unwrap_err()
                .contains("2017-99-05")
        );
    }

    #[test]
    fn counted_times_add_up_from_their_start() {
        let unix = "elapsed = [{ column = 'T', unit = 'ms' }]\nsince = '1970-01-01T00:00:00Z'";
        assert_eq!(
            read(&mut clock(unix, "x").unwrap(), &["1507118400123"]),
            "2017-10-04T12:00:00.123Z"
        );
        let days = "since = '2017-11-01T00:00:00Z'\n[[elapsed]]\ncolumn = 'Day'\nunit = 'd'\n[[elapsed]]\ncolumn = 'T'\nunit = 'ms'";
        assert_eq!(
            read(&mut clock(days, "x").unwrap(), &["1.5", "1500"]),
            "2017-11-02T12:00:01.500Z"
        );
        let trip = "elapsed = [{ column = 'T', unit = 's' }]\nfrom_file = { pattern = '\\d+_\\d+', format = '%Y%m%d_%H%M%S' }";
        assert_eq!(
            read(
                &mut clock(trip, "t_20200227_183900.csv").unwrap(),
                &["27.5"]
            ),
            "2020-02-27T18:39:27.500Z"
        );
        for wrong in ["", "x", "1e300", "NaN", "9223372036854775807"] {
            assert_eq!(
                read(
                    &mut clock(unix.replace("'ms'", "'d'").as_str(), "x").unwrap(),
                    &[wrong]
                ),
                "none"
            );
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_from_anything_is_refused_at_the_start() {
        for wrong in [
            "",
            "columns = ['T']",
            "format = '%H'",
            "columns = ['T']\nformat = '%H:%Q'",
            "columns = ['T']\nformat = 'rfc3339'\nzone = 'Europe/Berlin'",
            "elapsed = [{ column = 'T', unit = 's' }]",
            "elapsed = [{ column = 'T', unit = 's' }]\nsince = 'now'",
        ] {
            assert!(clock(wrong, "x").is_err(), "{wrong}");
        }
    }
}
