//! The session component of `lemon:session`: its imports as the [`Env`] of the rules, its exports as handles on their
//! [`Session`](lemon_session_rules::Session). The crate is empty unless it is compiled to WebAssembly.

#![cfg(target_family = "wasm")]
#![no_std]

extern crate alloc;

use alloc::{rc::Rc, string::String, vec::Vec};
use core::time::Duration;

mod bindings;

use lemon_session_rules::{
    Env, Error, Session, Settings, Value, World,
    manager::{self as rules, Page},
    options::Options,
    settings::{Caller, Notice},
    start,
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
    types::Header,
};

use bindings::{manager, sessions, settings, storage, wasi::clocks::wall_clock};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// The component's imports.
struct Imports;

impl Env for Imports {
    fn clock(&self) -> Duration {
        let now = wall_clock::now();
        Duration::from_secs(now.seconds).saturating_add(Duration::from_nanos(now.nanoseconds.into()))
    }

    fn random(&self, bytes: &mut [u8]) {
        use rand::TryRng;
        // wasi:random/random cannot fail; if it ever did, no id may be made.
        if rand::rngs::SysRng.try_fill_bytes(bytes).is_err() {
            core::arch::wasm32::unreachable();
        }
    }

    fn defaults(&self) -> Settings {
        settings::get_defaults()
    }

    fn caller(&self) -> Caller {
        settings::get_caller()
    }

    fn notify(&self, notice: &Notice) {
        settings::notify(notice);
    }

    fn load(&self, at: &Location, key: &[u8], app: &str, now: u64, inline: u32) -> Result<LoadOutcome, Failure> {
        storage::load(at, key, app, now, inline)
    }

    fn fetch(&self, at: &Location, key: &[u8], app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>, Failure> {
        storage::fetch(at, key, app, name, now)
    }

    fn create(
        &self,
        at: &Location,
        key: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        storage::create(at, key, record, writes)
    }

    fn update(
        &self,
        at: &Location,
        key: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        storage::update(at, key, change, expected, now)
    }

    fn destroy(
        &self,
        at: &Location,
        key: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        storage::destroy(at, key, only, now, remember)
    }

    fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        storage::destroy_owned(at, owner, except, now, remember)
    }

    fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        storage::cleanup(at, now, limit)
    }

    fn cleanup_later(&self, at: &Location, now: u64) {
        storage::cleanup_later(at, now);
    }

    fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        storage::count(at, now)
    }

    fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        storage::list(at, now, owner, after, limit)
    }

    fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::create_tables(at)
    }

    fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::drop_tables(at)
    }

    fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        storage::tables_exist(at)
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

// SAFETY: wasm32-wasip2 components have one thread, and no component is entered again before it returned.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance(core::cell::OnceCell::new());

fn world() -> &'static Rc<World<Imports>> {
    INSTANCE.0.get_or_init(|| Rc::new(World::new(Imports)))
}

struct Component;

bindings::export!(Component with_types_in bindings);

impl sessions::Guest for Component {
    type Session = Session<Imports>;

    fn start(options: Options) -> Result<sessions::Session, Error> {
        start(world(), options).map(sessions::Session::new)
    }
}

/// Applications hold the handles of the rules. A method of the same name is the handle's own, not the trait's.
impl sessions::GuestSession for Session<Imports> {
    fn id(&self) -> String {
        self.id()
    }

    fn digest(&self) -> String {
        self.digest()
    }

    fn app(&self) -> String {
        self.app()
    }

    fn created(&self) -> bool {
        self.created()
    }

    fn get(&self, key: String) -> Result<Option<Value>, Error> {
        self.get(&key)
    }

    fn set(&self, key: String, value: Value) -> Result<(), Error> {
        self.set(&key, &value)
    }

    fn add(&self, key: String, delta: i64) -> Result<i64, Error> {
        self.add(&key, delta)
    }

    fn delete(&self, key: String) -> Result<bool, Error> {
        self.delete(&key)
    }

    fn has_key(&self, key: String) -> Result<bool, Error> {
        self.has_key(&key)
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        self.keys()
    }

    fn entries(&self) -> Result<Vec<(String, Value)>, Error> {
        self.entries()
    }

    fn take(&self, key: String) -> Result<Option<Value>, Error> {
        self.take(&key)
    }

    fn clear(&self) -> Result<(), Error> {
        self.clear()
    }

    fn application(&self, name: String) -> Result<sessions::Session, Error> {
        self.application_named(&name).map(sessions::Session::new)
    }

    fn reserve(&self, name: String, key: Option<String>) -> Result<sessions::Session, Error> {
        self.reserve(&name, key.as_deref()).map(sessions::Session::new)
    }

    fn release(&self, name: String) -> Result<(), Error> {
        self.release(&name)
    }

    fn regenerate_id(&self) -> Result<(), Error> {
        self.regenerate_id()
    }

    fn set_owner(&self, owner: Option<String>) -> Result<(), Error> {
        self.set_owner(owner)
    }

    fn owner(&self) -> Result<Option<String>, Error> {
        self.owner()
    }

    fn destroy_others(&self) -> Result<u64, Error> {
        self.destroy_others()
    }

    fn expires_at(&self) -> u64 {
        self.expires_at()
    }

    fn save(&self) -> Result<Vec<Header>, Error> {
        self.save()
    }

    fn destroy(&self) -> Result<Vec<Header>, Error> {
        self.destroy()
    }
}

impl manager::Guest for Component {
    fn create_tables(location: Location) -> Result<(), Vec<Error>> {
        rules::create_tables(world(), &location)
    }

    fn drop_tables(location: Location) -> Result<(), Vec<Error>> {
        rules::drop_tables(world(), &location)
    }

    fn tables_exist(location: Location) -> Result<bool, Error> {
        rules::tables_exist(world(), &location)
    }

    fn cleanup(location: Location, limit: u32) -> Result<u32, Error> {
        rules::cleanup(world(), &location, limit)
    }

    fn count(location: Location) -> Result<u64, Error> {
        rules::count(world(), &location)
    }

    fn list(location: Location, owner: Option<String>, after: Option<String>, limit: u32) -> Result<Page, Error> {
        rules::list(world(), &location, owner.as_deref(), after.as_deref(), limit)
    }

    fn destroy(location: Location, digest: String, owner: Option<String>) -> Result<bool, Error> {
        rules::destroy(world(), &location, &digest, owner.as_deref())
    }

    fn destroy_owned(location: Location, owner: String, except: Option<String>) -> Result<u64, Error> {
        rules::destroy_owned(world(), &location, &owner, except.as_deref())
    }
}
