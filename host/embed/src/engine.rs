//! The [`wasmtime::Engine`] that applications and sessions run on.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{sessions::memory_bytes, settings::MAX_SESSION_BYTES};

/// How much one instance of a component may have, and how many there may be.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How many components may be instantiated at the same time. Each reserves address space, not memory.
    pub instances: u32,
    /// Whether the room for all instances is reserved at once, which makes a fresh one cheap. A process that instantiates one
    /// component and ends is quicker without.
    pub pool: bool,
    /// The most bytes of one linear memory.
    pub memory_bytes: usize,
    /// Whether the code of guests counts epochs, so that one that loops can be stopped ([`Engine::increment_epoch`]).
    pub epochs: bool,
    /// Where compiled code is kept for the next run.
    pub cache: Option<wasmtime::Cache>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { instances: 1000, pool: true, memory_bytes: 128 * 1024 * 1024, epochs: true, cache: None }
    }
}

impl EngineOptions {
    /// For instances of the session component alone: it comes to its end by itself, and has room for the largest session.
    pub fn for_sessions(instances: u32) -> Self {
        Self { instances, memory_bytes: memory_bytes(MAX_SESSION_BYTES), epochs: false, ..Self::default() }
    }
}

/// Core instances that a composed component has on average: its own modules, the session component's, and their adapters.
/// One that has more (Python's has a dozen) takes the place of others.
const CORE_INSTANCES: u32 = 8;
/// Linear memories of a composed component: the application's and the session component's.
const MEMORIES: u32 = 2;
/// Tables of a composed component.
const TABLES: u32 = 6;
/// The most elements of one table. Interpreters have some ten thousand functions.
const TABLE_ELEMENTS: usize = 100_000;
/// The size of an instance's metadata: interpreters have large ones.
const INSTANCE_BYTES: usize = 4 * 1024 * 1024;
/// How much of a memory or table stays mapped for the next instance and is set to zero instead: cheaper than to give pages
/// back and to fault them in again.
const KEEP_RESIDENT: usize = 256 * 1024;
/// The same for stacks.
const STACK_KEEP_RESIDENT: usize = 16 * 1024;

/// An engine for sessions: async, with a pool of instances, as a fresh one per request demands.
///
/// # Errors
///
/// Fails when the system does not have the address space that the options ask for.
pub fn engine(options: &EngineOptions) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .allocation_strategy(if options.pool { pool(options) } else { InstanceAllocationStrategy::OnDemand })
        .epoch_interruption(options.epochs)
        // For the asynchronous functions of WASI 0.3, which make each call into a component, and out of it, twice as dear.
        .concurrency_support(false)
        .memory_init_cow(true)
        .cache(options.cache.clone());
    Engine::new(&config)
}

fn pool(options: &EngineOptions) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(options.instances)
        .total_core_instances(options.instances.saturating_mul(CORE_INSTANCES))
        .total_memories(options.instances.saturating_mul(MEMORIES))
        .total_tables(options.instances.saturating_mul(TABLES))
        .total_stacks(options.instances)
        .max_memory_size(options.memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}
