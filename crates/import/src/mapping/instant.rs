//! `instant(text [, format [, zone]])`: the moment that a text names.

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, StringArray, TimestampNanosecondBuilder};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, TimeZone, Utc};
use datafusion::error::{DataFusionError, Result};

use super::functions::shared;

/// Zone of the column: moments are in UTC.
const UTC: &str = "+00:00";

pub(super) fn column_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
}

pub(super) fn read(
    texts: &StringArray,
    further: &[String],
    unreadable: &mut dyn FnMut(&str),
) -> Result<ArrayRef> {
    let plan = |message: String| DataFusionError::Plan(message);
    let format = further.first().map(|format| {
        let items = StrftimeItems::new(format).parse();
        items.map_err(|_| {
            plan(format!(
                "`instant`: `{format}` is no format, such as '%Y-%m-%d %H:%M:%S%.f'"
            ))
        })
    });
    let format = format.transpose()?;
    let zone = further.get(1).map(|zone| {
        let parsed = zone.parse::<Tz>();
        parsed.map_err(|_| {
            plan(format!(
                "`instant`: `{zone}` is no zone, such as 'Europe/Berlin' or '+01:00'"
            ))
        })
    });
    let zone = zone.transpose()?;
    let mut instants = TimestampNanosecondBuilder::with_capacity(texts.len());
    for text in texts {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let instant = text.and_then(|text| match &format {
            Some(format) => by_format(text, format, zone),
            None => DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|instant| instant.to_utc()),
        });
        let nanoseconds = instant.and_then(|instant| instant.timestamp_nanos_opt());
        if let Some(text) = text.filter(|_| nanoseconds.is_none()) {
            unreadable(text);
        }
        instants.append_option(nanoseconds);
    }
    Ok(shared(instants.finish().with_timezone(UTC)))
}

/// By the text's own zone if the format has one, else in `zone`, else in UTC. A local time that comes twice, as clocks
/// are set back, is the first of the two; one that is skipped names no moment.
fn by_format(text: &str, format: &[Item<'_>], zone: Option<Tz>) -> Option<DateTime<Utc>> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, format.iter()).ok()?;
    if parsed.timestamp().is_some() || parsed.offset().is_some() {
        return parsed.to_datetime().ok().map(|instant| instant.to_utc());
    }
    let date = parsed.to_naive_date().ok()?;
    // A format of days alone means their beginning.
    let time = if parsed.hour_div_12().is_none() {
        chrono::NaiveTime::MIN
    } else {
        parsed.to_naive_time().ok()?
    };
    let local = date.and_time(time);
    match zone {
        Some(zone) => zone
            .from_local_datetime(&local)
            .earliest()
            .map(|instant| instant.to_utc()),
        None => Some(local.and_utc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, format: &str, zone: Option<&str>) -> Option<String> {
        let items = StrftimeItems::new(format).parse().unwrap();
        let zone = zone.map(|zone| zone.parse().unwrap());
        by_format(text, &items, zone)
            .map(|instant| instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }

    #[test]
    fn a_local_time_is_taken_in_its_zone() {
        let format = "%Y.%m.%d_%H.%M.%S%.f";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            at("2025.10.04_12.00.00.5", format, None),
            some("2025-10-04T12:00:00.500Z")
        );
        let berlin = Some("Europe/Berlin");
        assert_eq!(
            at("2025.07.01_12.00.00", format, berlin),
            some("2025-07-01T10:00:00Z")
        );
        assert_eq!(
            at("2025.01.01_12.00.00", format, berlin),
            some("2025-01-01T11:00:00Z")
        );
        // 02:30 comes twice, and not at all.
        assert_eq!(
            at("2025.10.26_02.30.00", format, berlin),
            some("2025-10-26T00:30:00Z")
        );
        assert_eq!(at("2025.03.30_02.30.00", format, berlin), None);
    }

    #[test]
    fn a_zone_in_the_text_wins_and_a_day_begins_at_midnight() {
        let some = |text: &str| Some(text.to_owned());
        let with_zone = at(
            "04/10/2025 12:00 +0200",
            "%d/%m/%Y %H:%M %z",
            Some("Asia/Tokyo"),
        );
        assert_eq!(with_zone, some("2025-10-04T10:00:00Z"));
        assert_eq!(
            at("2025-10-04", "%Y-%m-%d", None),
            some("2025-10-04T00:00:00Z")
        );
        assert_eq!(at("12:00", "%H:%M", None), None);
        assert_eq!(at("2025-10-04T", "%Y-%m-%d", None), None);
    }
}
