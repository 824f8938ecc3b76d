//! What is taken, and what is refused where and with which words.

use super::*;

fn compare(text: &str) -> Comparison {
    match parse(text) {
        Ok(Condition::Compare(comparison)) => comparison,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_function_over_a_window_is_compared_with_a_number() {
    let read = compare(r#"avg_over_time(engine_rpm{kind="vehicle"}[60s]) > 6000"#);
    let of = read.operand.over_time();
    assert_eq!(
        (of.function, of.range, read.compare, read.threshold),
        (Function::Avg, 60_000, Compare::Above, 6000.0)
    );
    assert_eq!(of.selector.signal, "engine_rpm");
    assert_eq!(of.selector.kind(), Some("vehicle"));
    assert_eq!(of.to_string(), "engine_rpm avg(60s)");
    for (function, name) in Function::ALL
        .iter()
        .map(|(name, function)| (function, name))
    {
        let first = if matches!(function, Function::Quantile(_)) {
            "0.5, "
        } else {
            ""
        };
        let read = compare(&format!("{name}({first}x[5m]) <= -1.5e3"));
        assert_eq!(read.operand.over_time().function, *function);
        assert_eq!((read.compare, read.threshold), (Compare::AtMost, -1500.0));
    }
}

#[test]
fn the_same_condition_may_be_spelled_in_several_ways() {
    let plain = parse("max_over_time(x{a=\"1\"}[60s]) > 5").unwrap();
    for other in [
        "5 < max_over_time(x{a='1'}[1m])",
        "(max_over_time(x{a=`1`,}[60s])) > (5)",
        "max_over_time ( {\"x\", a=\"1\"} [60s] ) # a comment\n > 5.0",
    ] {
        assert_eq!(parse(other).unwrap(), plain, "{other}");
    }
    let group = parse("sum by (kind, b) (rate(x[5m])) > 1").unwrap();
    assert_eq!(parse("sum(rate(x[5m])) by (b, kind) > 1").unwrap(), group);
    let all = compare("count(count_over_time(x[60s])) > 1");
    assert!(matches!(all.operand, Operand::Group { by, .. } if by.is_empty()));
}

#[test]
fn and_binds_tighter_than_or() {
    let read = parse(
        "max_over_time(a[10s]) > 1 or max_over_time(b[10s]) > 2 and max_over_time(c[10s]) > 3",
    );
    let Ok(Condition::Either(left, right)) = read else {
        panic!("{read:?}")
    };
    assert!(matches!(*left, Condition::Compare(_)));
    assert!(matches!(*right, Condition::Both(..)));
    let read = parse(
        "(absent_over_time(a[10s]) or absent_over_time(b[10s])) unless absent_over_time(c[1h]) == 1",
    );
    assert_eq!(read.as_ref().map(Condition::longest_range), Ok(3_600_000));
    assert!(matches!(read, Ok(Condition::Unless(..))));
}

#[test]
fn labels_are_matched_whole_and_an_absent_one_is_empty() {
    let read = compare(r#"last_over_time(x{a=~"v.*|w", b!="", c!~"z"}[10s]) == 1"#);
    let selector = &read.operand.over_time().selector;
    let matches = |all: &[(&'static str, &'static str)]| {
        let value = |name: &str| all.iter().find(|(known, _)| *known == name);
        selector.matches(|name| value(name).map_or("", |(_, value)| value))
    };
    assert!(matches(&[("a", "veh"), ("b", "1")]));
    assert!(!matches(&[("a", "veh")]));
    assert!(!matches(&[("a", "aw"), ("b", "1")]));
    assert!(!matches(&[("a", "w"), ("b", "1"), ("c", "z")]));
}

#[test]
fn what_is_not_taken_is_refused_with_its_place_and_what_would_be() {
    for (text, at, words) in [
        ("", 0, "a condition is missing"),
        ("cpu_usage > 80", 0, "last_over_time(cpu_usage[60s])"),
        ("avg_over_time(cpu_usage[60s])", 0, "add a comparison"),
        ("avg_over_time(cpu_usage) > 1", 23, "write `cpu_usage[60s]`"),
        (
            "avg_ovr_time(x[60s]) > 1",
            0,
            "did you mean `avg_over_time`?",
        ),
        ("last(x[60s]) > 1", 0, "did you mean `last_over_time`?"),
        ("rate(x[5m]) / rate(y[5m]) > 1", 12, "arithmetic (`/`)"),
        ("rate(x[5m]) > rate(y[5m])", 14, "compared with a number"),
        ("rate(x[5m] offset 1h) > 1", 11, "`offset`"),
        ("rate(x[5m:1m]) > 1", 9, "subqueries"),
        ("rate(x[15s]) > 1", 7, "a multiple of 10s, at most 1h"),
        ("rate(x[2h]) > 1", 7, "at most 1h"),
        ("rate(x[60]) > 1", 7, "with its unit"),
        ("rate(x[6o]) > 1", 7, "neither a number"),
        (
            "avg_over_time(rate(x[1m])[5m]) > 1",
            18,
            "within each other",
        ),
        ("rate(x[1m]) > bool 1", 14, "`bool`"),
        ("rate(x[1m]) = 1", 12, "`==`"),
        ("rate(x[1m]) > 1 > 0", 16, "compared once"),
        (
            "rate(x[1m]) > 1 and on (a) rate(y[1m]) > 1",
            20,
            "`on` is not taken",
        ),
        ("rate(x[1m]) > 1 and 5", 20, "a number is no condition"),
        ("rate(x[1m]) > 1 rate(y[1m]) > 1", 16, "by `and`, `or`"),
        (
            "rate(x[1m]) > 1 unless absent_over_time(y[1m])",
            23,
            "which differ: entity_id, kind on the left, no labels",
        ),
        ("sum without (a) (rate(x[1m])) > 1", 4, "`without`"),
        ("sum(x) > 1", 4, "takes a function over a window"),
        ("rate(x{a=1}[1m]) > 1", 9, "in quotes"),
        ("rate(x{a=\"1}[1m]) > 1", 9, "no closing"),
        ("rate(x{a=~\"(\"}[1m]) > 1", 10, "regular expression"),
        ("rate({a=\"1\"}[1m]) > 1", 5, "signal's name is missing"),
        ("rate(x{__name__=\"y\"}[1m]) > 1", 7, "`__name__`"),
        ("quantile_over_time(95, x[1m]) > 1", 19, "from 0 to 1"),
        ("absent_over_time(x[1m]) > 5", 0, "leave the comparison out"),
        ("(rate(x[1m]) > 1", 16, "`)` is missing"),
        ("rate(x[1m]) > 1)", 15, "closes nothing"),
        ("rate(x[1m]) > $5", 14, "no meaning"),
        ("5 > 4", 0, "a function over a window on one side"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(words), "{text}: {}", error.message);
        assert_eq!(error.at, at, "{text}: {}", error.message);
    }
    let deep = "(".repeat(1_000);
    assert!(parse(&deep).unwrap_err().message.contains("at most 50"));
}

#[test]
fn what_more_data_cannot_undo_is_known() {
    for (text, certain) in [
        ("max_over_time(x[60s]) > 5", true),
        ("count_over_time(x[60s]) >= 5", true),
        ("min_over_time(x[60s]) < 5", true),
        ("max_over_time(x[60s]) < 5", false),
        ("count_over_time(x[60s]) == 5", false),
        ("avg_over_time(x[60s]) > 5", false),
        ("sum(count_over_time(x[60s])) > 5", false),
    ] {
        assert_eq!(
            parse(text).unwrap().cannot_be_undone().is_some(),
            certain,
            "{text}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[a-z_(){}\\[\\]0-9\"=~!<>,.:#\\\\ ]{0,60}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
        }
    }
}
