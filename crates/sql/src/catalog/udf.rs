//! Functions of one row or one constant, in a few lines each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

pub(super) type Run = Arc<dyn Fn(&ScalarFunctionArgs) -> Result<ColumnarValue> + Send + Sync>;

/// A function by a closure; two are the same when their names are.
pub(super) struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    run: Run,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.run, &other.run)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.run)(&arguments)
    }
}

pub(super) fn function(
    name: &'static str,
    volatility: Volatility,
    returns: DataType,
    run: Run,
) -> ScalarUDF {
    let any = TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
    ScalarUDF::from(Function {
        name,
        signature: Signature::new(any, volatility),
        returns,
        run,
    })
}

/// The same value whatever the arguments are.
pub(super) fn constant(name: &'static str, value: ScalarValue) -> ScalarUDF {
    let returns = value.data_type();
    function(
        name,
        Volatility::Stable,
        returns,
        Arc::new(move |_| Ok(ColumnarValue::Scalar(value.clone()))),
    )
}

pub(super) fn text_constant(name: &'static str, value: &str) -> ScalarUDF {
    constant(name, ScalarValue::Utf8(Some(value.to_owned())))
}

/// Text from the arguments as text, row by row.
pub(super) fn of_texts(
    name: &'static str,
    run: impl Fn(&[Option<&str>]) -> Result<Option<String>> + Send + Sync + 'static,
) -> ScalarUDF {
    let run = move |arguments: &ScalarFunctionArgs| {
        let texts = texts(arguments)?;
        let texts: Vec<&StringArray> = texts.iter().map(|array| array.as_string::<i32>()).collect();
        let mut row = vec![None; texts.len()];
        let rows: StringArray = (0..rows_of(arguments))
            .map(|index| {
                for (cell, array) in row.iter_mut().zip(&texts) {
                    *cell = array.is_valid(index).then(|| array.value(index));
                }
                run(&row)
            })
            .collect::<Result<_>>()?;
        Ok(back(arguments, Arc::new(rows)))
    };
    function(name, Volatility::Stable, DataType::Utf8, Arc::new(run))
}

pub(super) fn rows_of(arguments: &ScalarFunctionArgs) -> usize {
    if all_scalars(arguments) {
        1
    } else {
        arguments.number_rows
    }
}

pub(super) fn all_scalars(arguments: &ScalarFunctionArgs) -> bool {
    arguments
        .args
        .iter()
        .all(|argument| matches!(argument, ColumnarValue::Scalar(_)))
}

pub(super) fn texts(arguments: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    let rows = rows_of(arguments);
    let text = |argument: &ColumnarValue| Ok(cast(&argument.to_array(rows)?, &DataType::Utf8)?);
    arguments.args.iter().map(text).collect()
}

/// One value where all arguments were one value, else the column.
pub(super) fn back(arguments: &ScalarFunctionArgs, array: ArrayRef) -> ColumnarValue {
    if all_scalars(arguments)
        && let Ok(scalar) = ScalarValue::try_from_array(&array, 0)
    {
        return ColumnarValue::Scalar(scalar);
    }
    ColumnarValue::Array(array)
}
