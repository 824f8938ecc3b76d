//! The SQL: a file's table comes in, a stream of rows comes out, each of which is to be an event.

mod functions;
mod instant;
mod number;

use std::path::Path;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use crate::error::{ImportError, words};
use crate::input::{Input, InputTable};

/// Name of the table that the SQL reads.
const TABLE: &str = "input";

/// Memory that sorts, joins and groups of the SQL may hold, in bytes; past it sorts go to the disk, and the rest fails.
const MEMORY: usize = 512 << 20;

/// Settings in the file of the SQL stand in lines that begin so.
const SETTINGS: &str = "-- import:";

/// The text of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    path: String,
    sql: String,
}

impl Mapping {
    pub(crate) fn load(path: &Path) -> std::io::Result<Mapping> {
        let sql = std::fs::read_to_string(path)?;
        Ok(Mapping {
            path: path.display().to_string(),
            sql,
        })
    }

    /// The flags that the mapping itself sets, in lines such as `-- import: --delimiter ; --encoding latin1`.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        let lines = self
            .sql
            .lines()
            .filter_map(|line| line.trim().strip_prefix(SETTINGS));
        lines.flat_map(str::split_whitespace)
    }

    /// Plans the SQL over one file; nothing but its columns is read.
    pub(crate) async fn plan(&self, input: &Arc<Input>) -> Result<Plan, ImportError> {
        let mapping = |message: String| ImportError::Mapping {
            path: input.path.clone(),
            message,
        };
        let context = self
            .context(input)
            .map_err(|error| mapping(words(&error)))?;
        let queries_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = context.sql_with_options(&self.sql, queries_only).await;
        let frame = frame.map_err(|error| mapping(self.place(&error)))?;
        Ok(Plan {
            frame,
            input: Arc::clone(input),
        })
    }

    fn context(&self, input: &Arc<Input>) -> Result<SessionContext, DataFusionError> {
        // One partition keeps the order of the rows. Names of columns are as the file has them, so they need no quotes
        // unless there are other characters than letters, digits and `_` in them.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false)
            .set_bool("datafusion.sql_parser.collect_spans", true);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(MEMORY, 1.0)
            .build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        functions::register(&context, &input.tally);
        context.register_table(TABLE, Arc::new(InputTable(Arc::clone(input))))?;
        Ok(context)
    }

    /// The words of an error in the SQL, and where in it that is.
    fn place(&self, error: &DataFusionError) -> String {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        match span {
            Some(span) => format!(
                "{}:{}:{}: {}",
                self.path,
                span.start.line,
                span.start.column,
                words(error)
            ),
            None => format!("{}: {}", self.path, words(error)),
        }
    }
}

/// The SQL, planned over one file.
pub(crate) struct Plan {
    frame: DataFrame,
    pub(crate) input: Arc<Input>,
}

impl Plan {
    /// The columns of the result.
    pub(crate) fn schema(&self) -> &arrow::datatypes::Schema {
        self.frame.schema().as_arrow()
    }

    /// Runs the SQL.
    pub(crate) async fn execute(&self) -> Result<SendableRecordBatchStream, ImportError> {
        let stream = self.frame.clone().execute_stream().await;
        stream.map_err(|error| self.failure(&error))
    }

    /// What ended the SQL, with the rows that were read until then.
    pub(crate) fn failure(&self, error: &DataFusionError) -> ImportError {
        let row = self.input.tally.lock().read;
        ImportError::Row {
            path: self.input.path.clone(),
            row,
            message: words(error),
        }
    }
}
