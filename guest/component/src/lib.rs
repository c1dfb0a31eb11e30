//! The session component of `lemon:session`: its imports as the [`Env`](lemon_session_rules::Env) of the rules, its exports as
//! handles on their [`Session`](lemon_session_rules::Session). With the feature `async` it is the component of WASI 0.3, whose
//! exports and store are asynchronous. The crate is empty unless it is compiled to WebAssembly.

#![cfg(target_family = "wasm")]
#![no_std]

extern crate alloc;

use alloc::rc::Rc;
use core::time::Duration;

use lemon_session_rules::World;

#[macro_use]
mod bindings;
#[cfg(not(feature = "async"))]
mod at_once;
#[cfg(feature = "async")]
mod awaited;

#[cfg(not(feature = "async"))]
use at_once::Imports;
#[cfg(feature = "async")]
use awaited::Imports;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// The time of wasi:clocks.
fn clock(seconds: u64, nanoseconds: u32) -> Duration {
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds.into()))
}

fn random(bytes: &mut [u8]) {
    use rand::TryRng;
    // wasi:random/random cannot fail; if it ever did, no id may be made.
    if rand::rngs::SysRng.try_fill_bytes(bytes).is_err() {
        core::arch::wasm32::unreachable();
    }
}

/// Allocates memory for what the host passes in. std defines this function; without std the component has to.
///
/// # Safety
///
/// Only the canonical ABI may call this, with memory that it got here.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    use alloc::alloc::{Layout, alloc, realloc};
    if old_size == 0 && size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the canonical ABI passes alignments that are powers of two, and sizes of what it allocated here.
    let new = unsafe {
        match old_size {
            0 => alloc(Layout::from_size_align_unchecked(size, align)),
            _ => realloc(old, Layout::from_size_align_unchecked(old_size, align), size),
        }
    };
    if new.is_null() {
        core::arch::wasm32::unreachable();
    }
    new
}

/// The one instance. A component has one thread.
struct Instance(core::cell::OnceCell<Rc<World<Imports>>>);

// SAFETY: wasm32-wasip2 components have one thread, and nothing holds a borrow while it waits.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance(core::cell::OnceCell::new());

fn world() -> &'static Rc<World<Imports>> {
    INSTANCE.0.get_or_init(|| Rc::new(World::new(Imports)))
}
