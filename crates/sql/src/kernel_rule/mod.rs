//! Puts the kernels of `engine` into plans: an aggregation over the events of a kind comes in, and if the kernels give
//! the same answer, a scan of the finished groups goes out.
//!
//! The rule works on logical plans, after all other rules. It looks at an `Aggregate` over a table of a kind, with
//! filters and projections of columns in between. Groups may be told apart by entity and by a time bucket that begins
//! at multiples of its length since 1970. The bucket's expression stays in the plan and is computed of the bucket's
//! start, so types and values are those that DataFusion gives it. What the rule does not know stays as it was.

mod buckets;
mod events;
mod exec;
mod measures;
mod rule;
mod table;

pub(crate) use buckets::step_of;
pub use events::KindEvents;
pub use rule::KernelRule;
