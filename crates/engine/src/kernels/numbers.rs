//! Texts as small numbers.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, StringArray};
use foldhash::fast::RandomState;

use crate::kernels::rows::Texts;

/// Numbers of texts, in the order in which these came.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32, RandomState>,
    /// The list of texts that the last rows had, and the number of each, where known.
    listed: (Option<StringArray>, Vec<Option<u32>>),
}

impl Numbers {
    /// The text of a number; none of a number that was not given.
    pub(super) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)
    }

    /// The number of a text, which is a new one if need be.
    pub(super) fn of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (number, name) = (self.names.len() as u32, Arc::<str>::from(name));
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of the text that a key of these rows stands for.
    pub(super) fn of_key(&mut self, texts: &Texts, key: i32) -> u32 {
        let is_known = |names: &StringArray| texts.is_same_list(names);
        if !self.listed.0.as_ref().is_some_and(is_known) {
            let names = texts.names.clone();
            self.listed = (Some(names), vec![None; texts.names.len()]);
        }
        if let Some(Some(number)) = self.listed.1.get(key as usize) {
            return *number;
        }
        let number = self.of(texts.name(key));
        if let Some(listed) = self.listed.1.get_mut(key as usize) {
            *listed = Some(number);
        }
        number
    }
}
