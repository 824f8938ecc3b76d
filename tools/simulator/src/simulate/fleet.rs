//! Vehicles, cells and live streams taking turns, as JSON events of the built-in contracts.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use contract::format_millis;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cell::Cell;
use super::stream::Stream;
use super::vehicle::Vehicle;

/// The slow frame (temperature, fuel) goes out once in this many rounds of its vehicle, as on a
/// real bus, where slow signals have slow frames.
const SLOW_EVERY: u64 = 5;

/// An event that a fleet yields: sound, and new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    /// `vehicle`, `cell`, or one of the kinds of streams.
    pub kind: &'static str,
    /// The event as JSON, one line, in its contract's own fields.
    pub body: String,
}

/// Vehicles, cells and streams that take turns: each vehicle sends its frames one after the other, each
/// cell one report, each stream what has happened on it, then the next entity follows, round after round.
///
/// Coherent over time: an entity's state moves on by the time that has passed since its turn
/// before. Cell events carry an `event_id`; for the others the server derives one.
#[derive(Debug)]
pub struct Fleet {
    vehicles: Vec<(String, Vehicle)>,
    cells: Vec<(String, Cell)>,
    streams: Vec<Stream>,
    /// When each entity was last heard of; vehicles first, then cells.
    last: Vec<Option<DateTime<Utc>>>,
    ids: StdRng,
    turn: usize,
    frame: usize,
    round: u64,
}

impl Fleet {
    /// A fleet of `veh-00001` and on, `CELL-000001` and on, and `stream-001` and on.
    ///
    /// `seed` decides how they behave; `ids` the event ids of cells and the ids of messages and payments, apart, so
    /// that two runs of one seed at different times do not use the same ids for different events.
    pub fn new(vehicles: u32, cells: u32, streams: u32, seed: u64, ids: u64) -> Fleet {
        let mut seeds = StdRng::seed_from_u64(seed);
        Fleet {
            vehicles: (1..=vehicles)
                .map(|n| (format!("veh-{n:05}"), Vehicle::new(seeds.next_u64())))
                .collect(),
            cells: (1..=cells)
                .map(|n| (format!("CELL-{n:06}"), Cell::new(seeds.next_u64())))
                .collect(),
            streams: (1..=streams)
                .map(|n| Stream::new(format!("stream-{n:03}"), seeds.next_u64()))
                .collect(),
            last: vec![None; vehicles as usize + cells as usize + streams as usize],
            ids: StdRng::seed_from_u64(ids),
            turn: 0,
            frame: 0,
            round: 0,
        }
    }

    /// The next event, as of `now`; times must not go backwards from call to call.
    ///
    /// `None` where there is no vehicle, cell or stream.
    pub fn next_event(&mut self, now: DateTime<Utc>) -> Option<FleetEvent> {
        let last = self.last.get_mut(self.turn)?;
        let passed = last
            .replace(now)
            .map_or(0.0, |last| (now - last).as_seconds_f64());
        let turn = self.turn;
        if let Some((id, vehicle)) = self.vehicles.get_mut(turn) {
            vehicle.advance(passed);
            let body = vehicle_body(id, vehicle, self.frame, now);
            self.frame += 1;
            let frames = if (self.round + turn as u64).is_multiple_of(SLOW_EVERY) {
                3
            } else {
                2
            };
            if self.frame == frames {
                self.end_turn();
            }
            return Some(FleetEvent {
                kind: "vehicle",
                body,
            });
        }
        let turn = turn - self.vehicles.len();
        if let Some(stream) = self.streams.get_mut(turn.wrapping_sub(self.cells.len())) {
            if self.frame == 0 {
                stream.advance(passed);
            }
            self.frame += 1;
            let event = stream.next_event(now, &mut self.ids);
            if !stream.has_more() {
                self.end_turn();
            }
            return Some(event);
        }
        let (id, cell) = self.cells.get_mut(turn)?;
        cell.advance(passed, now);
        let mut random = [0; 16];
        self.ids.fill_bytes(&mut random);
        let event_id = uuid::Builder::from_random_bytes(random).into_uuid();
        let body = cell_body(id, cell, event_id, now);
        self.end_turn();
        Some(FleetEvent { kind: "cell", body })
    }

    fn end_turn(&mut self) {
        self.frame = 0;
        self.turn += 1;
        if self.turn == self.last.len() {
            self.turn = 0;
            self.round += 1;
        }
    }
}

