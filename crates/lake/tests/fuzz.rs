//! Raw objects that nearly make sense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use contract::Kinds;
use fuzz::Corpus;
use lake::rows::{Buckets, Columns, Gathering, HourRows, SignalTypes, admissions};

const VEHICLE: &str = r#"{"kind":"vehicle","event_id":"a-1","ingest_received_at":"2025-10-04T12:35:00.000Z","sender":"fleet-1","timestamp":"2025-10-04T12:34:56.123456789Z","vehicle_id":"veh-1","can_id":"0x1","payload":{"engine_rpm":1,"b":true,"c":"é"}}"#;
const METRIC: &str = r#"{"kind":"metric","event_id":"m-1","ingest_received_at":"2025-10-04T12:35:00.000Z","name":"cpu","value":8.5,"tags":{"a":"b"}}"#;
const CHAT: &str = r#"{"kind":"chat","event_id":"c-1","ingest_received_at":"2025-10-04T12:35:00.000Z","timestamp":"2025-10-04T12:34:56Z","stream_id":"s","user":"u","text":"so good :)"}"#;

/// Each line is a row, a repetition, or refused with a reason; the rows of each hour become columns.
#[test]
fn fuzz_raw_object() {
    let kinds = Arc::new(Kinds::builtin());
    let all = format!("{VEHICLE}\n{METRIC}\n\n{CHAT}\n{VEHICLE}\n");
    let sound = [VEHICLE, METRIC, CHAT, &all].map(str::as_bytes);
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "\n",
            "\r",
            "\"",
            "\\",
            "{",
            "}",
            "null",
            "1",
            "true",
            "\"x\"",
            "\"B\":2,",
            "\"b\":\"t\",",
            "\"b\":1e308,",
            "\"hour\":1,",
            "\"sender\":1,",
            "\"_more\":1,",
            "\"x__text\":1,",
            "2025-10-04T13:00:00Z",
            "1970-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "\u{feff}",
            "\0",
        ],
    };
    fuzz::run("raw_object", corpus, |bytes| {
        let types = |_: &str| None;
        let mut gathering =
            Gathering::new(kinds.clone(), admissions(&kinds, types), Buckets::new(1, 1));
        let mut refused = 0;
        gathering.add_declared(0, 0, bytes, |line| {
            refused += usize::from(!line.reason.is_empty())
        });
        let taken = gathering.take().map_err(|error| error.to_string())?;
        let mut rows = 0;
        for ((kind, _), _, block) in taken.blocks {
            let (of_hour, mut left_out) = (block.rows(), 0);
            let hour = HourRows::of(kinds.clone(), kind, vec![block], None, |_| left_out += 1);
            let declared = kinds.iter().nth(kind).ok_or("a kind of no number")?;
            let columns = Columns::new(declared, SignalTypes::default());
            let (batch, _) = hour
                .into_batch(&columns)
                .map_err(|error| error.to_string())?;
            if batch.num_rows() + left_out != of_hour {
                return Err(format!(
                    "{of_hour} events are {} rows, {left_out} left out",
                    batch.num_rows()
                ));
            }
            rows += of_hour;
        }
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.trim_ascii().is_empty()).count();
        if rows + refused != lines {
            return Err(format!(
                "{lines} lines are {rows} events and {refused} refused"
            ));
        }
        Ok(())
    });
}
