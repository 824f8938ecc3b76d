//! A context for each statement, over one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use datafusion::catalog::TableProvider;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use engine::Engine;
use engine::snapshot::Snapshot;

use crate::counters;
use crate::error::SqlError;
use crate::functions;
use crate::join_limits::{JoinsEnd, JoinsYield};
use crate::kernel_rule::{KernelRule, KindEvents};
use crate::memory::SharedMemory;
use crate::public::{CATALOG, Public, SCHEMA};
use crate::scan_budget::ScanBudget;
use crate::settings::SqlSettings;
use crate::tables::{KindTable, LongTable, OfKind, Source, Told, ToldTable};
use crate::views::{View, pm_events};

/// What the statements of all clients share.
#[derive(Debug)]
pub struct Database {
    engine: Arc<Engine>,
    runtime: Arc<RuntimeEnv>,
    /// Without tables, for times in UTC.
    base: SessionState,
    most_scanned: u64,
    longest: Duration,
    /// Those of the program, then those of its user.
    views: Vec<Arc<View>>,
    /// Whether `pm_events` is left out, whose text goes by the columns of cells.
    pm_events_left_out: Arc<AtomicBool>,
}

/// What a client has set for its own statements.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Time zone of times without one, and of dates; UTC if there is none.
    pub time_zone: Option<String>,
    /// Whether a statement may look at more than `MAX_SCAN_BYTES`.
    pub allow_full_scan: bool,
}

impl Database {
    /// Over the lake that `engine` reads. Whoever runs a statement ends it after its time; a join that would not hear of
    /// this ends by itself after `longest`.
    ///
    /// # Errors
    ///
    /// If a setting is wrong: a folder of views that cannot be read, or has one that is no query.
    pub fn new(
        engine: Arc<Engine>,
        settings: &SqlSettings,
        longest: Duration,
    ) -> Result<Database, SqlError> {
        let limit = usize::try_from(settings.memory_limit.as_u64()).unwrap_or(usize::MAX);
        // Sorts do not go to disk: that of a service is small, and often memory.
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(no_disk)
            .with_memory_pool(Arc::new(SharedMemory::new(limit, engine.clone())))
            .build_arc()?;
        let mut views = View::built_in();
        if let Some(folder) = &settings.views {
            views.extend(View::of_folder(folder)?);
        }
        Ok(Database {
            base: base(&runtime, &engine, longest, None),
            engine,
            runtime,
            most_scanned: settings.max_scan_bytes.as_u64(),
            longest,
            views,
            pm_events_left_out: Arc::default(),
        })
    }

    /// What reads the lake.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// A context for one statement, and the snapshot that its tables are of: the newest. They are in the schema
    /// `public`.
    ///
    /// # Errors
    ///
    /// If there is no snapshot yet, or the names of undeclared signals cannot be read.
    pub async fn context(
        &self,
        options: &SessionOptions,
    ) -> Result<(SessionContext, Snapshot), SqlError> {
        let snapshot = self.engine.snapshot().ok_or(SqlError::Starting)?;
        let base = match &options.time_zone {
            None => self.base.clone(),
            Some(zone) => base(&self.runtime, &self.engine, self.longest, Some(zone)),
        };
        let most = (!options.allow_full_scan).then_some(self.most_scanned);
        let source = Source {
            engine: self.engine.clone(),
            snapshot: snapshot.clone(),
            budget: Arc::new(ScanBudget::new(most)),
        };
        let types = self.engine.types.get(snapshot.kinds()).await?;
        let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
        let (mut kinds, mut views) = (Vec::new(), Vec::new());
        for (kind, types) in snapshot.kinds().iter().zip(types.iter()) {
            let table = KindTable::new(source.clone(), kind, types.clone());
            kinds.push(OfKind::new(kind, &table));
            if kind.name == "cell" {
                let text = pm_events(kind, &table.schema());
                let left_out = self.pm_events_left_out.clone();
                views.push(Arc::new(View::new("pm_events", text, left_out)));
            }
            tables.insert(kind.name.clone(), Arc::new(table));
        }
        for (name, table) in LongTable::all(&source, &kinds.into()) {
            tables.insert(name.to_owned(), Arc::new(table));
        }
        for (name, told) in Told::ALL {
            let table = ToldTable::new(source.clone(), told);
            tables.insert(name.to_owned(), Arc::new(table));
        }
        views.extend(self.views.iter().cloned());
        let public = Public::new(base, tables, views);
        Ok((SessionContext::new_with_state(public.state()?), snapshot))
    }
}

/// What plans and runs statements, without tables: DataFusion with what is ours.
fn base(
    runtime: &Arc<RuntimeEnv>,
    engine: &Engine,
    longest: Duration,
    time_zone: Option<&str>,
) -> SessionState {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(engine.scanner.threads());
    // Errors tell the place of what they are about.
    config.options_mut().sql_parser.collect_spans = true;
    if let Some(zone) = time_zone {
        config.options_mut().execution.time_zone = Some(zone.to_owned());
    }
    let context = SessionContext::new_with_state(
        SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.clone())
            .with_default_features()
            .with_optimizer_rule(Arc::new(KernelRule::new(events_of)))
            .with_optimizer_rule(Arc::new(JoinsEnd(longest)))
            .with_physical_optimizer_rule(Arc::new(JoinsYield))
            .build(),
    );
    for function in functions::all() {
        context.register_udf(function);
    }
    for function in counters::all() {
        context.register_udaf(function);
    }
    context.state()
}

/// The events that are the rows of a kind's table.
fn events_of(table: &dyn TableProvider) -> Option<KindEvents> {
    let table = table.downcast_ref::<KindTable>()?;
    Some(KindEvents {
        engine: table.engine().clone(),
        snapshot: table.snapshot().clone(),
        kind: table.kind().into(),
    })
}
