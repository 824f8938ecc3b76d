#![doc = include_str!("../README.md")]

mod declare;
mod epoch;
mod event;
mod id;
mod key;
mod line;
mod percentile;
mod read;
mod rejection;
mod scan;
mod time;
mod wire;

pub use declare::declaration::KindError;
pub use declare::derived::{Comparison, Derivation, DerivedFrom, DerivedSignal};
pub use declare::kind::{Kind, SignalsAt};
pub use declare::kinds::{Kinds, METRIC, METRIC_INFO};
pub use declare::naming::NameRule;
pub use declare::rule::{EntityRule, FieldRule, OnUnfit, ScalarType, TimeFormat, TimeRule};
pub use event::{Event, EventId, Scalar};
pub use id::{derive as derive_event_id, of_place as id_of_place};
pub use key::{
    AGGREGATES, CURATED, Hour, RAW, aggregate_key, curated_key, curated_prefix, raw_arrival_of,
    raw_hour_of, raw_key, raw_part_id, raw_part_name,
};
pub use line::{Receipt, write_line, write_line_as};
pub use percentile::{interpolate, percentile};
pub use read::body::{BodyError, Format, each_text, split};
pub use read::identify::identify;
pub use read::parse::{SentReader, parse_line, parse_sent};
pub use rejection::{Code, Rejection};
pub use time::{format_millis, now_millis_precision};
pub use wire::envelope::Envelope;
pub use wire::letter::{ATTRIBUTE_REASON, MAX_RECEIVES};
pub use wire::pack::{MAX_PACK_BYTES, Pack, Packer};
pub use wire::unpack::{DecodeError, Unpacker};

/// Longest event that is taken, in bytes of JSON as sent. At this size even text that does not
/// compress fits one pack.
pub const MAX_EVENT_BYTES: usize = 32 * 1024;

/// The most signals one event may carry.
pub const MAX_SIGNALS: usize = 64;
