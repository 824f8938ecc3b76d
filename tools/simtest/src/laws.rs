//! The laws that must hold: some at any moment (`look`), all of them at the end of a run (`hold`).

use std::sync::Arc;

use aws::Lake;
use contract::{Kinds, MAX_RECEIVES};
use judge::letters::{Doomed, Letter, account};
use judge::recount::{Extent, recount};
use judge::{Ledger, Places, Question, Scope, judge};
use tokio_util::sync::CancellationToken;

use crate::attack::{Attack, Role};
use crate::clients::Clients;
use crate::processes::aggregator_config;
use crate::wire::Process;
use crate::world::{BUCKET, DEAD_LETTERS, Rebuild, World};

/// Reads the lake during the run: no event is there twice or altered, and the aggregates of each hour
/// equal a recount of the parts that they name.
pub async fn look(clients: &Clients, number: usize) {
    let world = &clients.world;
    let reader = Process::start(world, Role::Reader, number, 1);
    let lake = reader.aws().lake(BUCKET);
    let before = world.rebuild();
    let scope = Scope::everything();
    let question = Question {
        places: Places::Curated,
        ..Question::new(&scope)
    };
    // A copy: an event that is accepted later may be in the lake too, and the judge calls it invented.
    let ledger = clients.ledger();
    let seen = judge(&lake, &clients.kinds, &ledger, &question).await;
    let counted = recount(&lake, &clients.kinds, &Extent::at_any_moment()).await;
    // Reads meet faults too; a look that fails proves nothing.
    let (Ok(seen), Ok(counted)) = (seen, counted) else {
        return;
    };
    world.fire(Attack::Look);
    // Of two events with one id, the lake may hold the one whose post has no answer yet.
    let altered = seen.altered > 0 && !world.has_fired(Attack::ConflictingId);
    if seen.duplicated > 0 || altered {
        world.fail(format!("a reader saw\n{seen}"));
    }
    // Between the parts of an hour and its count, the one says otherwise than the other: of a vehicle that is
    // forgotten, and of a signal that had no column when its events were written, and has one in the parts of a
    // rebuild.
    let met_rebuild = before != Rebuild::Over && world.rebuild() != Rebuild::NotYet;
    let made_again = world.has_fired(Attack::Forget) || met_rebuild && world.plan.new_names;
    if !counted.clean_but_behind() && !made_again {
        world.fail(format!("a reader saw\n{counted}"));
    }
}

/// The number of dead letters whose reason is that they were received too often.
pub fn unlucky(world: &World) -> usize {
    let letters = letters(world).into_iter();
    letters
        .filter(|letter| letter.reason() == MAX_RECEIVES)
        .count()
}

/// Runs the aggregator until nothing is left to do, then holds the lake and the dead letters against the
/// events that were accepted.
pub async fn hold(world: &Arc<World>, clients: &Clients, doomed: &[Doomed]) {
    let aws = world.onlooker();
    let config = aggregator_config();
    // What landed late is found by the listings of the last days and of all, not in the order of names.
    tokio::time::sleep(world.plan.rest).await;
    for run in ["last", "idle"] {
        match aggregator::once(&config, &aws, &CancellationToken::new(), &()).await {
            Ok(summary) if run == "idle" && summary.commits > 0 => {
                world.fail(format!(
                    "a run with nothing to do made {} commits",
                    summary.commits
                ));
            }
            Ok(summary) => world.tell("aggregator", format_args!("{run} run: {summary:?}")),
            Err(error) => world.fail(format!("the {run} run fails: {error:#}")),
        }
    }
    let lake = aws.lake(BUCKET);
    let ledger = clients.ledger();
    hold_events(world, &lake, &clients.kinds, &ledger).await;
    hold_aggregates(world, &lake, &clients.kinds).await;
    hold_letters(world, doomed);
}

/// Every accepted event is in the lake once; none is invented or altered.
async fn hold_events(world: &World, lake: &Lake, kinds: &Kinds, ledger: &Ledger) {
    let scope = Scope::everything();
    match judge(lake, kinds, ledger, &Question::new(&scope)).await {
        Ok(verdict) if verdict.clean() => {
            let line = verdict.to_string();
            world.tell(
                "judge",
                format_args!("{}", line.lines().last().unwrap_or_default()),
            );
        }
        Ok(verdict) => world.fail(verdict.to_string()),
        Err(error) => world.fail(format!("the lake cannot be read: {error}")),
    }
}

/// The aggregates equal a recount of `curated/`.
async fn hold_aggregates(world: &World, lake: &Lake, kinds: &Kinds) {
    match recount(lake, kinds, &Extent::complete()).await {
        Ok(counted) if counted.clean() => world.tell("judge", format_args!("{counted}")),
        Ok(counted) => world.fail(counted.to_string()),
        Err(error) => world.fail(format!("the aggregates cannot be read: {error}")),
    }
}

/// Each doomed message is a dead letter with its reason, and there are no other dead letters.
fn hold_letters(world: &World, doomed: &[Doomed]) {
    let account = account(&letters(world), doomed);
    if account.clean() {
        world.tell("judge", format_args!("{account}"));
    } else {
        world.fail(account.to_string());
    }
}

fn letters(world: &World) -> Vec<Letter> {
    let letters = world.cloud.messages(DEAD_LETTERS).into_iter();
    letters
        .map(|letter| Letter {
            body: letter.body,
            attributes: letter.attributes,
        })
        .collect()
}
