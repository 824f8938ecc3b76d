//! A file as a table of DataFusion, which reads it as a stream, in the order of its rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::source::Input;

/// The table `input`. Its rows come in the order of `row`: a window over that order needs no sorting.
#[derive(Debug)]
pub(crate) struct InputTable(pub(crate) Arc<Input>);

#[async_trait]
impl TableProvider for InputTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(wanted) => wanted.clone(),
            None => (0..self.0.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.0.schema.project(&wanted)?);
        let row = wanted
            .iter()
            .position(|column| *column == self.0.row_column());
        let by_row = row.and_then(|at| {
            let row = PhysicalSortExpr::new_default(Arc::new(Column::new("row", at)));
            LexOrdering::new([row])
        });
        let part = Part {
            input: Arc::clone(&self.0),
            schema: Arc::clone(&schema),
            wanted,
        };
        let part: Arc<dyn PartitionStream> = Arc::new(part);
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            vec![part],
            None,
            by_row,
            false,
            limit,
        )?))
    }
}

/// The wanted columns of the file, as one stream.
#[derive(Debug)]
struct Part {
    input: Arc<Input>,
    schema: SchemaRef,
    wanted: Vec<usize>,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = match self.input.batches(&self.wanted) {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        let batches = batches.map(|batch| batch.map_err(DataFusionError::from));
        let batches = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }
}
