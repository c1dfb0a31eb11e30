//! The allocator: jemalloc, because each request allocates and frees several hundred blocks.

use std::ffi::{CStr, c_char};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A thread of jemalloc returns memory to the system that has been free for a second. Without it, a server that is idle
/// after a burst keeps all of the burst's memory. The environment variable `MALLOC_CONF` overrides these options.
const OPTIONS: &CStr = c"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";

/// jemalloc reads its options from this symbol, before `main`.
// SAFETY: jemalloc documents this symbol: a pointer to a string, which is a reference to its first byte.
#[cfg_attr(
    any(target_os = "android", target_os = "dragonfly", target_vendor = "apple"),
    unsafe(export_name = "_rjem_malloc_conf")
)]
#[cfg_attr(
    not(any(target_os = "android", target_os = "dragonfly", target_vendor = "apple")),
    unsafe(export_name = "malloc_conf")
)]
static MALLOC_CONF: &c_char = unsafe { &*OPTIONS.as_ptr() };
