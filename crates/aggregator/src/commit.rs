//! Carries out a commit: raw objects come in, parts and aggregates go out, each hour once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use aws::{Condition, Lake, PutOutcome};
use contract::{Hour, Kind, Kinds};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::plan_key;
use lake::log::{ByHour, Intent, Plan, Summary, of_hour, read_plan};
use lake::parts;
use lake::rows::{Buckets, Columns, KindHour, SignalTypes};
use tokio::sync::Mutex;

use crate::budget::Budget;
use crate::hour::HourWriter;
use crate::log::discover::Found;
use crate::parts::aside::Aside;
use crate::parts::part_store::PartStore;
use crate::put::put;
use crate::put_off::{PutOff, hours_to_put_off};
use crate::schema::{self, StoredTypes};
use crate::spill::{Gather, Gathered, HourBlocks};
use crate::workers::Workers;

/// Hours that are written at the same time, as far as memory allows.
const HOURS_AT_ONCE: usize = 16;

/// Bytes that are reckoned for each object of a commit that does not tell its bytes.
const OBJECT_BYTES: u64 = 4 * 1024 * 1024;

/// Names of undeclared signals that have a column, by kind.
pub(crate) const UNDECLARED_NAMES: &str = "headwater_aggregator_undeclared_names";

/// What to do with the hours of a commit.
pub(crate) enum Mode {
    /// Write the parts that do not exist yet, and count all parts of the commit in the aggregates.
    Finish,
    /// Overwrite the parts of these hours; the caller recounts the aggregates.
    Rebuild(Range<Hour>),
}

/// What a commit has written.
#[derive(Default)]
pub(crate) struct Written {
    /// Events of each hour in parts of the commit.
    pub(crate) hours: ByHour,
    /// Raw objects with the lines of hours that were put off, a list for each later commit.
    pub(crate) put_off: Vec<Vec<Found>>,
    /// Keys of the parts.
    pub(crate) parts: BTreeSet<String>,
}

/// A commit to be carried out.
pub(crate) struct Commit<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) kinds: &'a Arc<Kinds>,
    pub(crate) intent: &'a Intent,
    pub(crate) budget: &'a Budget,
    pub(crate) workers: &'a Workers,
    /// Told the number of objects read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
    pub(crate) mode: Mode,
    /// Whether another run, perhaps of another release, may have begun the commit.
    pub(crate) taken_over: bool,
    /// Most hours with few events that the commit writes.
    pub(crate) most_hours: usize,
}

