//! Functions beside those of DataFusion.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(crate) fn all() -> [ScalarUDF; 1] {
    [TimeBucket::new().into()]
}

/// `time_bucket(width, time)`: the start of the bucket in which a time lies, as in TimescaleDB. The width is an
/// interval or a text such as `'5 minutes'`; buckets begin at multiples of it since 1970. It is `date_bin` by another
/// name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    fn new() -> TimeBucket {
        TimeBucket {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [_, time] = types else {
            return plan_err!(
                "time_bucket needs a width and a time, such as time_bucket('5 minutes', event_time)"
            );
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            other => return plan_err!("time_bucket needs a time, not {other}"),
        };
        Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano), time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [_, time] = types else {
            return plan_err!("time_bucket needs a width and a time");
        };
        Ok(time.clone())
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let call = ScalarFunction::new_udf(date_bin(), args);
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        date_bin().invoke_with_args(args)
    }
}
