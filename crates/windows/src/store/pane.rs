//! Ten seconds of all series.

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use crate::stat::{Stat, growth, merged_squares};
use crate::store::quantile::Values;

/// Series of a page. Pages of which no series has a value are not there.
pub(super) const PAGE: usize = 256;

/// A cell without a value. Values are finite, so no value has these bits.
const EMPTY: u64 = 0x7ff8_0000_0000_0000;
/// Bits of a cell with several values; the lower 32 bits are the place of their statistics.
const MANY: u64 = 0x7ffc_0000_0000_0000;

/// What one change of a pane that was late belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LateChange {
    /// Number of the taking of changes that told it.
    pub(crate) taking: u64,
    /// The last window end that had been given.
    pub(crate) given_to: i64,
}

/// The values of all series whose times lie in one pane: 10 bytes for each series of a page as long as it has one
/// value, which is usual, and 56 bytes more if it has several.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pages: Vec<Option<Box<Page>>>,
    pub(super) values: HashMap<u32, Values, RandomState>,
    pub(super) late: HashMap<u32, Vec<LateChange>, RandomState>,
}

#[derive(Debug)]
struct Page {
    /// A value, `EMPTY`, or `MANY` with a place.
    cells: [u64; PAGE],
    /// Time of a cell's value, in milliseconds from the start of the pane.
    offsets: [u16; PAGE],
    many: Vec<Many>,
}

/// Several values of a series.
#[derive(Debug, Clone, Copy)]
struct Many {
    count: u32,
    first_offset: u16,
    last_offset: u16,
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    sum: f64,
    squares: f64,
}

impl Many {
    fn of(offset: u16, value: f64) -> Many {
        Many {
            count: 1,
            first_offset: offset,
            last_offset: offset,
            first: value,
            last: value,
            min: value,
            max: value,
            sum: value,
            squares: 0.0,
        }
    }

    fn add(&mut self, offset: u16, value: f64) {
        let so_far = (u64::from(self.count), self.sum, self.squares);
        self.squares = merged_squares(so_far, (1, value, 0.0));
        self.count = self.count.saturating_add(1);
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // Equal times are ordered by value, so that the order of coming does not matter.
        if (offset, value) < (self.first_offset, self.first) {
            (self.first_offset, self.first) = (offset, value);
        }
        if (offset, value) > (self.last_offset, self.last) {
            (self.last_offset, self.last) = (offset, value);
        }
    }

    fn stat(&self, start: i64) -> Stat {
        let (first_at, last_at) = (i64::from(self.first_offset), i64::from(self.last_offset));
        Stat {
            count: u64::from(self.count),
            sum: self.sum,
            squares: self.squares,
            min: self.min,
            max: self.max,
            first: self.first,
            first_at: start + first_at,
            last: self.last,
            last_at: start + last_at,
            changes: u64::from(self.first != self.last),
            increase: growth(self.first, self.last),
        }
    }
}

impl Pane {
    /// Takes a value in, which must be finite.
    pub(super) fn add(&mut self, series: u32, offset: u16, value: f64) {
        let (page, cell) = (series as usize / PAGE, series as usize % PAGE);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
            Box::new(Page {
                cells: [EMPTY; PAGE],
                offsets: [0; PAGE],
                many: Vec::new(),
            })
        });
        let bits = page.cells[cell];
        if bits == EMPTY {
            page.cells[cell] = value.to_bits();
            page.offsets[cell] = offset;
        } else if let Some(place) = place_of(bits) {
            page.many[place].add(offset, value);
        } else {
            let mut many = Many::of(page.offsets[cell], f64::from_bits(bits));
            many.add(offset, value);
            page.cells[cell] = MANY | page.many.len() as u64;
            page.many.push(many);
        }
    }

    /// Statistics of a series in this pane, which begins at `start`.
    pub(super) fn stat(&self, series: u32, start: i64) -> Option<Stat> {
        let page = self.pages.get(series as usize / PAGE)?.as_deref()?;
        let cell = series as usize % PAGE;
        let bits = page.cells[cell];
        if bits == EMPTY {
            None
        } else if let Some(place) = place_of(bits) {
            Some(page.many[place].stat(start))
        } else {
            Some(Stat::of(
                start + i64::from(page.offsets[cell]),
                f64::from_bits(bits),
            ))
        }
    }

    /// Every series that has a value in this pane, in ascending order, with the mean of its values.
    pub(super) fn means(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(number, page)| Some((number, page.as_deref()?)));
        pages.flat_map(|(number, page)| {
            let cells = page.cells.iter().enumerate();
            let full = cells.filter(|(_, bits)| **bits != EMPTY);
            full.map(move |(cell, bits)| ((number * PAGE + cell) as u32, page.mean(*bits)))
        })
    }

    /// Lets go of the pages of which `is_over` is true.
    pub(super) fn forget_pages(&mut self, is_over: impl Fn(usize) -> bool) {
        for (number, page) in self.pages.iter_mut().enumerate() {
            if page.is_some() && is_over(number) {
                *page = None;
            }
        }
        self.values
            .retain(|series, _| !is_over(*series as usize / PAGE));
        self.late
            .retain(|series, _| !is_over(*series as usize / PAGE));
    }
}

impl Page {
    fn mean(&self, bits: u64) -> f64 {
        match place_of(bits) {
            Some(place) => self.many[place].sum / f64::from(self.many[place].count),
            None => f64::from_bits(bits),
        }
    }
}

fn place_of(bits: u64) -> Option<usize> {
    (bits & MANY == MANY).then_some((bits & 0xffff_ffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_finite_value_is_taken_for_a_mark() {
        for value in [
            0.0,
            -0.0,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            -1.5,
        ] {
            assert_eq!(place_of(value.to_bits()), None);
            assert_ne!(value.to_bits(), EMPTY);
        }
        assert_eq!(place_of(EMPTY), None);
        assert_eq!(place_of(MANY | 7), Some(7));
    }
}
