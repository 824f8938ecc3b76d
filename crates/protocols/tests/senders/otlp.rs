//! OTLP as `opentelemetry-proto` writes it, in both forms.

use crate::bodies::{MILLIS, read, read_mapped};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, metric,
    number_data_point, summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use protocols::Form;
use serde_json::{Value, json};

pub(crate) const NANOS: u64 = MILLIS as u64 * 1_000_000;

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

pub(crate) fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", "shop"), text("host.name", "h-1")],
        ..Default::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

fn metric(name: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.into(),
        unit: "ms".into(),
        data: Some(data),
        ..Default::default()
    }
}

fn number(value: number_data_point::Value, attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        time_unix_nano: NANOS,
        value: Some(value),
        ..Default::default()
    }
}

/// The events of the request, which are the same in both forms.
fn events(request: &ExportMetricsServiceRequest) -> Vec<Value> {
    let protobuf = read(Form::OtlpProtobuf, &request.encode_to_vec());
    let json = read(Form::OtlpJson, &serde_json::to_vec(request).unwrap());
    assert_eq!(protobuf.events, json.events);
    assert_eq!(protobuf.read, json.read);
    assert_eq!(protobuf.read.report.refused, 0, "{:?}", protobuf.read);
    protobuf.events
}

/// Name, the label `le` or `quantile`, and value.
fn told(events: &[Value]) -> Vec<(&str, &str, f64)> {
    events
        .iter()
        .map(|event| {
            let tags = &event["tags"];
            let bucket = tags["le"].as_str().or(tags["quantile"].as_str());
            (
                event["name"].as_str().unwrap(),
                bucket.unwrap_or_default(),
                event["value"].as_f64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn numbers_become_samples_with_the_labels_of_resource_and_point() {
    let attributes = vec![
        text("http.route", "/a\"b"),
        attribute("ok", any_value::Value::BoolValue(true)),
        attribute("code", any_value::Value::IntValue(-200)),
        attribute("share", any_value::Value::DoubleValue(0.5)),
        attribute("bytes", any_value::Value::BytesValue(vec![1, 2])),
        attribute("empty", any_value::Value::StringValue(String::new())),
        attribute(
            "list",
            any_value::Value::ArrayValue(ArrayValue {
                values: vec![AnyValue {
                    value: Some(any_value::Value::IntValue(1)),
                }],
            }),
        ),
    ];
    let gauge = Gauge {
        data_points: vec![number(number_data_point::Value::AsDouble(0.25), attributes)],
    };
    let sum = Sum {
        data_points: vec![number(number_data_point::Value::AsInt(-7), vec![])],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let events = events(&request(vec![
        metric("http.server.duration", metric::Data::Gauge(gauge)),
        metric("requests", metric::Data::Sum(sum)),
    ]));
    assert_eq!(
        events,
        [
            json!({"name": "http_server_duration", "value": 0.25, "timestamp": MILLIS, "entity": "h-1", "tags": {
                "bytes": "AQI=", "code": "-200", "host_name": "h-1", "http_route": "/a\"b", "list": "[1]", "ok": "true",
                "service_name": "shop", "share": "0.5"}}),
            json!({"name": "requests", "value": -7, "timestamp": MILLIS, "entity": "h-1",
                "tags": {"host_name": "h-1", "service_name": "shop"}}),
        ]
    );
}

#[test]
fn histograms_and_summaries_become_the_series_that_prometheus_has() {
    let histogram = HistogramDataPoint {
        time_unix_nano: NANOS,
        count: 6,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.0],
        max: Some(9.0),
        ..Default::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: NANOS,
        count: 5,
        scale: 0,
        zero_count: 1,
        // (1, 2] has 1, (2, 4] none, (4, 8] has 3.
        positive: Some(Buckets {
            offset: 0,
            bucket_counts: vec![1, 0, 3],
        }),
        ..Default::default()
    };
    let summary = SummaryDataPoint {
        time_unix_nano: NANOS,
        count: 4,
        sum: 10.0,
        quantile_values: vec![summary_data_point::ValueAtQuantile {
            quantile: 0.5,
            value: 2.0,
        }],
        ..Default::default()
    };
    let events = events(&request(vec![
        metric(
            "d",
            metric::Data::Histogram(Histogram {
                data_points: vec![histogram],
                aggregation_temporality: 2,
            }),
        ),
        metric(
            "e",
            metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric(
            "s",
            metric::Data::Summary(Summary {
                data_points: vec![summary],
            }),
        ),
    ]));
    assert_eq!(
        told(&events),
        [
            ("d_count", "", 6.0),
            ("d_sum", "", 12.5),
            ("d_max", "", 9.0),
            ("d_bucket", "0.5", 1.0),
            ("d_bucket", "1", 3.0),
            ("d_bucket", "+Inf", 6.0),
            ("e_count", "", 5.0),
            ("e_bucket", "0", 1.0),
            ("e_bucket", "2", 2.0),
            ("e_bucket", "8", 5.0),
            ("e_bucket", "+Inf", 5.0),
            ("s_count", "", 4.0),
            ("s_sum", "", 10.0),
            ("s", "0.5", 2.0),
        ]
    );
}

#[test]
fn a_refused_point_spoils_no_other_and_is_told_in_the_form_of_the_request() {
    let mut old = number(number_data_point::Value::AsInt(1), vec![]);
    old.time_unix_nano = 1_000_000_000;
    let ended = NumberDataPoint {
        flags: 1,
        ..number(number_data_point::Value::AsInt(1), vec![])
    };
    let long = number(
        number_data_point::Value::AsInt(1),
        vec![text("a", &"x".repeat(10_000_000))],
    );
    let nan = number(number_data_point::Value::AsDouble(f64::NAN), vec![]);
    let good = number(number_data_point::Value::AsInt(2), vec![]);
    let gauge = Gauge {
        data_points: vec![old, ended, long, nan, good],
    };
    let body = request(vec![metric("m", metric::Data::Gauge(gauge))]).encode_to_vec();
    let got = read(Form::OtlpProtobuf, &body);
    assert_eq!(told(&got.events), [("m", "", 2.0)]);
    let report = &got.read.report;
    assert_eq!((report.points, report.refused, report.left_out), (5, 2, 2));
    assert_eq!(got.answer.status, 200);
    let answer = ExportMetricsServiceResponse::decode(&*got.answer.body).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 2);
    assert!(
        partial.error_message.contains("data point 0: `timestamp`"),
        "{}",
        partial.error_message
    );
    assert!(
        partial
            .error_message
            .contains("data point 2: name and labels have"),
        "{}",
        partial.error_message
    );
}

#[test]
fn a_rule_makes_events_of_a_kind() {
    let rule = r#"
        [[map]]
        from = "otlp"
        name = "obd.*"
        kind = "vehicle"
        entity = "vin"
        strip = "obd."
        fields.can_id = "can.id"
        constants.can_id = "0x1F0"
        signals.engine_rpm = "obd.rpm"
    "#;
    let point = || {
        number(
            number_data_point::Value::AsInt(2150),
            vec![text("vin", "veh-1")],
        )
    };
    let gauges = ["obd.rpm", "obd.oil.temp"].map(|name| {
        metric(
            name,
            metric::Data::Gauge(Gauge {
                data_points: vec![point()],
            }),
        )
    });
    let got = read_mapped(
        Form::OtlpProtobuf,
        &request(gauges.into()).encode_to_vec(),
        rule,
    )
    .unwrap();
    assert_eq!(got.kinds, ["vehicle", "vehicle"]);
    let time = "2025-10-04T12:34:56Z";
    assert_eq!(
        got.events,
        [
            json!({"vehicle_id": "veh-1", "timestamp": time, "can_id": "0x1F0", "payload": {"engine_rpm": 2150}}),
            json!({"vehicle_id": "veh-1", "timestamp": time, "can_id": "0x1F0", "payload": {"oil_temp": 2150}}),
        ]
    );
}

#[test]
fn what_is_no_request_is_refused_as_a_whole() {
    let body = request(vec![metric(
        "m",
        metric::Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint::default()],
        }),
    )]);
    let body = body.encode_to_vec();
    for (form, body) in [
        (Form::OtlpProtobuf, &body[..body.len() - 1]),
        (Form::OtlpProtobuf, b"{}"),
        (Form::OtlpJson, b"[]"),
        (
            Form::OtlpJson,
            b"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":1}]}]}]}",
        ),
        (Form::OtlpJson, b"\xff"),
    ] {
        assert!(read_mapped(form, body, "").is_err(), "{body:?}");
    }
    for form in [Form::OtlpProtobuf, Form::OtlpJson] {
        let empty: &[u8] = if form == Form::OtlpJson { b"{}" } else { b"" };
        let got = read(form, empty);
        assert_eq!((got.answer.status, got.read.report.points), (200, 0));
        assert_eq!(got.answer.body, empty);
    }
}

