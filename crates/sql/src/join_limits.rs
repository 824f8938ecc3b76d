//! Joins that end when their time is over. A join of everything with everything reads no further input for minutes:
//! without these rules its thread would hear of nothing until then, neither of a timeout nor of a client that left.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use engine::TurnError;
use tokio::time::Instant;

/// Lets whoever waits for a join's rows be heard between its batches.
#[derive(Debug)]
pub(crate) struct JoinsYield;

impl PhysicalOptimizerRule for JoinsYield {
    fn name(&self) -> &str {
        "joins_yield"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let yielding = plan.transform_up(|plan| {
            if plan.children().len() < 2 {
                return Ok(Transformed::no(plan));
            }
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _))
        });
        yielding.data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Ends a join whose condition leaves so little that it gives no batch for longer than this.
#[derive(Debug)]
pub(crate) struct JoinsEnd(pub(crate) Duration);

impl OptimizerRule for JoinsEnd {
    fn name(&self) -> &str {
        "joins_end"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let Some(condition) = join.filter.take_if(|condition| !is_limited(condition)) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let limited = ScalarUDF::from(InTime::new(self.0));
        join.filter = Some(limited.call(vec![condition]));
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    }
}

fn is_limited(condition: &Expr) -> bool {
    matches!(condition, Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<InTime>().is_some())
}

/// Gives its argument, a condition, until the time since it was asked first is over.
#[derive(Debug, Clone)]
struct InTime {
    limit: Duration,
    begun: Arc<OnceLock<Instant>>,
    signature: Signature,
}

impl InTime {
    fn new(limit: Duration) -> InTime {
        InTime {
            limit,
            begun: Arc::default(),
            // What is volatile is not computed beforehand, nor for two conditions at once.
            signature: Signature::any(1, Volatility::Volatile),
        }
    }
}

impl PartialEq for InTime {
    fn eq(&self, other: &InTime) -> bool {
        Arc::ptr_eq(&self.begun, &other.begun)
    }
}

impl Eq for InTime {}

impl Hash for InTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.begun).hash(state);
    }
}

impl ScalarUDFImpl for InTime {
    fn name(&self) -> &str {
        "in_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.begun.get_or_init(Instant::now).elapsed() > self.limit {
            let error = TurnError::TimedOut(self.limit);
            return Err(DataFusionError::External(error.into()));
        }
        let condition = args.args.pop();
        condition.ok_or_else(|| DataFusionError::Internal("in_time has one argument".into()))
    }
}
