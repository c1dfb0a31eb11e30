//! Limits the memory of an instance.

use wasmtime::{ResourceLimiter, Result};

/// Limits the total of all memories and tables of an instance, because a component can have any number of them.
pub struct Memory {
    limit: usize,
    taken: usize,
}

/// The size of a table's element, in bytes.
const ELEMENT: usize = size_of::<usize>();

impl Memory {
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let taken = self.taken.saturating_sub(current).saturating_add(desired);
        // Beyond its own maximum it does not grow, so this must not be counted.
        let is_allowed = taken <= self.limit && maximum.is_none_or(|maximum| desired <= maximum);
        if is_allowed {
            self.taken = taken;
        }
        is_allowed
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(self.grow(current, desired, maximum))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(ELEMENT);
        Ok(self.grow(bytes(current), bytes(desired), maximum.map(bytes)))
    }
}
