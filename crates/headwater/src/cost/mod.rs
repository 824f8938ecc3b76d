//! A month's bill: for the pipeline, for a plain one without packs, and for two services of AWS.
//!
//! Settings go in, four [`Bill`]s come out: requests, bytes and CPU time follow from the rate of events
//! by the rules in `plans` and `aggregator`, with the figures in `measured` and AWS's prices in `prices`. A bill for a
//! load past one aggregator is marked in each output.
//!
//! The price model is part of the program for two reasons: a reader of docs/cost.md can ask for another
//! load than its tables show, and the tables are this program's output, held to it by
//! `tests/cost_page.rs`, so that a change of a figure or a price cannot pass the page by.

mod aggregator;
mod bill;
#[cfg(test)]
mod counted_lake;
mod defaults;
mod measured;
mod plans;
mod prices;
mod report;
mod settings;
mod table;

pub use bill::Bill;
pub use plans::compare;
pub use report::report;
pub use settings::CostConfig;
pub use table::Table;
