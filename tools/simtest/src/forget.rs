//! A vehicle whose events leave the lake while everything else goes on, and what must hold then.

use std::time::Duration;

use aggregator::Wanted;
use aws::Condition;
use chrono::TimeDelta;
use contract::{Hour, raw_key, raw_part_name};
use judge::Certainty;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::attack::{Attack, Role};
use crate::chance::Chance;
use crate::clients::Clients;
use crate::follow::Identity;
use crate::processes::aggregator_config;
use crate::wire::Process;
use crate::world::{BUCKET, World};

/// The vehicle, and how the ids of its events begin. They stand in no ledger: where the judge finds one at the end, it
/// was invented.
const GONE: &str = "gone-1";

/// Number of the process among the aggregators.
const NUMBER: usize = 9;

/// Whether an event is of the vehicle.
pub fn is_gone((_, _, id): &Identity) -> bool {
    id.starts_with(GONE)
}

/// In some runs: puts objects with events of the vehicle and of another one, some of them twice, and forgets the vehicle
/// by a process that is struck as any other, until one comes to its end.
pub async fn forget(clients: &Clients) {
    let world = &clients.world;
    let mut chance = Chance::new(world.plan.seed, "forget");
    if !chance.hits(0.3) {
        return;
    }
    let lake = world.onlooker().lake(BUCKET);
    let mut earlier = (Hour::of(world.clock.now()), Vec::<u8>::new());
    for number in 0..chance.number(2..6) {
        sleep(chance.time(Duration::ZERO..Duration::from_secs(6))).await;
        let received = world.clock.now();
        let hour = Hour::of(received);
        // A line stands in the hour in which it was received.
        let again = chance.hits(0.4) && earlier.0 == hour;
        let mut lines = if again { earlier.1 } else { Vec::new() };
        for (vehicle, place) in [(GONE, 0), ("kept-1", 1), (GONE, 2)] {
            let time = received - TimeDelta::hours(chance.number(0..3) as i64);
            let text = format!(
                "{{\"event_id\":\"{vehicle}-{number}-{place}\",\"timestamp\":\"{}\",\"vehicle_id\":\"{vehicle}\",\
                 \"can_id\":\"0x1F0\",\"payload\":{{\"engine_rpm\":{number}}}}}",
                contract::format_millis(time)
            );
            match contract::parse_sent(&clients.kinds, None, &text, received) {
                Ok(event) => {
                    let received = contract::format_millis(received);
                    contract::write_line(&mut lines, &event, &received, &text);
                }
                Err(refused) => world.fail(format!("the contract refuses {text}: {refused:?}")),
            }
            if vehicle != GONE {
                clients.record(&text, Certainty::Accepted);
            }
        }
        earlier = (hour, lines.clone());
        let name = raw_part_name(received, u128::from(number) << 64 | 0xf0);
        let key = raw_key(hour, name);
        let put = || {
            let body = lines.clone().into();
            lake.put(
                &key,
                body,
                "application/x-ndjson",
                Default::default(),
                Condition::Always,
            )
        };
        while put().await.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
    }
    sleep(chance.time(Duration::ZERO..Duration::from_secs(10))).await;
    world.fire(Attack::Forget);
    let wanted = Wanted {
        kind: "vehicle".to_owned(),
        entity: GONE.to_owned(),
        before: None,
        dry_run: false,
    };
    for incarnation in 1.. {
        let process = Process::start(world, Role::Aggregator, NUMBER, incarnation);
        let (config, aws) = (aggregator_config(), process.aws());
        let stop = CancellationToken::new();
        let forgets = aggregator::forget(&config, &aws, &wanted, &stop, &());
        match process.life.live(forgets).await {
            Some(Ok(report)) => {
                process.tell(format_args!("{report}"));
                return;
            }
            Some(Err(error)) => process.tell(format_args!("fails: {error:#}")),
            None => process.tell(format_args!("dies")),
        }
        process.life.kill();
        sleep(chance.time(world.plan.down.clone())).await;
    }
}

/// At the end of a run no object has the vehicle.
pub fn hold(world: &World) {
    if !world.has_fired(Attack::Forget) {
        return;
    }
    for key in world.cloud.objects(BUCKET) {
        let body = world.cloud.object(BUCKET, &key).unwrap_or_default();
        // Parts of so few rows are not compressed.
        let mut texts = body.windows(GONE.len());
        if texts.any(|text| text == GONE.as_bytes()) {
            world.fail(format!("{GONE} was forgotten and stands in {key}"));
        }
    }
}
