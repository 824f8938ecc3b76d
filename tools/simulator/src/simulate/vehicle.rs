//! One vehicle: a driver with a plan, an engine, a gearbox, and what they do to each other.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Engine speed in rpm per km/h of road speed, by gear; index 0 is neutral.
const RPM_PER_KMH: [f64; 7] = [0.0, 120.0, 68.0, 45.0, 34.0, 27.0, 22.0];

/// Road speed in km/h above which the box shifts out of a gear; index 0 is neutral.
const SHIFT_UP_KMH: [f64; 6] = [0.0, 20.0, 36.0, 55.0, 75.0, 100.0];

/// Road speed in km/h below which the box shifts down out of a gear; index 0 is neutral.
const SHIFT_DOWN_KMH: [f64; 7] = [0.0, 2.0, 13.0, 26.0, 42.0, 60.0, 82.0];

/// Engine speed in rpm of a warm engine at rest; a cold one idles up to 300 rpm faster.
const IDLE_RPM: f64 = 800.0;

/// Hardest braking of an everyday driver, in km/h per second (about 4 m/s²).
const BRAKE_LIMIT: f64 = 14.0;

/// Past this deceleration in km/h per second engine braking is not enough, and the pedal is used.
const COASTING: f64 = 2.0;

/// Longest step of the model, in seconds.
const STEP_S: f64 = 0.5;

/// Longest time that is simulated at once, in seconds; a vehicle unheard of for longer just parks.
const LONGEST_GAP_S: f64 = 3_600.0;

/// What the driver is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Standing with the engine on: a light, a jam, a delivery.
    Idle,
    /// 20 to 60 km/h.
    City,
    /// 85 to 135 km/h.
    Highway,
    /// Braking down to a stand.
    Stop,
}

/// The state of one vehicle at one moment; [`Vehicle::advance`] moves it on.
#[derive(Debug)]
pub(crate) struct Vehicle {
    rng: StdRng,
    phase: Phase,
    phase_left_s: f64,
    target_kmh: f64,
    /// This car's final drive against the table's: 0.92 to 1.08.
    final_drive: f64,
    /// Usable acceleration at low speed, in km/h per second.
    power: f64,
    tank_l: f64,
    acceleration: f64,
    pub(crate) speed_kmh: f64,
    pub(crate) gear: u8,
    pub(crate) engine_rpm: f64,
    pub(crate) throttle_pct: f64,
    pub(crate) brake_status: bool,
    pub(crate) coolant_temp_c: f64,
    pub(crate) fuel_level_pct: f64,
}

impl Vehicle {
    /// A vehicle at rest with a cold to lukewarm engine and some fuel; the same seed drives the
    /// same way.
    pub(crate) fn new(seed: u64) -> Vehicle {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut vehicle = Vehicle {
            phase: Phase::Idle,
            phase_left_s: rng.random_range(0.0..20.0),
            target_kmh: 0.0,
            final_drive: rng.random_range(0.92..1.08),
            power: rng.random_range(7.0..12.0),
            tank_l: rng.random_range(40.0..60.0),
            acceleration: 0.0,
            speed_kmh: 0.0,
            gear: 0,
            engine_rpm: IDLE_RPM,
            throttle_pct: 0.0,
            brake_status: true,
            coolant_temp_c: rng.random_range(8.0..60.0),
            fuel_level_pct: rng.random_range(30.0..100.0),
            rng,
        };
        // Not every engine starts at the very moment the simulation does.
        let head_start = vehicle.rng.random_range(0.0..300.0);
        vehicle.advance(head_start);
        vehicle
    }

    /// Drives on for `seconds`, in steps short enough for the model.
    pub(crate) fn advance(&mut self, seconds: f64) {
        let mut left = seconds.clamp(0.0, LONGEST_GAP_S);
        while left > 0.0 {
            let dt = left.min(STEP_S);
            self.step(dt);
            left -= dt;
        }
    }

    /// Engine speed over road speed in a gear, in rpm per km/h; 0 in neutral.
    pub(crate) fn rpm_per_kmh(&self, gear: u8) -> f64 {
        RPM_PER_KMH[usize::from(gear).min(6)] * self.final_drive
    }

