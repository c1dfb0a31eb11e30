//! Sessions for WebAssembly applications: a wasmtime host for `lemon:session`.
//!
//! An application imports `lemon:session/sessions`. The session component, which is part of this crate, implements that
//! interface and imports `lemon:session/storage`, which this crate implements with any driver of [`store`].
//!
//! # In a wasmtime runtime
//!
//! The shape is that of `wasmtime-wasi`: a context ([`SessionCtx`]) made from a store, a trait ([`SessionView`]) that
//! finds it in the data of a [`wasmtime::Store`], and [`add_to_linker`]. [`compose`](compose::compose) joins an
//! application with the session component, so that the two are instantiated as one.
//!
//! ```no_run
//! use lemon_session_host::{
//!     SessionCtx, SessionCtxView, SessionView,
//!     compose::compose,
//!     store::{Registry, StorageOptions},
//! };
//! use wasmtime::{
//!     Engine, Store,
//!     component::{Component, Linker, ResourceTable},
//! };
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2::bindings::CommandPre};
//!
//! /// The data of one request.
//! struct Request {
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//!     session: SessionCtx,
//! }
//!
//! impl WasiView for Request {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl SessionView for Request {
//!     fn session(&mut self) -> SessionCtxView<'_> {
//!         SessionCtxView { ctx: &mut self.session }
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     // Once: open the store,
//!     let mut drivers = Registry::new();
//!     drivers.register(&lemon_session_sqlite::SCHEMES)?;
//!     let driver = drivers.open(StorageOptions::new("sqlite:sessions.db")).await?;
//!     driver.set_up().await?;
//!     let session = SessionCtx::new(driver);
//!
//!     // and join the application with the session component.
//!     let engine = Engine::default();
//!     let app = Component::from_binary(&engine, &compose(&std::fs::read("app.wasm")?)?)?;
//!     let mut linker = Linker::<Request>::new(&engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     lemon_session_host::add_to_linker(&mut linker)?;
//!     let app = CommandPre::new(linker.instantiate_pre(&app)?)?;
//!
//!     // For each request: a store, an instance, a call.
//!     let wasi = WasiCtx::builder().inherit_stdio().build();
//!     let request = Request { wasi, table: ResourceTable::new(), session: session.clone() };
//!     let mut store = Store::new(&engine, request);
//!     let command = app.instantiate_async(&mut store).await?;
//!     let result = command.wasi_cli_run().call_run(&mut store).await?;
//!
//!     // Before the process exits.
//!     session.close().await?;
//!     result.map_err(|()| anyhow::anyhow!("the application failed"))
//! }
//! ```
//!
//! [`engine::engine`] makes an engine on which a fresh instance for each request is cheap.
//! [`SessionCtx::builder`] takes [`Settings`], several stores ([`Stores`]) and an [`Observer`], which receives every storage
//! operation, for metrics.
//!
//! With [`sessions::warm`], an application that is instantiated for each request takes a session component from a pool
//! instead of instantiating its own.
//!
//! [`sessions::concurrent`] is for applications of WASI 0.3, whose instances answer several requests at once.
//!
//! # Features
//!
//! `compose`, on by default, adds [`compose`](mod@compose), which joins components with wac. A runtime that uses
//! [`sessions::warm`] can leave it out.
//!
//! `concurrent` adds [`sessions::concurrent`]. It compiles the support for WASI 0.3 into wasmtime.
//!
//! `device-bound` adds [`Sessions::answer_device_bound`], for sessions that are bound to a device.
//!
//! # In a native server
//!
//! [`Sessions`] offers the same sessions as an async API to native Rust servers.

#![deny(missing_docs)]

pub mod bindings;
mod component;
#[cfg(feature = "compose")]
pub mod compose;
mod context;
mod convert;
#[cfg(feature = "device-bound")]
pub mod device_bound;
pub mod engine;
mod log_limit;
mod new_sessions;
pub mod observer;
mod outage;
pub mod sessions;
pub mod settings;
mod storage;
pub mod stores;

#[cfg(feature = "compose")]
pub(crate) use component::BLOCKING;
pub use component::{ASYNC_COMPONENT, COMPONENT};
pub use context::{Caller, HasSession, SessionCtx, SessionCtxBuilder, SessionCtxView, SessionView, add_to_linker};
pub use lemon_session_store as store;
pub use log_limit::LogLimit;
pub use new_sessions::network_of;
pub use observer::Observer;
pub use sessions::{Session, Sessions};
pub use settings::Settings;
pub use stores::Stores;
