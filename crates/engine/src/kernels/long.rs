//! Rows that hold one signal each, its name and its value: put in order by signal, so that they are worked on as rows
//! with a column of the signal are. Names are told apart by their case, for they are no columns.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use arrow::error::ArrowError;

use crate::kernels::rows::{Rows, Texts, numbered};
use crate::kernels::values::Values;

/// The rows of each signal that is asked for, in the order in which they are in `rows`, of which `names` and `values`
/// are columns; `wanted` holds for the places of the signals to look for.
///
/// # Errors
///
/// If a column has a type that it has in no part.
pub(super) fn by_signal(
    rows: &Rows,
    names: &ArrayRef,
    values: &ArrayRef,
    signals: &[String],
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<Rows>, ArrowError> {
    let (names, values) = (numbered(names)?, cast(values, &DataType::Float64)?);
    let names = names.as_dictionary::<Int32Type>();
    let values = values.as_primitive::<Float64Type>();
    // The rows of each name, one name behind the other: a count of each gives the place where its rows begin.
    let texts = names.values().as_string::<i32>();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, signal) in signals.iter().enumerate().filter(|(at, _)| wanted(*at)) {
        places.entry(signal).or_default().push(at);
    }
    let asked: Vec<&[usize]> = texts
        .iter()
        .map(|name| {
            let found = name.and_then(|name| places.get(name));
            found.map_or(&[][..], Vec::as_slice)
        })
        .collect();
    let key = |row: usize| {
        let key = names.key(row).filter(|_| values.is_valid(row));
        key.filter(|key| !asked[*key].is_empty())
    };
    let mut starts = vec![0; texts.len() + 1];
    (0..rows.length)
        .filter_map(key)
        .for_each(|key| starts[key + 1] += 1);
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut order = vec![0; starts[texts.len()]];
    let mut next = starts.clone();
    for row in 0..rows.length {
        if let Some(key) = key(row) {
            order[next[key]] = row;
            next[key] += 1;
        }
    }
    let texts_of = |texts: &Option<Texts>, order: &[usize]| {
        texts.as_ref().map(|texts| Texts {
            keys: order.iter().map(|row| texts.keys[*row]).collect(),
            names: texts.names.clone(),
        })
    };
    let mut all = Vec::new();
    for (key, places) in asked.iter().enumerate() {
        let order = &order[starts[key]..starts[key + 1]];
        if order.is_empty() {
            continue;
        }
        for place in *places {
            let numbers = order.iter().map(|row| values.value(*row));
            let numbers = Values::Number(Float64Array::from_iter_values(numbers));
            all.push(Rows {
                length: order.len(),
                counts_events: false,
                entities: texts_of(&rows.entities, order),
                labels: texts_of(&rows.labels, order),
                times: rows
                    .times
                    .as_ref()
                    .map(|times| order.iter().map(|row| times[*row]).collect()),
                signals: vec![(*place, vec![numbers])],
            });
        }
    }
    Ok(all)
}
