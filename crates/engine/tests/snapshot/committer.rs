//! Commits of any raw objects, step by step: what the aggregator does, so that a test decides what happens in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::{Hour, Kinds};
use lake::key::{done_key, intent_key, part_key};
use lake::log::{ByHour, Done, Intent, Summary};
use lake::parts;
use lake::rows::{Buckets, Columns, Gathering, HourRows, SignalTypes, admissions};

use crate::stage::Stage;

/// A commit under way, and what stands in parts.
#[derive(Default)]
pub(crate) struct Committer {
    pub(crate) done: u64,
    intent: Option<Intent>,
    /// Parts to be written, as hour and file.
    parts: Vec<(Hour, Vec<u8>)>,
    hours: ByHour,
    ids: BTreeSet<(Hour, String)>,
    /// Whether marks tell hours, as those of older releases do not.
    pub(crate) without_hours: bool,
}

impl Committer {
    /// Writes the intent for these objects, unless a commit is under way.
    pub(crate) async fn begin(&mut self, stage: &Stage, mut inputs: Vec<String>) -> bool {
        if self.intent.is_some() || inputs.is_empty() {
            return false;
        }
        inputs.sort();
        let intent = Intent {
            commit: self.done + 1,
            writer: uuid::Uuid::nil(),
            started_at: stage.now(),
            bytes: 1,
            inputs,
        };
        let body = serde_json::to_vec(&intent).unwrap();
        stage.put(&intent_key(intent.commit), body).await;
        self.make_parts(stage, &intent).await;
        self.intent = Some(intent);
        true
    }

    async fn make_parts(&mut self, stage: &Stage, intent: &Intent) {
        let kinds = Arc::new(Kinds::builtin());
        let admissions = admissions(&kinds, |_| None);
        let mut gathering = Gathering::new(kinds.clone(), admissions, Buckets::new(0, 1));
        for (input, key) in (0..).zip(&intent.inputs) {
            let body = stage.lake.get(key).await.unwrap().unwrap().body;
            gathering.add_declared(input, 0, &body, |refused| panic!("{refused:?}"));
        }
        self.hours.clear();
        for ((kind, hour), _, block) in gathering.take().unwrap().blocks {
            let mut rows = HourRows::of(kinds.clone(), kind, vec![block], None, |_| {});
            let ids: Vec<String> = rows.ids().map(str::to_owned).collect();
            for id in ids {
                if !self.ids.insert((hour, id.clone())) {
                    rows.drop_row(rows.find(&id).unwrap());
                }
            }
            let of_kind = self.hours.entry("vehicle".to_owned()).or_default();
            of_kind.insert(hour.to_string(), rows.len() as u64);
            if !rows.is_empty() {
                let declared = kinds.iter().nth(kind).unwrap();
                let columns = Columns::new(declared, SignalTypes::default());
                let (batch, _) = rows.into_batch(&columns).unwrap();
                let file = parts::to_parquet(&batch).unwrap().to_vec();
                self.parts.push((hour, file));
            }
        }
    }

    /// Writes one part, or the mark that the commit is done once all are written.
    pub(crate) async fn step(&mut self, stage: &Stage) {
        let Some(intent) = &self.intent else {
            return;
        };
        if let Some((hour, file)) = self.parts.pop() {
            let key = part_key("vehicle", hour, intent.commit, 0, 1);
            stage.put(&key, file).await;
            return;
        }
        let done = Done {
            commit: intent.commit,
            finished_at: stage.now(),
            summary: Summary::default(),
            hours: (!self.without_hours).then(|| self.hours.clone()),
            put_off: Default::default(),
        };
        let body = serde_json::to_vec(&done).unwrap();
        stage.put(&done_key(intent.commit), body).await;
        self.done = intent.commit;
        self.intent = None;
    }
}
