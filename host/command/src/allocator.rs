//! The allocator: jemalloc, as a request takes some hundred pieces of memory and gives them back.

use std::ffi::{CStr, c_char};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free for a second goes back to the system, by a thread of jemalloc's own: a server that is idle after a burst would
/// keep all of the burst's memory otherwise. `MALLOC_CONF` in the environment overrides it.
const OPTIONS: &CStr = c"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";

/// Where jemalloc looks for its options, before `main`.
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
