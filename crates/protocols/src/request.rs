//! What a request's head says of its body, and the answers to it.

use contract::Kinds;
use serde::Deserialize;

use crate::emit::{Emit, Stop, Take};
use crate::influx::{self, Api, Precision};
use crate::mapping::Mapping;
use crate::otlp;
use crate::point::Report;
use crate::prometheus::{self, Written};
use crate::write::Writer;

/// A protocol that metrics come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenTelemetry's, over HTTP.
    Otlp,
    /// Prometheus remote write.
    Prometheus,
    /// InfluxDB's line protocol.
    Influx,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OTLP in Protocol Buffers.
    OtlpProtobuf,
    /// OTLP in JSON.
    OtlpJson,
    /// Remote write 1.0.
    RemoteWrite1,
    /// Remote write 2.0.
    RemoteWrite2,
    /// Line protocol.
    Lines(Api, Precision),
}

/// An answer: status, content type, further headers, and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The type of the body; none if there is no body.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const TEXT: &str = "text/plain; charset=utf-8";

/// What was read of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// What became of its points.
    pub report: Report,
    written: Written,
}

/// Which `content-type` a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// None was named.
    Unnamed,
    /// The type, in lower case, and its parameters.
    Named(&'a str, &'a str),
}

impl<'a> Content<'a> {
    /// Of the header's value.
    pub fn of(header: Option<&'a str>) -> Content<'a> {
        match header {
            None => Content::Unnamed,
            Some(value) => {
                let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
                Content::Named(essence.trim(), parameters.trim())
            }
        }
    }

    fn is(self, essence: &str) -> bool {
        matches!(self, Content::Named(named, _) if named.eq_ignore_ascii_case(essence))
    }
}

impl Form {
    /// The form of an OTLP body; `None` if it is of another type.
    pub fn otlp(content: Content<'_>) -> Option<Form> {
        if content.is(JSON) {
            Some(Form::OtlpJson)
        } else if content.is(PROTOBUF) || content.is("application/protobuf") {
            Some(Form::OtlpProtobuf)
        } else {
            None
        }
    }

    /// The form of a body of remote write; `None` if it is of another type. Without the parameter `proto` it is 1.0.
    pub fn remote_write(content: Content<'_>) -> Option<Form> {
        let parameters = match content {
            Content::Unnamed => "",
            Content::Named(_, parameters) if content.is(PROTOBUF) => parameters,
            Content::Named(..) => return None,
        };
        let proto = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_proto = name.trim().eq_ignore_ascii_case("proto");
            is_proto.then(|| value.trim().trim_matches('"'))
        });
        match proto {
            None | Some("prometheus.WriteRequest") => Some(Form::RemoteWrite1),
            Some("io.prometheus.write.v2.Request") => Some(Form::RemoteWrite2),
            Some(_) => None,
        }
    }

    /// The protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Form::OtlpProtobuf | Form::OtlpJson => Protocol::Otlp,
            Form::RemoteWrite1 | Form::RemoteWrite2 => Protocol::Prometheus,
            Form::Lines(..) => Protocol::Influx,
        }
    }

    /// Reads a body, and gives its events to `take`, one at a time.
    ///
    /// # Errors
    ///
    /// [`Stop`]. Of a body that is malformed nothing is to be kept: its sender drops it.
    pub fn read<E>(
        self,
        body: &[u8],
        kinds: &Kinds,
        mapping: &Mapping,
        take: &mut Take<'_, E>,
    ) -> Result<Read, Stop<E>> {
        let mut writer = Writer::new(kinds, mapping, self.protocol());
        let mut emit = Emit::new(&mut writer, take);
        let mut written = Written::default();
        match self {
            Form::OtlpProtobuf => otlp::protobuf::read(body, &mut emit)?,
            Form::OtlpJson => otlp::json::read(utf8(body)?, &mut emit)?,
            Form::RemoteWrite1 => written = prometheus::read_v1(body, &mut emit)?,
            Form::RemoteWrite2 => written = prometheus::read_v2(body, &mut emit)?,
            Form::Lines(_, precision) => influx::read(body, precision, &mut emit)?,
        }
        let report = emit.into_report();
        Ok(Read { report, written })
    }

    /// The answer to a body whose good events the queue has.
    pub fn answer(self, read: &Read) -> Answer {
        let report = &read.report;
        let is_json = self == Form::OtlpJson;
        let none_refused = report.refused == 0;
        let (status, content_type, body) = match self {
            Form::OtlpProtobuf => (200, Some(PROTOBUF), otlp::answer::taken(report, false)),
            Form::OtlpJson => (200, Some(JSON), otlp::answer::taken(report, is_json)),
            Form::RemoteWrite1 | Form::RemoteWrite2 | Form::Lines(..) if none_refused => {
                (204, None, Vec::new())
            }
            Form::RemoteWrite1 | Form::RemoteWrite2 => {
                (400, Some(TEXT), report.told("sample").into_bytes())
            }
            Form::Lines(api, _) => (400, Some(JSON), influx::partial(report, api)),
        };
        let mut headers = Vec::new();
        if self == Form::RemoteWrite2 {
            let Written {
                samples,
                histograms,
            } = read.written;
            headers.push((
                "x-prometheus-remote-write-samples-written",
                samples.to_string(),
            ));
            headers.push((
                "x-prometheus-remote-write-histograms-written",
                histograms.to_string(),
            ));
            headers.push((
                "x-prometheus-remote-write-exemplars-written",
                "0".to_owned(),
            ));
        }
        Answer {
            status,
            content_type,
            headers,
            body,
        }
    }

    /// The answer to a request that was refused as a whole.
    pub fn refused(self, status: u16, message: &str) -> Answer {
        let (content_type, body) = match self {
            Form::OtlpProtobuf => (PROTOBUF, otlp::answer::refused(status, message, false)),
            Form::OtlpJson => (JSON, otlp::answer::refused(status, message, true)),
            Form::RemoteWrite1 | Form::RemoteWrite2 => (TEXT, message.as_bytes().to_vec()),
            Form::Lines(api, _) => (JSON, influx::refused(api, status, message)),
        };
        Answer {
            status,
            content_type: Some(content_type),
            headers: Vec::new(),
            body,
        }
    }
}

fn utf8<E>(body: &[u8]) -> Result<&str, Stop<E>> {
    std::str::from_utf8(body).map_err(|_| crate::Malformed::new("it is not UTF-8").into())
}