    fn step(&mut self, dt: f64) {
        self.decide(dt);
        self.accelerate(dt);
        self.shift();
        self.run_engine(dt);
    }

    /// The driver: keeps to the phase, or picks the next.
    fn decide(&mut self, dt: f64) {
        self.phase_left_s -= dt;
        if self.phase == Phase::Stop && self.speed_kmh < 0.5 {
            self.begin(Phase::Idle);
        } else if self.phase_left_s <= 0.0 && self.phase != Phase::Stop {
            let next = match (self.phase, self.rng.random_range(0..10)) {
                (Phase::Idle, _) => Phase::City,
                (Phase::City, 0..5) => Phase::City,
                (Phase::City, 5..8) => Phase::Stop,
                (Phase::Highway, 0..6) | (Phase::City, _) => Phase::Highway,
                (Phase::Highway, _) | (Phase::Stop, _) => Phase::City,
            };
            self.begin(next);
        }
    }

    fn begin(&mut self, phase: Phase) {
        let rng = &mut self.rng;
        (self.target_kmh, self.phase_left_s) = match phase {
            Phase::Idle => (0.0, rng.random_range(4.0..60.0)),
            Phase::City => (rng.random_range(20.0..60.0), rng.random_range(15.0..120.0)),
            Phase::Highway => (rng.random_range(85.0..135.0), rng.random_range(60.0..600.0)),
            Phase::Stop => (0.0, f64::INFINITY),
        };
        self.phase = phase;
        // A driver who stands long enough to look at the gauge fills up.
        if phase == Phase::Idle && self.fuel_level_pct < 6.0 {
            self.fuel_level_pct = self.rng.random_range(90.0..100.0);
        }
    }

    /// The pedals: towards the target speed, as hard as engine and brakes allow.
    fn accelerate(&mut self, dt: f64) {
        let sway = match self.phase {
            Phase::City | Phase::Highway => self.rng.random_range(-1.5..1.5),
            Phase::Idle | Phase::Stop => 0.0,
        };
        let wanted = (self.target_kmh + sway - self.speed_kmh) / 2.5;
        // Air drag leaves less to spend the faster the car goes.
        let available = (self.power * (1.0 - self.speed_kmh / 180.0)).max(0.5);
        let limited = wanted.clamp(-BRAKE_LIMIT, available);
        // A foot is not a switch: a third of the way each half second.
        let blend = 1.0 - (-dt / 1.2_f64).exp();
        self.acceleration += (limited - self.acceleration) * blend;
        self.speed_kmh = (self.speed_kmh + self.acceleration * dt).max(0.0);
        if self.target_kmh == 0.0 && self.speed_kmh < 0.8 {
            self.speed_kmh = 0.0;
            self.acceleration = 0.0;
        }
        let standing = self.speed_kmh == 0.0;
        self.brake_status = standing || self.acceleration < -COASTING;
        self.throttle_pct = match self.acceleration {
            _ if standing => 0.0,
            slowing if slowing < -0.5 => 0.0,
            pulling => (4.0 + 0.16 * self.speed_kmh + 60.0 * pulling.max(0.0) / available)
                .clamp(0.0, 100.0),
        };
    }

    /// The gearbox: one gear at a time, with hysteresis, so that it does not hunt.
    fn shift(&mut self) {
        if self.speed_kmh < SHIFT_DOWN_KMH[1] && self.target_kmh == 0.0 {
            self.gear = 0;
            return;
        }
        self.gear = self.gear.max(1);
        while self.gear < 6 && self.speed_kmh > SHIFT_UP_KMH[usize::from(self.gear)] {
            self.gear += 1;
        }
        while self.gear > 1 && self.speed_kmh < SHIFT_DOWN_KMH[usize::from(self.gear)] {
            self.gear -= 1;
        }
    }

