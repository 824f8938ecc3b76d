//! What the pipeline did not make: messages in the queue, and parts that land late.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws::{Condition, Outgoing, Queue};
use batch_consumer::dlq::UNDECODABLE;
use bytes::Bytes;
use chrono::TimeDelta;
use contract::{Code, Hour, Pack, raw_key, raw_part_name};
use judge::Certainty;
use judge::letters::Doomed;
use tokio::time::sleep;
use uuid::Uuid;

use crate::attack::{Attack, STRANGE_MESSAGES};
use crate::chance::Chance;
use crate::clients::Clients;
use crate::events::Events;
use crate::world::{BUCKET, World};

/// Puts strange messages into the queue, and gives those that must become dead letters. Sound events
/// among them go into the ledger as accepted, since the queue has them.
pub async fn put_into(queue: &Queue, clients: &Clients) -> Vec<Doomed> {
    let world = &clients.world;
    let mut chance = Chance::new(world.plan.seed, "strange");
    let mut events = Events::new(
        Chance::new(world.plan.seed, "strange events"),
        0.0,
        "stranger",
    );
    let mut doomed = Vec::new();
    for number in 0..world.plan.strange_messages {
        sleep(chance.time(Duration::ZERO..Duration::from_secs(10))).await;
        let now = world.clock.now();
        let sound = events.next(now).text;
        let broken = format!("{{\"kind\":\"vehicle\",\"number\":{number}}}");
        let attack = chance.one_of(&STRANGE_MESSAGES);
        let message = match attack {
            Attack::UndecodableMessage => {
                let text = format!("no pack, number {number}");
                doomed.push(Doomed::new(&text, UNDECODABLE));
                packed(Pack {
                    body: text,
                    events: 1,
                })
            }
            Attack::PoisonedMessage => {
                doomed.push(Doomed::new(&broken, Code::UnknownField.as_str()));
                let Some(lines) = lines(clients, &sound, &broken) else {
                    world.fail(format!("the contract refuses {sound}"));
                    continue;
                };
                let Ok(mut packs) =
                    contract::Packer::new().and_then(|mut packer| packer.pack(&lines))
                else {
                    world.fail("cannot pack a few lines".to_owned());
                    continue;
                };
                packed(packs.remove(0))
            }
            _ => Outgoing {
                body: sound.clone(),
                attributes: BTreeMap::new(),
            },
        };
        world.fire(attack);
        send(world, queue, &message).await;
        if attack != Attack::UndecodableMessage {
            clients.record(&sound, Certainty::Accepted);
        }
    }
    doomed
}

/// Sends the message until SQS confirms it, which may put it there twice.
async fn send(world: &World, queue: &Queue, message: &Outgoing) {
    while !queue
        .send(std::slice::from_ref(message))
        .await
        .iter()
        .all(Result::is_ok)
    {
        sleep(Duration::from_secs(1)).await;
    }
    world.tell("stranger", format_args!("puts a message into the queue"));
}

/// Puts parts into the lake that are named by a receipt long ago, as a consumer does that was frozen, or that got a
/// dead letter which was replayed; half of them by names of older releases, which tell no time. Their events go into
/// the ledger as accepted.
pub async fn put_late_parts(clients: &Clients) {
    let world = &clients.world;
    let mut chance = Chance::new(world.plan.seed, "late parts");
    let own = Chance::new(world.plan.seed, "late events");
    let mut events = Events::new(own, 0.0, "late");
    let lake = world.onlooker().lake(BUCKET);
    for number in 0..world.plan.late_parts {
        sleep(chance.time(Duration::ZERO..Duration::from_secs(15))).await;
        let longest = chance.one_of(&[1, 3, 40]);
        let late = chance.number(11 * 60..longest * 3_600);
        let received = world.clock.now() - TimeDelta::seconds(late as i64);
        let (mut lines, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..chance.one_of(&[1, 5]) {
            let text = events.next(received).text;
            match contract::parse_sent(&clients.kinds, None, &text, received) {
                Ok(event) => {
                    let received = contract::format_millis(received);
                    contract::write_line(&mut lines, &event, &received, &text);
                }
                Err(refused) => world.fail(format!("the contract refuses {text}: {refused:?}")),
            }
            sent.push(text);
        }
        let mut part = raw_part_name(received, number.into());
        if chance.hits(0.5) {
            part = Uuid::new_v5(&Uuid::NAMESPACE_OID, part.as_bytes());
        }
        let (key, lines) = (raw_key(Hour::of(received), part), Bytes::from(lines));
        let kind = "application/x-ndjson";
        let put = || lake.put(&key, lines.clone(), kind, HashMap::new(), Condition::Always);
        while put().await.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
        world.fire(Attack::LatePart);
        world.tell("stranger", format_args!("puts {key}, {late} s late"));
        for text in sent {
            clients.record(&text, Certainty::Accepted);
        }
    }
}

fn packed(pack: Pack) -> Outgoing {
    Outgoing {
        attributes: pack.attributes(),
        body: pack.body,
    }
}

/// A sound event and a broken one as the lines of a pack.
fn lines(clients: &Clients, sound: &str, broken: &str) -> Option<Vec<u8>> {
    let now = clients.world.clock.now();
    let event = contract::parse_sent(&clients.kinds, None, sound, now).ok()?;
    let mut lines = Vec::new();
    contract::write_line(&mut lines, &event, &contract::format_millis(now), sound);
    lines.extend_from_slice(broken.as_bytes());
    lines.push(b'\n');
    Some(lines)
}
