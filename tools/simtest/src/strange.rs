//! Messages in the queue that ingest did not make.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::{Outgoing, Queue};
use batch_consumer::dlq::UNDECODABLE;
use contract::{Code, Pack};
use judge::Certainty;
use judge::letters::Doomed;
use tokio::time::sleep;

use crate::attack::{Attack, STRANGE_MESSAGES};
use crate::chance::Chance;
use crate::clients::Clients;
use crate::events::Events;
use crate::world::World;

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
