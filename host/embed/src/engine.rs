//! The [`wasmtime::Engine`] that applications and sessions run on.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{sessions::memory_bytes, settings::MAX_SESSION_BYTES};

/// Limits of one component instance, and the number of instances.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The number of components that can be instantiated at the same time. Each reserves address space, not memory.
    pub instances: u32,
    /// Whether to reserve the address space of all instances at once, which makes each instantiation cheap. A process
    /// that instantiates one component and exits starts faster without it.
    pub pool: bool,
    /// The maximum size of one linear memory, in bytes.
    pub memory_bytes: usize,
    /// Whether guests check the epoch, so that the host can stop one that loops ([`Engine::increment_epoch`]).
    pub epochs: bool,
    /// Whether to run components of WASI 0.3. Their asynchronous functions need it, and it doubles the cost of each call
    /// across the boundary. Needs the feature `concurrent`.
    pub concurrency: bool,
    /// The cache of compiled code.
    pub cache: Option<wasmtime::Cache>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            instances: 1000,
            pool: true,
            memory_bytes: 128 * 1024 * 1024,
            epochs: true,
            concurrency: false,
            cache: None,
        }
    }
}

impl EngineOptions {
    /// For instances of the session component alone: without epochs, as the component always terminates, and with
    /// memory for the largest session.
    pub fn for_sessions(instances: u32) -> Self {
        Self { instances, memory_bytes: memory_bytes(MAX_SESSION_BYTES), epochs: false, ..Self::default() }
    }
}

/// Core instances of a composed component on average: its own modules, the session component's, and their adapters.
/// A component with more of them (Python's has a dozen) leaves room for fewer instances.
const CORE_INSTANCES: u32 = 8;
/// Linear memories of a composed component: the application's and the session component's.
const MEMORIES: u32 = 2;
/// Tables of a composed component.
const TABLES: u32 = 6;
/// The maximum number of elements of one table. Interpreters have about ten thousand functions.
const TABLE_ELEMENTS: usize = 100_000;
/// The maximum size of an instance's metadata, sized for interpreters.
const INSTANCE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a memory or table that stay mapped and are zeroed for the next instance: cheaper than returning the pages
/// and faulting them in again.
const KEEP_RESIDENT: usize = 256 * 1024;
/// The same for stacks.
const STACK_KEEP_RESIDENT: usize = 16 * 1024;

/// An async engine with a pool of instances, on which a fresh instance for each request is cheap.
///
/// # Errors
///
/// Fails when the system cannot reserve the address space that the options ask for, and for
/// [`concurrency`](EngineOptions::concurrency) without the feature.
pub fn engine(options: &EngineOptions) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .allocation_strategy(if options.pool { pool(options) } else { InstanceAllocationStrategy::OnDemand })
        .epoch_interruption(options.epochs)
        .concurrency_support(options.concurrency)
        .memory_init_cow(true)
        .cache(options.cache.clone());
    Engine::new(&config)
}

/// A component without concurrency runs one call at a time. One with it has a stack for each call that waits in the
/// middle of a function, and one for all others together.
fn stacks(options: &EngineOptions) -> u32 {
    if options.concurrency { options.instances.saturating_mul(2) } else { options.instances }
}

fn pool(options: &EngineOptions) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(options.instances)
        .total_core_instances(options.instances.saturating_mul(CORE_INSTANCES))
        .total_memories(options.instances.saturating_mul(MEMORIES))
        .total_tables(options.instances.saturating_mul(TABLES))
        .total_stacks(stacks(options))
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
