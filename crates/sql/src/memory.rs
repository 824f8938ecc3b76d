//! The memory of all statements together, which kept columns give way to.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation,
};
use engine::Engine;

/// What operators take, first come, first served. What they leave of the limit may be used for columns that are kept.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    taken: GreedyMemoryPool,
    limit: usize,
    engine: Arc<Engine>,
}

impl SharedMemory {
    /// `limit` in bytes.
    pub(crate) fn new(limit: usize, engine: Arc<Engine>) -> SharedMemory {
        engine.scanner.leave_to_cache(limit);
        let taken = GreedyMemoryPool::new(limit);
        SharedMemory {
            taken,
            limit,
            engine,
        }
    }

    /// Two threads may do this in the wrong order: the next time mends it, and operators ask with each batch.
    fn leave_the_rest(&self) {
        let rest = self.limit.saturating_sub(self.taken.reserved());
        self.engine.scanner.leave_to_cache(rest);
    }
}

impl fmt::Display for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.taken.fmt(f)
    }
}

impl MemoryPool for SharedMemory {
    fn name(&self) -> &str {
        self.taken.name()
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.taken.grow(reservation, additional);
        self.leave_the_rest();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.taken.shrink(reservation, shrink);
        self.leave_the_rest();
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.taken.try_grow(reservation, additional)?;
        self.leave_the_rest();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.taken.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.taken.memory_limit()
    }
}
