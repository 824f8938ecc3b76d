//! The mappings of docs/examples on made-up rows in the shapes of the recordings that they are for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use common::{Folder, Ran};
use serde_json::{Value, json};

const TRIP: &str = "\
Time,Engine Coolant Temperature [Â°C],Pressure,Engine RPM [RPM],Speed,Intake,Air,Throttle,Ambient,D,E
23:59:59.900,,,,,,,,,,
23:59:59.950,20,101.0,812.5,0.0,18.0,2.5,12.5,17.0,14.5,14.5
00:00:00.050,21,99.0,NaN,12.0,-40.0,6.25,18.0,-40,20.0,20.5
23:59:59.990,21,99.0,900,12.0,150.0,6.25,18.0,17.0,20.0,20.5
not a time,21,99.0,900,12.0,19.0,6.25,18.0,17.0,20.0,20.5
00:00:01.000,21,99.0
";

const CELL: &str = "\
Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,CQI,RSSI,DL_bitrate,UL_bitrate,State,\
PINGAVG,PINGMIN,PINGMAX,PINGSTDEV,PINGLOSS,CELLHEX,NODEHEX,LACHEX,RAWCELLID,NRxRSRP,NRxRSRQ
2031.05.17_09.00.01,1.5,2.25,2,B,7,LTE,-200,-12,-,-,-,0,0,I,24.5,20,30,2.5,0,7,AB,CD,700002,-160.0,2147483647
2031.05.17_09.00.02,1.5,2.25,2,B,0,HSPA+,-95,7,-,-,-,10,2,D,-,-,-,-,-,-,-,-,-,-,-
2031.05.17_09.00.03,1.5,2.25,2,B,0,HSPA+,-95,7,-,-,-,10,2,D,-,-,-,-,-,-,-,-,7/3,-,-
2031.05.17 09:00:04,1.5,2.25,2,B,7,5G,-95,7,-,-,-,10,2,D,-,-,-,-,-,7,AB,CD,700002,-,-
";

/// The events of one file, and what the report of a dry run says.
fn imported(kind: &str, sql: &str, name: &str, rows: &str) -> (Vec<Value>, String) {
    let folder = Folder::new(sql);
    folder.file(name, rows);
    let run = |flags: &[&str]| {
        Ran::of(
            folder
                .command(&[&[name, "--kind", kind], flags].concat())
                .output()
                .unwrap(),
        )
    };
    let printed = run(&["--print", "0"]);
    let events = printed
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (events, run(&["--dry-run"]).out)
}

#[test]
fn a_trip_over_midnight_keeps_its_days_and_leaves_out_what_is_no_reading() {
    let sql = include_str!("../../../docs/examples/obd2-kit.sql");
    let (events, said) = imported("vehicle", sql, "2031-05-17_Made_Up_Car.csv", TRIP);
    for words in [
        "6 rows read, 3 events",
        "too_few_cells: row 6",
        "skipped 1 no signals: row 1",
        "skipped 1 unreadable time: row 5",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let times: Vec<&str> = events
        .iter()
        .map(|event| event["timestamp"].as_str().unwrap())
        .collect();
    assert_eq!(
        times,
        [
            "2031-05-17T23:59:59.950Z",
            "2031-05-18T00:00:00.050Z",
            "2031-05-17T23:59:59.990Z"
        ]
    );
    assert_eq!(
        (&events[0]["vehicle_id"], &events[0]["can_id"]),
        (&json!("seat-leon"), &json!("0x7E8"))
    );
    assert_eq!(events[0]["event_id"], "2031-05-17_Made_Up_Car.csv:2");
    let signals = |at: usize| events[at]["payload"].as_object().unwrap();
    assert_eq!(signals(0).len(), 10);
    let absent: Vec<&str> = signals(0)
        .keys()
        .filter(|name| !signals(1).contains_key(*name))
        .map(String::as_str)
        .collect();
    assert_eq!(
        absent,
        ["ambient_temp_c", "engine_rpm", "intake_air_temp_c"]
    );
    assert!(!signals(2).contains_key("intake_air_temp_c"));
}

#[test]
fn a_row_of_radio_figures_has_its_cell_and_no_marks_of_missing_values() {
    let sql = include_str!("../../../docs/examples/ucc-5g.sql");
    let (events, said) = imported("cell", sql, "B_2031.05.17_09.00.01.csv", CELL);
    for words in [
        "4 rows read, 1 events",
        "skipped 1 no entity: row 2",
        "skipped 1 unreadable time: row 4",
        "skipped 1 unusable entity: row 3",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(
        events[0],
        json!({
            "event_id": "B_2031.05.17_09.00.01.csv:1", "event_time": "2031-05-17T09:00:01Z",
            "entity_id": "CELL-700002", "entity_type": "cell", "schema_version": 1, "source": "g-nettrack",
            "metrics": {
                "rsrq_db": -12.0, "dl_bitrate_kbps": 0.0, "ul_bitrate_kbps": 0.0, "ping_avg_ms": 24.5, "ping_loss_pct": 0.0,
                "speed_kmh": 2.0, "longitude_deg": 1.5, "latitude_deg": 2.25, "network_mode": "LTE", "state": "I",
            },
        })
    );
}
