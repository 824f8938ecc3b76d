//! `increase(value, time)` and `rate(value, time)`: what a counter grows by, in all and by the second.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use engine::kernels::growths;

/// Both.
pub(crate) fn all() -> [AggregateUDF; 2] {
    [What::Increase, What::Rate].map(|what| {
        AggregateUDF::from(OfCounter {
            what,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// The sum of what each value is more than the one before it in time; a lesser one is a restart from 0.
    Increase,
    /// The increase by the seconds between the first value and the last one.
    Rate,
}

/// One of the functions. Values come in any order, so they are kept until all are there: 16 bytes each, which
/// `MEMORY_LIMIT` counts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfCounter {
    what: What,
    signature: Signature,
}

fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl AggregateUDFImpl for OfCounter {
    fn name(&self) -> &str {
        match self.what {
            What::Increase => "increase",
            What::Rate => "rate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let [value, time] = types else {
            return plan_err!(
                "{name} needs a value and its time, such as {name}(value, event_time)"
            );
        };
        if !value.is_numeric() && *value != DataType::Boolean && !value.is_null() {
            return plan_err!("{name} needs a number first, not {value}");
        }
        match time {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null => {}
            other => return plan_err!("{name} needs a time in the second place, not {other}"),
        }
        Ok(vec![DataType::Float64, micros()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!(
                "{} looks at every value: DISTINCT is not taken",
                self.name()
            );
        }
        Ok(Box::new(Values {
            what: self.what,
            kept: Vec::new(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |what: &str, r#type: DataType| {
            let item = Arc::new(Field::new_list_field(r#type, true));
            let name = format_state_name(args.name, what);
            Arc::new(Field::new(name, DataType::List(item), true))
        };
        Ok(vec![
            list("times", micros()),
            list("values", DataType::Float64),
        ])
    }
}

/// Times in microseconds and values, in no order.
#[derive(Debug)]
struct Values {
    what: What,
    kept: Vec<(i64, f64)>,
}

impl Values {
    fn add(&mut self, values: &Float64Array, times: &TimestampMicrosecondArray) {
        let rows = times.iter().zip(values).filter_map(|(time, value)| {
            let value = value.filter(|value| value.is_finite())?;
            Some((time?, value))
        });
        self.kept.extend(rows);
    }

    fn told(&mut self) -> Option<f64> {
        let increase: f64 = growths(&mut self.kept).map(|(_, growth)| growth).sum();
        let [(first, _), .., (last, _)] = self.kept[..] else {
            return None;
        };
        match self.what {
            What::Increase => Some(increase),
            What::Rate => (last > first).then(|| increase / ((last - first) as f64 / 1e6)),
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if let [values, times] = columns {
            self.add(values.as_primitive::<Float64Type>(), times.as_primitive());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.told()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.capacity() * size_of::<(i64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (times, values): (Vec<i64>, Vec<f64>) =
            std::mem::take(&mut self.kept).into_iter().unzip();
        let list = |items: ArrayRef| {
            let item = Arc::new(Field::new_list_field(items.data_type().clone(), true));
            let all = OffsetBuffer::from_lengths([items.len()]);
            ScalarValue::List(Arc::new(ListArray::new(item, all, items, None)))
        };
        Ok(vec![
            list(Arc::new(TimestampMicrosecondArray::from(times))),
            list(Arc::new(Float64Array::from(values))),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, values] = states else {
            return Ok(());
        };
        for (times, values) in times
            .as_list::<i32>()
            .iter()
            .zip(values.as_list::<i32>().iter())
        {
            if let (Some(times), Some(values)) = (times, values) {
                let times = times.as_primitive::<TimestampMicrosecondType>();
                self.add(values.as_primitive(), times);
            }
        }
        Ok(())
    }
}
