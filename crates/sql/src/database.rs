//! A context for each statement, over one snapshot.

use std::sync::Arc;

use aws::Lake;
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use engine::Engine;
use lake::schema::signal_types;

use crate::error::{SqlError, nearest};
use crate::kernel_rule::{KernelRule, KindEvents};
use crate::settings::SqlSettings;
use crate::tables::KindTable;
use crate::views::{VIEWS, pm_events, points_of};

/// What the statements of all clients share.
#[derive(Debug)]
pub struct Database {
    engine: Arc<Engine>,
    lake: Lake,
    runtime: Arc<RuntimeEnv>,
}

/// What a client has set for its own statements.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Time zone of times without one, and of dates; UTC if there is none.
    pub time_zone: Option<String>,
}

impl Database {
    /// Over the lake that `engine` reads.
    ///
    /// # Errors
    ///
    /// If a setting is wrong.
    pub fn new(
        engine: Arc<Engine>,
        lake: Lake,
        settings: &SqlSettings,
    ) -> Result<Database, SqlError> {
        let limit = usize::try_from(settings.memory_limit.as_u64()).unwrap_or(usize::MAX);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limit)))
            .build_arc()?;
        Ok(Database {
            engine,
            lake,
            runtime,
        })
    }

    /// What reads the lake.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// A context for one statement: its tables are of the newest snapshot, in the schema `public`.
    ///
    /// # Errors
    ///
    /// If there is no snapshot yet, or the names of undeclared signals cannot be read.
    pub async fn context(&self, options: &SessionOptions) -> Result<SessionContext, SqlError> {
        let snapshot = self.engine.snapshot().ok_or(SqlError::Starting)?;
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("headwater", "public")
            .with_information_schema(true)
            .with_target_partitions(self.engine.scanner.threads());
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
        let kinds = snapshot.kinds().clone();
        let types = signal_types(&self.lake, &kinds).await?;
        let mut points = Vec::new();
        let mut views: Vec<(&str, String)> = Vec::new();
        for (kind, types) in kinds.iter().zip(types) {
            let table = KindTable::new(self.engine.clone(), snapshot.clone(), kind, types);
            let schema = table.schema();
            points.extend(points_of(kind, &schema));
            if kind.name == "cell" {
                views.push(("pm_events", pm_events(kind, &schema)));
            }
            context.register_table(kind.name.as_str(), Arc::new(table))?;
        }
        views.insert(0, ("points", points.join(" UNION ALL ")));
        views.extend(VIEWS.map(|(name, text)| (name, text.to_owned())));
        for (name, text) in views.into_iter().filter(|(_, text)| !text.is_empty()) {
            let plan = context.state().create_logical_plan(&text).await?;
            context.register_table(name, Arc::new(ViewTable::new(plan, Some(text))))?;
        }
        Ok(context)
    }

    /// The error of a statement's plan, with the names that are nearest to an unknown one.
    pub(crate) fn explain(&self, error: DataFusionError) -> SqlError {
        let text = error.strip_backtrace();
        let unknown = text
            .split_once("table '")
            .and_then(|(_, rest)| rest.split_once("' not found"));
        let Some((name, _)) = unknown else {
            return error.into();
        };
        let name = name.rsplit('.').next().unwrap_or(name);
        let snapshot = self.engine.newest.borrow().clone();
        let kinds: Vec<String> = snapshot
            .kinds()
            .iter()
            .map(|kind| kind.name.clone())
            .collect();
        let others = VIEWS
            .iter()
            .map(|(name, _)| *name)
            .chain(["points", "pm_events"]);
        let known = kinds.iter().map(String::as_str).chain(others);
        SqlError::Invalid(format!("no table `{name}`: {}", nearest(name, known)))
    }
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
