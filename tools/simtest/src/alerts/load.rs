//! Devices that send what rules look at: in time, late, twice, and by clocks that are ahead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws::{Outgoing, Queue};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Kinds, Packer};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::alerts::Town;
use crate::attack::Attack;
use crate::chance::Chance;
use crate::world::lock;

/// The last part of the load, in which all values are low.
const CALM: TimeDelta = TimeDelta::seconds(150);

const SECOND: Duration = Duration::from_secs(1);

/// An event that was sent. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The device's name.
    pub device: String,
    /// When the device measured, by its own clock.
    pub at: i64,
    /// The values of [`SIGNALS`](super::rules::SIGNALS).
    pub values: [f64; 2],
    /// When it was received, as ingest would say.
    pub received: i64,
    /// When the queue had it for certain.
    pub accepted: Option<i64>,
}

#[derive(Debug)]
struct Device {
    name: String,
    /// How far its clock is ahead.
    ahead: TimeDelta,
    has_bad_line: bool,
    /// It measures at each so many beats.
    every: u64,
    made: u64,
    is_high: bool,
    is_silent: bool,
    until: DateTime<Utc>,
}

/// An event on its way to the queue.
struct Made {
    id: String,
    text: String,
    sent: Sent,
}

/// Sends until the load is over and the queue has it all.
pub async fn send_all(town: Arc<Town>, queue: Queue) {
    let world = &town.world;
    let mut chance = Chance::new(world.plan.seed, "devices");
    let start = world.clock.now();
    let over = start + TimeDelta::from_std(town.plan.load).unwrap_or_default();
    let mut devices = devices(&town, &mut chance, start);
    let kinds = Kinds::builtin();
    let mut late: Vec<(DateTime<Utc>, Made)> = Vec::new();
    let mut again: Vec<(DateTime<Utc>, Vec<u8>)> = Vec::new();
    let mut sending = JoinSet::new();
    for beat in 0_u64.. {
        let now = world.clock.now();
        let is_over = now >= over;
        if is_over && late.is_empty() && again.is_empty() {
            break;
        }
        let mut due = Vec::new();
        if !is_over {
            for device in &mut devices {
                device.live(&mut chance, now, over);
                if device.is_silent || !beat.is_multiple_of(device.every) {
                    continue;
                }
                let made = device.measure(&mut chance, now);
                if device.has_bad_line && chance.hits(town.plan.late) {
                    let lateness = town.plan.lateness.as_secs();
                    let longest = if chance.hits(0.1) {
                        2 * lateness
                    } else {
                        lateness * 2 / 3
                    };
                    let by = TimeDelta::seconds(chance.number(15..longest) as i64);
                    world.fire(Attack::LateEvent);
                    late.push((now + by, made));
                } else {
                    due.push(made);
                }
            }
        }
        for (_, made) in late.extract_if(.., |(at, _)| *at <= now || is_over) {
            due.push(made);
        }
        let mut lines = Vec::new();
        let mut ids = Vec::new();
        for made in due {
            match contract::parse_sent(&kinds, None, &made.text, now) {
                Ok(event) => {
                    let received = contract::format_millis(now);
                    contract::write_line(&mut lines, &event, &received, &made.text);
                }
                Err(refused) => {
                    world.fail(format!("the contract refuses {}: {refused:?}", made.text))
                }
            }
            ids.push(made.id.clone());
            let sent = Sent {
                received: now.timestamp_millis(),
                ..made.sent
            };
            lock(&town.sent).insert(made.id, sent);
        }
        if chance.hits(town.plan.repeated) && !lines.is_empty() && !is_over {
            let by = chance.time(SECOND..Duration::from_secs(400));
            again.push((now + by, lines.clone()));
        }
        for (_, lines) in again.extract_if(.., |(at, _)| *at <= now || is_over) {
            world.fire(Attack::RepeatedEvent);
            sending.spawn(send(town.clone(), queue.clone(), lines, Vec::new()));
        }
        if !lines.is_empty() {
            sending.spawn(send(town.clone(), queue.clone(), lines, ids));
        }
        while sending.try_join_next().is_some() {}
        sleep(town.plan.beat).await;
    }
    while sending.join_next().await.is_some() {}
}

/// Sends lines until the queue confirms them.
async fn send(town: Arc<Town>, queue: Queue, lines: Vec<u8>, ids: Vec<String>) {
    let world = &town.world;
    let packs = Packer::new().and_then(|mut packer| packer.pack(&lines));
    let Ok(packs) = packs else {
        return world.fail("cannot pack a few lines".to_owned());
    };
    for pack in packs {
        let message = Outgoing {
            attributes: pack.attributes(),
            body: pack.body,
        };
        while !queue
            .send(std::slice::from_ref(&message))
            .await
            .iter()
            .all(Result::is_ok)
        {
            sleep(SECOND).await;
        }
    }
    let now = world.clock.now().timestamp_millis();
    let mut sent: std::sync::MutexGuard<'_, BTreeMap<String, Sent>> = lock(&town.sent);
    for id in ids {
        if let Some(sent) = sent.get_mut(&id) {
            sent.accepted = Some(now);
        }
    }
}

fn devices(town: &Town, chance: &mut Chance, start: DateTime<Utc>) -> Vec<Device> {
    let right = (0..town.plan.devices).map(|number| (format!("dev-{number}"), 0));
    let ahead = chance.number(60..3_000) as i64;
    let fast = town.plan.fast_clock.then(|| ("fast".to_owned(), ahead));
    if fast.is_some() {
        town.world.fire(Attack::FastClock);
    }
    let all = right.chain(fast);
    all.map(|(name, ahead)| Device {
        name,
        ahead: TimeDelta::seconds(ahead),
        has_bad_line: chance.hits(0.35),
        every: chance
            .one_of::<u64>(&[1, 2, 5, 15])
            .div_ceil(town.plan.beat.as_secs()),
        made: 0,
        is_high: true,
        is_silent: false,
        until: start,
    })
    .collect()
}

impl Device {
    /// Changes its ways now and then: values are high or low, or there are none.
    fn live(&mut self, chance: &mut Chance, now: DateTime<Utc>, over: DateTime<Utc>) {
        let is_calm = now > over - CALM;
        if is_calm {
            (self.is_high, self.is_silent) = (false, false);
        } else if now >= self.until {
            self.is_high = !self.is_high;
            self.is_silent = chance.hits(0.07);
            let longest = if self.is_silent {
                400
            } else {
                chance.one_of(&[60, 240])
            };
            self.until = now + TimeDelta::seconds(chance.number(15..longest) as i64);
        }
    }

    fn measure(&mut self, chance: &mut Chance, now: DateTime<Utc>) -> Made {
        self.made += 1;
        let at = now + self.ahead - TimeDelta::milliseconds(chance.number(0..1_500) as i64);
        let values = if self.is_high {
            [chance.number(55..100), chance.number(85..120)]
        } else {
            [chance.number(0..48), chance.number(10..80)]
        };
        let id = format!("{}-{}", self.name, self.made);
        let text = format!(
            "{{\"event_id\":\"{id}\",\"timestamp\":\"{}\",\"vehicle_id\":\"{}\",\"can_id\":\"0x1F0\",\"payload\":\
             {{\"load\":{},\"heat\":{}}}}}",
            contract::format_millis(at),
            self.name,
            values[0],
            values[1],
        );
        let sent = Sent {
            device: self.name.clone(),
            at: at.timestamp_millis(),
            values: values.map(|value| value as f64),
            received: 0,
            accepted: None,
        };
        Made { id, text, sent }
    }
}
