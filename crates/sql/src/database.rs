//! A context for each statement, over one snapshot.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use engine::Engine;
use engine::snapshot::Snapshot;
use tracing::warn;

use crate::error::SqlError;
use crate::functions;
use crate::kernel_rule::{KernelRule, KindEvents};
use crate::scan_budget::ScanBudget;
use crate::settings::SqlSettings;
use crate::tables::{KindTable, LongTable, OfKind, Source, Told, ToldTable};
use crate::views::{View, pm_events};

/// What the statements of all clients share.
#[derive(Debug)]
pub struct Database {
    engine: Arc<Engine>,
    runtime: Arc<RuntimeEnv>,
    most_scanned: u64,
    /// Those of the program, then those of its user.
    views: Vec<View>,
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
    /// Over the lake that `engine` reads.
    ///
    /// # Errors
    ///
    /// If a setting is wrong: a folder of views that cannot be read, or has one that is no query.
    pub fn new(engine: Arc<Engine>, settings: &SqlSettings) -> Result<Database, SqlError> {
        let limit = usize::try_from(settings.memory_limit.as_u64()).unwrap_or(usize::MAX);
        // Sorts do not go to disk: that of a service is small, and often memory.
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(no_disk)
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limit)))
            .build_arc()?;
        let mut views = View::built_in();
        if let Some(folder) = &settings.views {
            views.extend(View::of_folder(folder)?);
        }
        Ok(Database {
            engine,
            runtime,
            most_scanned: settings.max_scan_bytes.as_u64(),
            views,
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
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("headwater", "public")
            .with_information_schema(true)
            .with_target_partitions(self.engine.scanner.threads());
        // Errors tell the place of what they are about.
        config.options_mut().sql_parser.collect_spans = true;
        if let Some(zone) = &options.time_zone {
            config.options_mut().execution.time_zone = Some(zone.clone());
        }
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .with_optimizer_rule(Arc::new(KernelRule::new(events_of)))
            .build();
        let context = SessionContext::new_with_state(state);
        for function in functions::all() {
            context.register_udf(function);
        }
        let most = (!options.allow_full_scan).then_some(self.most_scanned);
        let source = Source {
            engine: self.engine.clone(),
            snapshot: snapshot.clone(),
            budget: Arc::new(ScanBudget::new(most)),
        };
        let types = self.engine.types.get(snapshot.kinds()).await?;
        let (mut kinds, mut pm_view) = (Vec::new(), None);
        for (kind, types) in snapshot.kinds().iter().zip(types.iter()) {
            let table = KindTable::new(source.clone(), kind, types.clone());
            kinds.push(OfKind::new(kind, &table));
            if kind.name == "cell" {
                pm_view = Some(pm_events(kind, &table.schema()));
            }
            context.register_table(kind.name.as_str(), Arc::new(table))?;
        }
        for (name, table) in LongTable::all(&source, &kinds.into()) {
            context.register_table(name, Arc::new(table))?;
        }
        for (name, told) in Told::ALL {
            let table = ToldTable::new(source.clone(), told);
            context.register_table(name, Arc::new(table))?;
        }
        if let Some(text) = pm_view {
            let plan = context.state().create_logical_plan(&text).await?;
            let view = ViewTable::new(plan, Some(text));
            context.register_table("pm_events", Arc::new(view))?;
        }
        for view in &self.views {
            add_view(&context, view).await?;
        }
        Ok((context, snapshot))
    }
}

/// Adds a view; one that cannot be planned is left out, for the others' sake.
async fn add_view(context: &SessionContext, view: &View) -> Result<(), SqlError> {
    let name = view.name.as_str();
    let planned = if context.table_exist(name)? {
        Err("there is a table of this name".to_owned())
    } else {
        let planned = context.state().create_logical_plan(&view.query).await;
        planned.map_err(|error| error.strip_backtrace())
    };
    match planned {
        Ok(plan) => {
            let table = ViewTable::new(plan, Some(view.query.clone()));
            context.register_table(name, Arc::new(table))?;
        }
        Err(reason) => view.left_out.call_once(|| {
            warn!(
                event = "view_left_out",
                view = name,
                reason,
                "the view `{name}` is left out: {reason}"
            );
        }),
    }
    Ok(())
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