    /// The engine: turned by the wheels while a gear is in, never below idle; warms up and drinks.
    fn run_engine(&mut self, dt: f64) {
        let cold = ((60.0 - self.coolant_temp_c) / 60.0).clamp(0.0, 1.0);
        let idle = IDLE_RPM + 300.0 * cold + self.rng.random_range(-15.0..15.0);
        self.engine_rpm = (self.speed_kmh * self.rpm_per_kmh(self.gear)).max(idle);

        let load = self.throttle_pct / 100.0;
        let warming = (0.4 + 2.0 * load) / 400.0;
        let thermostat_c = 90.0;
        self.coolant_temp_c += (thermostat_c - self.coolant_temp_c) * (1.0 - (-warming * dt).exp());
        if self.coolant_temp_c > 85.0 {
            // The fan and the thermostat work against each other.
            self.coolant_temp_c =
                (self.coolant_temp_c + self.rng.random_range(-0.3..0.3) * dt).clamp(84.0, 97.0);
        }

        let litres_per_hour = 0.7 + 18.0 * load * (self.engine_rpm / 3_000.0);
        self.fuel_level_pct =
            (self.fuel_level_pct - litres_per_hour / 3_600.0 * dt / self.tank_l * 100.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn engine_speed_is_road_speed_times_the_gears_ratio_or_idle(seed: u64) {
            let mut vehicle = Vehicle::new(seed);
            for _ in 0..2_000 {
                vehicle.advance(1.0);
                let geared = vehicle.speed_kmh * vehicle.rpm_per_kmh(vehicle.gear);
                prop_assert!(
                    (vehicle.engine_rpm - geared).abs() < 1e-6
                        || (geared < 1_120.0 && (780.0..=1_120.0).contains(&vehicle.engine_rpm)),
                    "{vehicle:?}"
                );
                prop_assert!(vehicle.engine_rpm < 4_000.0, "{vehicle:?}");
                prop_assert!(vehicle.gear > 0 || vehicle.speed_kmh < 2.0, "{vehicle:?}");
            }
        }

        #[test]
        fn no_vehicle_jumps(seed: u64) {
            let mut vehicle = Vehicle::new(seed);
            for _ in 0..2_000 {
                let (speed, fuel, coolant) = (vehicle.speed_kmh, vehicle.fuel_level_pct, vehicle.coolant_temp_c);
                vehicle.advance(1.0);
                let change = vehicle.speed_kmh - speed;
                prop_assert!((-BRAKE_LIMIT - 0.9..=12.0).contains(&change), "{change} km/h in a second");
                prop_assert!((vehicle.coolant_temp_c - coolant).abs() < 1.0);
                prop_assert!(vehicle.fuel_level_pct <= fuel || fuel < 6.0);
            }
        }

        #[test]
        fn a_driver_never_pulls_and_brakes_at_once(seed: u64) {
            let mut vehicle = Vehicle::new(seed);
            for _ in 0..2_000 {
                vehicle.advance(0.7);
                prop_assert!(!(vehicle.brake_status && vehicle.throttle_pct > 0.0), "{vehicle:?}");
            }
        }
    }

    #[test]
    fn every_phase_and_gear_is_driven_within_a_day() {
        let mut vehicle = Vehicle::new(7);
        let (mut gears, mut phases) = ([0_u32; 7], Vec::new());
        let mut braking = 0;
        for _ in 0..86_400 {
            vehicle.advance(1.0);
            gears[usize::from(vehicle.gear)] += 1;
            braking += u32::from(vehicle.brake_status && vehicle.speed_kmh > 0.0);
            if !phases.contains(&vehicle.phase) {
                phases.push(vehicle.phase);
            }
        }
        assert!(gears.iter().all(|seconds| *seconds > 60), "{gears:?}");
        assert_eq!(phases.len(), 4, "{phases:?}");
        assert!(braking > 100);
    }

    #[test]
    fn the_engine_warms_up_to_its_thermostat_and_stays_there() {
        let mut vehicle = Vehicle::new(3);
        vehicle.coolant_temp_c = 10.0;
        vehicle.advance(3_600.0);
        for _ in 0..3_600 {
            vehicle.advance(1.0);
            assert!(
                (84.0..=97.0).contains(&vehicle.coolant_temp_c),
                "{}",
                vehicle.coolant_temp_c
            );
        }
    }
}
