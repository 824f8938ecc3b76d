//! The panes that are held.

use std::collections::VecDeque;

use crate::settings::PANE;
use crate::stat::Stat;
use crate::store::pane::{LateChange, Pane};
use crate::store::quantile::quantile;

/// Panes, one after the other, from the oldest that is held to the latest that has a value.
#[derive(Debug)]
pub(crate) struct Panes {
    /// Number of the first pane: its start divided by [`PANE`].
    first: i64,
    panes: VecDeque<Pane>,
}

impl Panes {
    /// Holds no pane that ends at `start` or before.
    pub(crate) fn new(start: i64) -> Panes {
        Panes {
            first: start.div_euclid(PANE),
            panes: VecDeque::new(),
        }
    }

    /// Takes a finite value into its pane, which must not lie before the first one.
    pub(crate) fn add(&mut self, series: u32, at: i64, value: f64, for_quantiles: bool) {
        let place = (at.div_euclid(PANE) - self.first) as usize;
        if self.panes.len() <= place {
            self.panes.resize_with(place + 1, Pane::default);
        }
        let pane = &mut self.panes[place];
        pane.add(series, at.rem_euclid(PANE) as u16, value);
        if for_quantiles {
            pane.values.entry(series).or_default().add(value);
        }
    }

    /// Statistics of the values from `start` on, before `end`.
    pub(crate) fn stat(&self, series: u32, start: i64, end: i64) -> Option<Stat> {
        let panes = self.within(start, end);
        let stats = panes.filter_map(|(start, pane)| pane.stat(series, start));
        stats.reduce(|stat, later| stat.then(&later))
    }

    pub(crate) fn quantile(&self, series: u32, start: i64, end: i64, q: f64) -> Option<f64> {
        let panes = self.within(start, end);
        let values = panes.filter_map(|(_, pane)| pane.values.get(&series));
        quantile(values, q)
    }

    /// Every series with a value in the pane that begins at `start`, and the mean of its values.
    pub(crate) fn means(&self, start: i64) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.within(start, start + PANE)
            .flat_map(|(_, pane)| pane.means())
    }

    /// Notes that a taking of changes has told that the pane from `start` on was changed late.
    pub(crate) fn note_late(&mut self, series: u32, start: i64, change: LateChange) {
        let place = start.div_euclid(PANE) - self.first;
        if let Some(pane) = usize::try_from(place)
            .ok()
            .and_then(|place| self.panes.get_mut(place))
        {
            pane.late.entry(series).or_default().push(change);
        }
    }

    /// How many takings of changes told of a change in the window from `start` to `end` after it had been given.
    pub(crate) fn revision(&self, series: u32, start: i64, end: i64) -> u32 {
        let panes = self.within(start, end);
        let changes = panes
            .filter_map(|(_, pane)| pane.late.get(&series))
            .flatten();
        let mut takings: Vec<u64> = changes
            .filter(|change| change.given_to >= end)
            .map(|change| change.taking)
            .collect();
        takings.sort_unstable();
        takings.dedup();
        takings.len() as u32
    }

    /// Lets go of pages of which `held_from(page)`, the start of the first pane to be held, lies after the pane, and
    /// of panes that lie before `all_from`.
    pub(crate) fn expire(&mut self, all_from: i64, held_from: impl Fn(usize) -> i64, latest: i64) {
        while self.first * PANE < all_from && !self.panes.is_empty() {
            self.panes.pop_front();
            self.first += 1;
        }
        if self.panes.is_empty() {
            self.first = self.first.max(all_from.div_euclid(PANE));
        }
        let until = latest.div_euclid(PANE) - self.first;
        for (place, pane) in self.panes.iter_mut().enumerate() {
            if place as i64 > until {
                break;
            }
            let start = (self.first + place as i64) * PANE;
            pane.forget_pages(|page| held_from(page) > start);
        }
    }

    fn within(&self, start: i64, end: i64) -> impl Iterator<Item = (i64, &Pane)> {
        let first = (start.div_euclid(PANE) - self.first).max(0);
        let past =
            (end.div_euclid(PANE) - self.first).clamp(first, (self.panes.len() as i64).max(first));
        let within = self
            .panes
            .range((first as usize).min(self.panes.len())..(past as usize).min(self.panes.len()));
        let numbers = self.first + first..;
        numbers.map(|number| number * PANE).zip(within)
    }
}
