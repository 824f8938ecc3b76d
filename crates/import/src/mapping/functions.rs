//! The functions that the SQL has beside DataFusion's own: what they cannot read is NULL, and counted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DurationNanosecondArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility, create_udf,
};
use datafusion::prelude::SessionContext;

use super::{instant, number};
use crate::report::Tally;

/// Makes a column of the texts in the first argument; the further ones are the same for all rows. Calls `unreadable`
/// with each text that cannot be read.
pub(super) type Read =
    fn(&StringArray, further: &[String], unreadable: &mut dyn FnMut(&str)) -> Result<ArrayRef>;

/// Makes the functions known, counting in `tally`.
pub(super) fn register(context: &SessionContext, tally: &Tally) {
    let function = |name, returns, read| Function {
        name,
        returns,
        read,
        tally: tally.clone(),
        signature: signature(),
    };
    context.register_udf(seconds());
    context.register_udf(ScalarUDF::from(function(
        "number",
        DataType::Float64,
        number::read as Read,
    )));
    context.register_udf(ScalarUDF::from(function(
        "instant",
        instant::column_type(),
        instant::read as Read,
    )));
}

/// `seconds(number)`: that long a time, to be added to an instant; DataFusion multiplies no intervals.
fn seconds() -> ScalarUDF {
    let long = DataType::Duration(TimeUnit::Nanosecond);
    let read = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let numbers = ColumnarValue::values_to_arrays(arguments)?;
        let numbers = numbers[0].as_primitive::<Float64Type>();
        // A time past what 64 bits hold in nanoseconds, 292 years, is none.
        let nanoseconds = |seconds: f64| {
            let whole = (seconds * 1e9).round();
            (whole.abs() < i64::MAX as f64).then_some(whole as i64)
        };
        let times: DurationNanosecondArray = numbers
            .iter()
            .map(|number| number.and_then(nanoseconds))
            .collect();
        Ok(ColumnarValue::Array(shared(times)))
    };
    create_udf(
        "seconds",
        vec![DataType::Float64],
        long,
        Volatility::Immutable,
        Arc::new(read),
    )
}

/// One text, and up to two texts more.
fn signature() -> Signature {
    let counts = [1, 2, 3].map(TypeSignature::String);
    Signature::new(TypeSignature::OneOf(counts.to_vec()), Volatility::Immutable)
}

struct Function {
    name: &'static str,
    returns: DataType,
    read: Read,
    tally: Tally,
    signature: Signature,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (texts, further) = arguments
            .args
            .split_first()
            .expect("the signature asks for one argument");
        let is_scalar = matches!(texts, ColumnarValue::Scalar(_));
        let texts = texts.to_array(if is_scalar { 1 } else { arguments.number_rows })?;
        let texts = cast(&texts, &DataType::Utf8)?;
        let further = further
            .iter()
            .map(|argument| constant(argument, self.name))
            .collect::<Result<Vec<_>>>()?;
        let mut faults: Vec<String> = Vec::new();
        let mut count = 0u64;
        let read = (self.read)(texts.as_string(), &further, &mut |text| {
            count += 1;
            if faults.is_empty() {
                faults.push(text.to_owned());
            }
        })?;
        if let Some(first) = faults.first() {
            let mut counts = self.tally.lock();
            // The function is not told which rows it reads.
            let row = counts.read;
            counts.unreadable.add_many(self.name, count, row, first);
        }
        Ok(if is_scalar {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&read, 0)?)
        } else {
            ColumnarValue::Array(read)
        })
    }
}

/// A format, a sign or a zone: the same for all rows.
fn constant(argument: &ColumnarValue, function: &str) -> Result<String> {
    let text = match argument {
        ColumnarValue::Scalar(value) => value.try_as_str().flatten().map(str::to_owned),
        ColumnarValue::Array(_) => None,
    };
    text.ok_or_else(|| {
        datafusion::error::DataFusionError::Plan(format!(
            "`{function}` takes a column and then texts in quotes, the same for all rows"
        ))
    })
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// As an array of DataFusion.
pub(super) fn shared(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