impl Commit<'_> {
    /// Finishes the commit, and tells what it did and wrote. Doing so again, or in another process at the same time,
    /// gives the same objects: a part that exists is kept, and counted as it is.
    pub(crate) async fn finish(&self) -> anyhow::Result<(Summary, Written)> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let plan = if self.taken_over {
            read_plan(self.lake, self.intent.commit).await?
        } else {
            None
        };
        let written = self.write_parts(&mut summary, plan).await?;
        Ok((summary, written))
    }

    /// Writes the parts of the commit's hours, those of [`Mode::Rebuild`] or all. In [`Mode::Finish`] the parts of an
    /// hour are counted in its aggregates as soon as they are written.
    pub(crate) async fn write_parts(
        &self,
        summary: &mut Summary,
        plan: Option<Plan>,
    ) -> anyhow::Result<Written> {
        let stored = StoredTypes::new(self.lake, self.kinds);
        let buckets = self.buckets(plan.as_ref());
        let written = plan.as_ref().and_then(|plan| self.written(plan));
        let while_open = matches!(self.mode, Mode::Finish);
        let (commit, inputs) = (self.intent.commit, &self.intent.inputs);
        let aside = Aside::new(self.lake, commit, inputs, while_open);
        let aside = Mutex::new(aside);
        let gathered = self
            .gather(&stored, written, buckets, &aside, summary)
            .await?;
        let Gathered {
            hours, new_signals, ..
        } = gathered;
        let plan = match (plan, &self.mode) {
            (Some(plan), _) => plan,
            (None, Mode::Finish) => self.plan(&hours).await?,
            (None, Mode::Rebuild(_)) => Plan::default(),
        };
        let (hours, put_off) = match self.written(&plan) {
            Some(written) => hours.into_iter().partition(|(at, _)| written.contains(at)),
            None => (hours, BTreeMap::new()),
        };
        // Before the commit is done: its inputs are not read any more then.
        let most = plan.most_hours.unwrap_or(self.most_hours);
        let put_off = self.put_off(put_off, most, summary).await?;
        let mut columns = Vec::new();
        for (number, kind) in self.kinds.iter().enumerate() {
            let Some(stored) = stored.get(number) else {
                // No event is of this kind, or it is a long one, which has no columns of its own.
                columns.push(Arc::new(Columns::new(kind, SignalTypes::default())));
                continue;
            };
            let new = new_signals.get(number).map_or(&[][..], Vec::as_slice);
            let of_kind = schema::columns(self.lake, kind, stored.clone(), new).await?;
            let undeclared = metrics::gauge!(UNDECLARED_NAMES, "kind" => kind.name.clone());
            undeclared.set(of_kind.undeclared() as f64);
            columns.push(Arc::new(of_kind));
        }
        let written = self
            .write_hours(hours, &plan, &columns, &aside, summary)
            .await?;
        aside.into_inner().finish().await?;
        Ok(Written { put_off, ..written })
    }

    /// The hours of the plan, if it puts off all others.
    fn written(&self, plan: &Plan) -> Option<Arc<HashSet<KindHour>>> {
        let kinds = self.kinds.iter().enumerate();
        let hours = kinds.flat_map(|(number, kind)| {
            let hours = plan.parts.get(&kind.name).into_iter().flatten();
            hours.filter_map(move |(hour, _)| Some((number, Hour::parse(hour)?)))
        });
        plan.puts_off.then(|| Arc::new(hours.collect()))
    }

    /// Puts off these hours, `most` of them to each later commit. A rebuild leaves them out: they are those of later
    /// commits.
    async fn put_off(
        &self,
        hours: BTreeMap<KindHour, HourBlocks>,
        most: usize,
        summary: &mut Summary,
    ) -> anyhow::Result<Vec<Vec<Found>>> {
        if hours.is_empty() || matches!(self.mode, Mode::Rebuild(_)) {
            return Ok(Vec::new());
        }
        summary.hours_put_off += hours.len() as u64;
        let put_off = PutOff {
            lake: self.lake,
            workers: self.workers,
            intent: self.intent,
            most,
        };
        put_off.write(hours).await
    }

    /// How rows are divided that do not fit into memory. The seed is that of the intent: whoever takes the commit over
    /// divides its ids alike.
    fn buckets(&self, plan: Option<&Plan>) -> Buckets {
        let planned = plan.into_iter().flat_map(|plan| plan.parts.values());
        let planned = planned.flat_map(BTreeMap::values).copied().max();
        let bytes = match self.intent.bytes {
            0 => self.intent.inputs.len() as u64 * OBJECT_BYTES,
            bytes => bytes,
        };
        let wanted = self.budget.buckets(bytes).max(planned.unwrap_or(1));
        Buckets::new(self.intent.writer.as_u64_pair().1, wanted)
    }

    async fn gather(
        &self,
        types: &StoredTypes<'_>,
        written: Option<Arc<HashSet<KindHour>>>,
        buckets: Buckets,
        aside: &Mutex<Aside<'_>>,
        summary: &mut Summary,
    ) -> anyhow::Result<Gathered> {
        let wanted: Arc<dyn Fn(Hour) -> bool + Send + Sync> = match &self.mode {
            Mode::Finish => Arc::new(|_| true),
            Mode::Rebuild(hours) => {
                let hours = hours.clone();
                Arc::new(move |hour| hours.contains(&hour))
            }
        };
        let gather = Gather {
            lake: self.lake,
            kinds: self.kinds.clone(),
            types,
            inputs: &self.intent.inputs,
            wanted,
            written,
            all_must_exist: matches!(self.mode, Mode::Rebuild(_)),
            buckets,
            limits: self.budget.waiting(),
            workers: self.workers,
            progress: self.progress,
        };
        let gathered = gather.run(aside).await?;
        summary.refused += gathered.refused;
        summary.objects += gathered.objects;
        summary.missing_objects += gathered.missing;
        if gathered.spilled > 0 {
            tracing::info!(
                event = "spilled",
                bytes = gathered.spilled,
                "the rows did not fit into memory and wait for their hours on disk"
            );
        }
        Ok(gathered)
    }

    /// The plan, after it is stored; that of another run if that was first.
    async fn plan(&self, hours: &BTreeMap<KindHour, HourBlocks>) -> anyhow::Result<Plan> {
        let put_off = hours_to_put_off(hours, self.most_hours);
        let mut plan = Plan {
            puts_off: !put_off.is_empty(),
            most_hours: (!put_off.is_empty()).then_some(self.most_hours),
            ..Plan::default()
        };
        let written = hours.iter().filter(|(at, _)| !put_off.contains(at));
        for ((kind, hour), blocks) in written {
            let parts = Buckets::new(0, self.budget.parts(blocks.bytes())).count();
            let of_kind = plan.parts.entry(self.kind(*kind)?.name.clone());
            of_kind.or_default().insert(hour.to_string(), parts);
        }
        let (key, body) = (plan_key(self.intent.commit), serde_json::to_vec(&plan)?);
        let outcome = put(self.lake, &key, body, None, Condition::IfAbsent).await?;
        if outcome == PutOutcome::ConditionFailed {
            let stored = read_plan(self.lake, self.intent.commit).await?;
            return stored.with_context(|| format!("`{key}` was there and is gone"));
        }
        Ok(plan)
    }

    async fn write_hours(
        &self,
        hours: BTreeMap<KindHour, HourBlocks>,
        plan: &Plan,
        columns: &[Arc<Columns>],
        aside: &Mutex<Aside<'_>>,
        summary: &mut Summary,
    ) -> anyhow::Result<Written> {
        let store = self.store();
        let mut hours_of: BTreeMap<usize, BTreeSet<Hour>> = BTreeMap::new();
        for (kind, hour) in hours.keys() {
            hours_of.entry(*kind).or_default().insert(*hour);
        }
        // What was planned and has no rows now: if the commit was begun under looser declarations, all events of an
        // hour may be refused, and its parts exist.
        let mut without_rows = Vec::new();
        for (number, kind) in self.kinds.iter().enumerate() {
            let planned = plan.parts.get(&kind.name).into_iter().flatten();
            let planned = planned.filter_map(|(hour, parts)| Some((Hour::parse(hour)?, *parts)));
            for (hour, parts) in planned {
                if !hours.contains_key(&(number, hour)) && matches!(self.mode, Mode::Finish) {
                    hours_of.entry(number).or_default().insert(hour);
                    without_rows.push((number, hour, parts));
                }
            }
        }
        let mut earlier = BTreeMap::new();
        for (kind, hours) in hours_of {
            let name = &self.kind(kind)?.name;
            let found = parts::before(self.lake, name, hours, self.intent.commit).await?;
            earlier.extend(found.into_iter().map(|(hour, parts)| ((kind, hour), parts)));
        }
        let seed = self.intent.writer.as_u64_pair().1;
        let writer = |at: KindHour, parts: u64, earlier| {
            anyhow::Ok(HourWriter {
                lake: self.lake,
                kinds: self.kinds,
                kind: at.0,
                declared: self.kind(at.0)?,
                hour: at.1,
                commit: self.intent.commit,
                inputs: &self.intent.inputs,
                seed,
                parts: Buckets::new(seed, parts),
                earlier,
                store,
                aside,
                budget: self.budget,
                workers: self.workers,
                fold: matches!(self.mode, Mode::Finish),
            })
        };
        // The newest hours first: nobody waits for late events.
        let with_rows = hours.into_iter().rev().map(|(at, blocks)| {
            let of_kind = |kind: &Kind| of_hour(&plan.parts, &kind.name, at.1);
            let parts = self.kind(at.0).ok().and_then(of_kind).unwrap_or(1);
            (at, parts, Some((blocks, columns[at.0].clone())))
        });
        let without_rows = without_rows.into_iter();
        let without_rows = without_rows.map(|(kind, hour, parts)| ((kind, hour), parts, None));
        let writes = without_rows.chain(with_rows).map(|(at, parts, rows)| {
            let writer = writer(at, parts, earlier.remove(&at).unwrap_or_default());
            async move {
                let writer = writer?;
                let done = match rows {
                    Some((blocks, columns)) => writer.write(blocks, columns).await?,
                    None => writer.count_existing().await?,
                };
                anyhow::Ok((writer.declared.name.clone(), writer.hour, done))
            }
        });
        let mut writes = stream::iter(writes).buffered(HOURS_AT_ONCE);
        let mut written = Written::default();
        while let Some((kind, hour, done)) = writes.try_next().await? {
            summary.duplicates += done.duplicates;
            summary.conflicts += done.conflicts;
            summary.more_values += done.more_values;
            summary.events += done.events;
            summary.hours += u64::from(done.events > 0);
            let of_kind = written.hours.entry(kind).or_default();
            of_kind.insert(hour.to_string(), done.events);
            if let Mode::Rebuild(_) = self.mode {
                written.parts.extend(done.parts);
            }
        }
        Ok(written)
    }

    pub(crate) fn store(&self) -> PartStore<'_> {
        PartStore {
            lake: self.lake,
            overwrite: matches!(self.mode, Mode::Rebuild(_)),
        }
    }

    fn kind(&self, number: usize) -> anyhow::Result<&Kind> {
        let kind = self.kinds.iter().nth(number);
        kind.context("rows are of a kind that is not declared")
    }
}
