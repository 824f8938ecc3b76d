//! The events that are sent: made once by the simulator, kept in a file, one a line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use simulator::{Generator, Plan};

/// Vehicles of the events that are sent, unless a scenario says otherwise.
pub(crate) const VEHICLES: u32 = 2_000;

/// Most vehicles that are simulated; if more are asked for, each lends its readings to several.
const SIMULATED: u32 = 2_000;

/// How far back the events' own times reach.
const SPAN: Duration = Duration::from_secs(3600);

/// Seed of the simulator.
const SEED: u64 = 20_261_121;

/// Which events a corpus holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) events: u64,
    /// Number of different vehicles.
    pub(crate) vehicles: u32,
}

/// A file of events.
#[derive(Debug, Clone)]
pub(crate) struct Corpus {
    pub(crate) path: PathBuf,
    pub(crate) recipe: Recipe,
}

impl Corpus {
    /// Makes the file in `folder`, unless one of this recipe is there.
    pub(crate) fn prepare(recipe: Recipe, folder: &Path) -> anyhow::Result<Corpus> {
        let name = format!("events-{}-{}.ndjson", recipe.events, recipe.vehicles);
        let path = folder.join(name);
        if !path.exists() {
            let file = File::create(&path);
            let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            for line in lines(recipe, Utc::now(), SPAN)? {
                out.write_all(line.as_bytes())?;
                out.write_all(b"\n")?;
            }
            out.flush()?;
        }
        Ok(Corpus { path, recipe })
    }
}

/// The events of the recipe in the order of their times, over the `span` before `end`.
pub(crate) fn lines(
    recipe: Recipe,
    end: DateTime<Utc>,
    span: Duration,
) -> anyhow::Result<impl Iterator<Item = String>> {
    let plan = Plan {
        vehicles: recipe.vehicles.min(SIMULATED),
        cells: 0,
        count: Some(recipe.events),
        seed: SEED,
        ..Plan::default()
    };
    let generator = Generator::new(&plan.spread_before(end, span))?;
    Ok((0_u64..)
        .zip(generator)
        .map(move |(at, sent)| rename(sent.body, at, recipe.vehicles)))
}

/// Gives event number `at` another vehicle if there are to be more than are simulated.
fn rename(body: String, at: u64, vehicles: u32) -> String {
    if vehicles <= SIMULATED {
        return body;
    }
    match body.split_once("\"vehicle_id\":\"veh-") {
        Some((before, after)) if after.len() > 5 => {
            let vehicle = at % u64::from(vehicles);
            format!("{before}\"vehicle_id\":\"veh-{vehicle:07}{}", &after[5..])
        }
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn vehicles(recipe: Recipe) -> usize {
        let kinds = contract::Kinds::builtin();
        let now = Utc::now();
        let of = lines(recipe, now, SPAN).unwrap().map(|line| {
            let event = contract::parse_sent(&kinds, None, &line, now).unwrap();
            event.entity.to_string()
        });
        of.collect::<HashSet<_>>().len()
    }

    #[test]
    fn there_are_as_many_vehicles_as_asked_for_and_every_event_is_sound() {
        for (events, expected) in [(5_000, 1), (5_000, 700)] {
            let recipe = Recipe {
                events,
                vehicles: expected,
            };
            assert_eq!(vehicles(recipe), expected as usize);
        }
        let recipe = Recipe {
            events: 10_000,
            vehicles: 9_000,
        };
        assert_eq!(vehicles(recipe), 9_000);
    }

    #[test]
    fn a_corpus_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            events: 100,
            vehicles: 3,
        };
        let corpus = Corpus::prepare(recipe, folder.path()).unwrap();
        let first = std::fs::read_to_string(&corpus.path).unwrap();
        assert_eq!(first.lines().count(), 100);
        Corpus::prepare(recipe, folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&corpus.path).unwrap(), first);
    }
}