proptest! {
    #[test]
    fn every_number_is_read_as_the_generated_types_read_it(
        points in prop::collection::vec(
            ("[a-z.]{1,8}", any::<i64>(), any::<f64>(), any::<bool>(), 1_759_000_000..1_759_580_000_u64, prop::collection::btree_map("[a-z]{1,4}", "\\PC{1,8}", 0..4)),
            0..12,
        ),
    ) {
        let metrics: Vec<Metric> = points.iter().map(|(name, int, double, is_int, seconds, labels)| {
            let value = if *is_int {
                number_data_point::Value::AsInt(*int)
            } else {
                number_data_point::Value::AsDouble(*double)
            };
            let mut point = number(value, labels.iter().map(|(name, value)| text(name, value)).collect());
            point.time_unix_nano = seconds * 1_000_000_000 + 7;
            metric(name, metric::Data::Gauge(Gauge { data_points: vec![point] }))
        }).collect();
        let request = request(metrics);
        let decoded = ExportMetricsServiceRequest::decode(&*request.encode_to_vec()).unwrap();
        let mut expected = Vec::new();
        for metric in &decoded.resource_metrics[0].scope_metrics[0].metrics {
            let Some(metric::Data::Gauge(gauge)) = &metric.data else { unreachable!() };
            for point in &gauge.data_points {
                let value = match point.value {
                    Some(number_data_point::Value::AsDouble(value)) => value,
                    Some(number_data_point::Value::AsInt(value)) => value as f64,
                    None => continue,
                };
                if value.is_finite() {
                    expected.push((metric.name.replace('.', "_"), value, point.attributes.len()));
                }
            }
        }
        let found: Vec<_> = events(&request).iter().map(|event| {
            let labels = event["tags"].as_object().unwrap().len();
            (event["name"].as_str().unwrap().to_owned(), event["value"].as_f64().unwrap(), labels - 2)
        }).collect();
        prop_assert_eq!(found, expected);
    }
}
