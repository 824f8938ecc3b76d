//! Bodies that nearly make sense, in each form.

use crate::bodies::read_mapped;
use ::fuzz::Corpus;
use protocols::{Api, Form, Precision};

/// Reads whatever comes, and answers.
fn check(forms: &[Form], body: &[u8]) -> Result<(), String> {
    for form in forms {
        if let Ok(got) = read_mapped(*form, body, "") {
            let report = &got.read.report;
            if report.refused > report.points {
                return Err(format!("{report:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn fuzz_messages() {
    let metric: &[u8] = b"\x0a\x4e\x0a\x13\x0a\x11\x0a\x09host.name\x12\x04\x0a\x02h1\x12\x37\x12\x35\x0a\x01m\x12\x01d\x1a\x01s\x3a\x2a\x0a\x26\x19\x00\x00\x00\x00\x00\x00\x00\x18\x21\x00\x00\x00\x00\x00\x00\xf0\x3f\x3a\x0f\x0a\x01a\x12\x0a\x2a\x08\x0a\x06\x32\x04\x0a\x02\x0a\x00\x10\x02";
    let write: &[u8] = b"\x0a\x30\x0a\x0e\x0a\x08__name__\x12\x02up\x12\x10\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x80\xf0\xe5\xb1\x9b\x33\x22\x0c\x08\x03\x20\x00\x5a\x04\x08\x02\x10\x01\x62\x01\x02\x1a\x0c\x08\x01\x12\x02up\x22\x01h\x2a\x01s";
    let two: &[u8] = b"\x22\x00\x22\x08__name__\x22\x02up\x2a\x1e\x2a\x06\x08\x01\x18\x02\x20\x02\x0a\x02\x01\x02\x12\x10\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x80\xf0\xe5\xb1\x9b\x33";
    let corpus = Corpus {
        sound: &[metric, write, two],
        tokens: &[
            "\x0a", "\x12", "\x00", "\x7f", "\u{80}", "\x10", "\x2a\x08", "\x09", "__name__", "le",
        ],
    };
    let forms = [Form::OtlpProtobuf, Form::RemoteWrite1, Form::RemoteWrite2];
    ::fuzz::run("messages of other senders", corpus, |body| {
        check(&forms, body)
    });
}

#[test]
fn fuzz_otlp_json() {
    let sound = br#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}}]},"scopeMetrics":[{"metrics":[{"name":"m","unit":"s","description":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1759581296000000000","asInt":"7","attributes":[{"key":"l","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}},{"name":"e","exponentialHistogram":{"dataPoints":[{"count":"3","scale":1,"positive":{"offset":1,"bucketCounts":["1","2"]}}]}}]}]}]}"#;
    let corpus = Corpus {
        sound: &[sound],
        tokens: &[
            "{",
            "}",
            "[",
            "]",
            "null",
            "\"",
            "1e999",
            "-1",
            "NaN",
            "\"asDouble\":",
            "\"unit\":",
            "\"scale\":",
            "kvlistValue",
            "\\ud800",
        ],
    };
    ::fuzz::run("OTLP in JSON", corpus, |body| {
        check(&[Form::OtlpJson], body)
    });
}

#[test]
fn fuzz_lines() {
    let corpus = Corpus {
        sound: &[b"cpu,host=h\\ 1,zone=eu usage=0.5,idle=3i,up=t,big=1u,os=\"li\\\"n\nux\" 1759581296000000007", b"a value=1"],
        tokens: &[",", "=", " ", "\\", "\"", "\n", "#", "i", "u", "-", "1e999", "\u{e9}", "9223372036854775807"],
    };
    let forms = [Precision::Nanos, Precision::Hours, Precision::Auto]
        .map(|precision| Form::Lines(Api::V2, precision));
    ::fuzz::run("line protocol", corpus, |body| check(&forms, body));
}
