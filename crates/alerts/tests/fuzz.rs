//! Rules, conditions and matchers that nearly make sense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alerts::expr::{format_duration, parse, parse_duration, parse_series};
use alerts::matcher::Matcher;
use alerts::rules::read_file;
use fuzz::Corpus;

const RULES: &str = r#"groups:
  - name: cells
    interval: 30s
    labels: {team: radio}
    rules:
      - alert: CellOverloaded
        expr: avg_over_time(dl_prb_util_pct{kind="cell", entity_id=~"CELL-.*"}[5m]) > 85
        for: 2m
        keep_firing_for: 1m
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.entity_id }} at {{ printf \"%.1f\" $value }} %"
      - alert: Silent
        expr: count_over_time(engine_rpm{kind="vehicle"}[1m]) < 1
        annotations: {headwater_no_data: "alert"}
"#;

/// What is taken has a name and a condition; what is not is told where it stands.
#[test]
fn fuzz_rules() {
    let defaults: Vec<u8> = RULES.replace("30s", "1m").into_bytes();
    let corpus = Corpus {
        sound: &[RULES.as_bytes(), &defaults],
        tokens: &[
            "\n",
            ":",
            "- ",
            "  ",
            "\t",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "|",
            ">",
            "&a ",
            "*a",
            "<<: *a",
            "!!binary ",
            "~",
            "? ",
            "#",
            "expr: ",
            "alert: X",
            "for: ",
            "1y",
            "-1s",
            "99999999999h",
            "{{",
            "}}",
            "{{ $value | humanize }}",
            "$labels.x",
            "record: a",
            "no_data: ",
            "%YAML 1.2\n---\n",
            "\0",
            "0x10",
            ".inf",
            "1e9999",
        ],
    };
    fuzz::run("rules", corpus, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match read_file("rules.yml", &text) {
            Ok(_) => Ok(()),
            Err(complaints) if complaints.0.is_empty() => Err("refused without a word".to_owned()),
            Err(complaints) if complaints.0.iter().any(|one| one.to_string().is_empty()) => {
                Err("a complaint without a word".to_owned())
            }
            Err(_) => Ok(()),
        }
    });
}

/// What is not taken is told in words; matchers and durations that are shown are read as the same.
#[test]
fn fuzz_condition() {
    let sound: [&[u8]; 5] = [
        br#"avg_over_time(dl_prb_util_pct{kind="cell", entity_id=~"CELL-.*"}[5m]) > 85"#,
        b"max by (entity_id) (max_over_time(engine_rpm[1m])) >= 6000 and count_over_time(engine_rpm[1m]) > 3",
        b"quantile_over_time(0.95, speed_kmh{kind!=\"cell\"}[10m]) < -1.5e3",
        b"rate(odometer_km[5m]) * 3600 > 100 or absent(engine_rpm)",
        b"cpu_usage{host=\"a\\\"b\"}",
    ];
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "`",
            ",",
            ">",
            "<=",
            "==",
            "!=",
            "=~",
            "!~",
            " and ",
            " or ",
            " unless ",
            " by (",
            " offset 5m",
            "@ 5",
            "1m",
            "0s",
            "1y",
            "9999999999d",
            "NaN",
            "Inf",
            "-",
            "1e999",
            "0x1F",
            "# c\n",
            "\\x",
            "sum",
            "count_over_time(",
            "((((((((",
            "\0",
            "[5m:1m]",
        ],
    };
    fuzz::run("condition", corpus, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match parse(&text) {
            Ok(condition) if condition.longest_range() <= 0 => {
                return Err("a range of nothing".to_owned());
            }
            Err(error) if error.to_string().is_empty() => {
                return Err("refused without a word".to_owned());
            }
            _ => {}
        }
        let _ = parse_series(&text);
        for matcher in Matcher::parse_all(&text).unwrap_or_default() {
            let shown = matcher.to_string();
            let again = Matcher::parse(&shown).map_err(|error| format!("{shown}: {error}"))?;
            if again.to_string() != shown {
                return Err(format!("{shown} is read as {again}"));
            }
        }
        if let Some(millis) = parse_duration(&text)
            && parse_duration(&format_duration(millis)) != Some(millis)
        {
            return Err(format!(
                "{text} is {millis} ms, shown as {}",
                format_duration(millis)
            ));
        }
        Ok(())
    });
}
