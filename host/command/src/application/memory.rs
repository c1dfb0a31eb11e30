//! Limits the memory of an application's instance.

use wasmtime::{ResourceLimiter, Result};

/// Limits the total of all memories and tables of an instance, because a component can have any number of them.
pub struct Memory {
    limit: usize,
    taken: usize,
    /// Whether the limit was reached.
    pub is_exhausted: bool,
}

/// The size of a table's element, in bytes.
const ELEMENT: usize = size_of::<usize>();

impl Memory {
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: 0, is_exhausted: false }
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let taken = self.taken.saturating_sub(current).saturating_add(desired);
        // Beyond its own maximum it does not grow, so this must not be counted.
        self.is_exhausted |= taken > self.limit;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_together_have_the_limit() {
        let mut memory = Memory::new(1000);
        assert!(memory.memory_growing(0, 400, None).unwrap());
        assert!(memory.memory_growing(0, 400, None).unwrap(), "a second one");
        assert!(!memory.memory_growing(0, 400, None).unwrap(), "a third one");
        assert!(memory.memory_growing(400, 500, None).unwrap());
        assert!(!memory.table_growing(0, 100 / ELEMENT + 1, None).unwrap());
        assert!(memory.table_growing(0, 100 / ELEMENT, None).unwrap());
        assert!(!memory.memory_growing(500, 500 + ELEMENT, None).unwrap());
        assert!(!memory.memory_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn growth_that_is_refused_takes_nothing() {
        let mut memory = Memory::new(1000);
        assert!(memory.memory_growing(0, 100, Some(200)).unwrap());
        for _ in 0..10 {
            assert!(!memory.memory_growing(100, 300, Some(200)).unwrap());
        }
        assert!(memory.memory_growing(0, 900, None).unwrap());
    }
}
