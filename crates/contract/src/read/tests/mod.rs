//! Both ways in, over all that can be wrong with an event.

mod kinds;
mod lines;
mod refusals;
mod samples;
mod streams;

use chrono::{DateTime, Utc};

const VEHICLE: &str = r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false}}"#;
const CELL: &str = r#"{"event_id":"6f0e1b6e-0d0c-4a3e-8a59-2f9a3c1d7e11","schema_version":1,"source":"pmgen","event_time":"2025-12-29T20:45:12Z","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"ul_prb_util_pct":41.8,"rrc_conn_avg":18,"drop_rate_pct":0.7}}"#;

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}
