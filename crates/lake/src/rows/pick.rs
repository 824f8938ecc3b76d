//! Values of a column out of several blocks, in the order of the rows.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder, UInt32Array, new_null_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::rows::block::Block;
use crate::rows::more::More;
use crate::rows::values::value_at;

/// Picks the values of a column, in the order of the rows, out of all blocks.
pub(crate) struct Pick<'b> {
    pub(crate) blocks: &'b [Block],
    /// Block and row.
    pub(crate) order: &'b [(usize, usize)],
}

impl<'b> Pick<'b> {
    pub(crate) fn column(
        &self,
        of: impl Fn(&'b Block) -> Option<&'b ArrayRef>,
        r#type: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        self.column_of(|at| of(&self.blocks[at]), r#type)
    }

    /// `of` gives the column of a block; a block without it has nulls.
    pub(crate) fn column_of(
        &self,
        of: impl Fn(usize) -> Option<&'b ArrayRef>,
        r#type: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        if let ([_], Some(column)) = (self.blocks, of(0)) {
            let rows = self.order.iter().map(|(_, row)| *row as u32);
            return take(column, &UInt32Array::from_iter_values(rows), None);
        }
        if (0..self.blocks.len()).all(|at| of(at).is_none()) {
            return Ok(new_null_array(r#type, self.order.len()));
        }
        let nulls: Vec<Option<ArrayRef>> = self
            .blocks
            .iter()
            .enumerate()
            .map(|(at, block)| {
                of(at)
                    .is_none()
                    .then(|| new_null_array(r#type, block.rows()))
            })
            .collect();
        let columns = nulls.iter().enumerate();
        let columns = columns.filter_map(|(at, nulls)| nulls.as_ref().or_else(|| of(at)));
        let columns: Vec<&dyn Array> = columns.map(|column| column.as_ref()).collect();
        interleave(&columns, self.order)
    }

    /// Adds the values of a signal without a column to those of its rows; a row is its place in the order.
    pub(crate) fn add_more(
        &self,
        by_block: &HashMap<usize, &ArrayRef>,
        name: &str,
        more: &mut HashMap<usize, More>,
    ) {
        for (at, (block, row)) in self.order.iter().enumerate() {
            let column = by_block.get(block);
            if let Some(value) = column.and_then(|column| value_at(column, *row)) {
                more.entry(at).or_default().add(name, &value);
            }
        }
    }

    /// The column [`MORE`], if any row has a value there, and how many values there are.
    pub(crate) fn more(&self, mut more: HashMap<usize, More>) -> (Option<StringArray>, u64) {
        for (at, (block, row)) in self.order.iter().enumerate() {
            if let Some(text) = self.blocks[*block].more(*row) {
                let here = more.entry(at).or_default();
                for (name, value) in More::of_text(text).into_values() {
                    here.add(&name, &value);
                }
            }
        }
        if more.is_empty() {
            return (None, 0);
        }
        let mut texts = StringBuilder::new();
        for at in 0..self.order.len() {
            texts.append_option(more.get(&at).map(More::to_text));
        }
        let values = more.into_values().map(|more| more.into_values().count());
        (Some(texts.finish()), values.sum::<usize>() as u64)
    }
}