fn vehicle_body(id: &str, vehicle: &Vehicle, frame: usize, now: DateTime<Utc>) -> String {
    let mut body = String::with_capacity(192);
    let can_id = ["0x1F0", "0x2A0", "0x3C0"][frame.min(2)];
    // Writing to a `String` cannot fail.
    let _ = write!(
        body,
        r#"{{"timestamp":"{}","vehicle_id":"{id}","can_id":"{can_id}","payload":{{"#,
        format_millis(now)
    );
    let _ = match frame {
        0 => write!(
            body,
            r#""engine_rpm":{:.0},"vehicle_speed_kmh":{:.1},"gear":{}}}}}"#,
            vehicle.engine_rpm, vehicle.speed_kmh, vehicle.gear
        ),
        1 => write!(
            body,
            r#""throttle_pct":{:.1},"brake_status":{}}}}}"#,
            vehicle.throttle_pct, vehicle.brake_status
        ),
        _ => write!(
            body,
            r#""coolant_temp_c":{:.1},"fuel_level_pct":{:.2}}}}}"#,
            vehicle.coolant_temp_c, vehicle.fuel_level_pct
        ),
    };
    body
}

fn cell_body(id: &str, cell: &Cell, event_id: uuid::Uuid, now: DateTime<Utc>) -> String {
    format!(
        r#"{{"event_id":"{event_id}","schema_version":1,"source":"pmgen","event_time":"{}","entity_type":"cell","entity_id":"{id}","metrics":{{"dl_prb_util_pct":{:.1},"ul_prb_util_pct":{:.1},"rrc_conn_avg":{:.1},"drop_rate_pct":{:.2}}}}}"#,
        format_millis(now),
        cell.dl_prb_util_pct,
        cell.ul_prb_util_pct,
        cell.rrc_conn_avg,
        cell.drop_rate_pct
    )
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};
    use serde_json::Value;

    use super::*;

    fn events(fleet: &mut Fleet, count: i64) -> Vec<FleetEvent> {
        let start = Utc.with_ymd_and_hms(2025, 10, 4, 12, 0, 0).unwrap();
        (0..count)
            .map(|at| {
                fleet
                    .next_event(start + TimeDelta::milliseconds(at * 100))
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn each_entity_takes_its_turn_and_sends_its_frames() {
        let mut fleet = Fleet::new(2, 1, 0, 5, 5);
        let told: Vec<String> = events(&mut fleet, 12)
            .iter()
            .map(|event| {
                let event: Value = serde_json::from_str(&event.body).unwrap();
                let told = event.get("can_id").or(event.get("entity_id")).unwrap();
                told.as_str().unwrap().to_owned()
            })
            .collect();
        let cell = "CELL-000001";
        assert_eq!(
            told,
            [
                "0x1F0", "0x2A0", "0x3C0", "0x1F0", "0x2A0", cell, "0x1F0", "0x2A0", "0x1F0",
                "0x2A0", cell, "0x1F0"
            ]
        );
    }

    #[test]
    fn speed_engine_speed_and_gear_of_one_vehicle_belong_together_on_the_wire() {
        let mut fleet = Fleet::new(1, 0, 0, 11, 11);
        let mut ratios: [Vec<f64>; 7] = Default::default();
        for event in events(&mut fleet, 60_000) {
            let event: Value = serde_json::from_str(&event.body).unwrap();
            let payload = &event["payload"];
            let Some(speed) = payload["vehicle_speed_kmh"].as_f64() else {
                continue;
            };
            let rpm = payload["engine_rpm"].as_f64().unwrap();
            // Below this the engine idles and the clutch slips.
            if rpm > 1_200.0 {
                ratios[payload["gear"].as_u64().unwrap() as usize].push(rpm / speed);
            }
        }
        assert!(ratios[0].is_empty(), "turning fast in neutral");
        for (gear, ratios) in ratios.iter().enumerate().skip(2).take(4) {
            let (least, most) = ratios
                .iter()
                .fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
            assert!(
                ratios.len() > 10 && most / least < 1.02,
                "gear {gear}: {least} to {most}"
            );
        }
        assert!(
            ratios
                .windows(2)
                .skip(1)
                .all(|pair| pair[0][0] > pair[1][0]),
            "higher gears turn slower"
        );
    }

    #[test]
    fn cells_carry_an_event_id_and_vehicles_do_not() {
        let mut fleet = Fleet::new(1, 1, 0, 5, 5);
        let mut ids = Vec::new();
        for event in events(&mut fleet, 100) {
            let body: Value = serde_json::from_str(&event.body).unwrap();
            assert_eq!(body.get("event_id").is_some(), event.kind == "cell");
            ids.extend(
                body.get("event_id")
                    .and_then(|id| id.as_str()?.parse::<uuid::Uuid>().ok()),
            );
        }
        let drawn = ids.len();
        ids.sort();
        ids.dedup();
        assert!(drawn > 25 && ids.len() == drawn);
    }

    #[test]
    fn an_empty_fleet_has_nothing_to_say() {
        assert_eq!(Fleet::new(0, 0, 0, 1, 1).next_event(Utc::now()), None);
    }
}
