//! A program's component, of either version of WASI.

use std::future::poll_fn;

use wasmtime::{Engine, Result, Store, component::InstancePre};
use wasmtime_wasi::{p2, p3};

use crate::application::{guest::Guest, kind::Wasi};

/// A component that exports `wasi:cli/run`.
#[derive(Clone)]
pub enum Command {
    P2(p2::bindings::CommandPre<Guest>),
    P3(p3::bindings::CommandPre<Guest>),
}

impl Command {
    pub fn new(wasi: Wasi, pre: InstancePre<Guest>) -> Result<Self> {
        Ok(match wasi {
            Wasi::P2 => Self::P2(p2::bindings::CommandPre::new(pre)?),
            Wasi::P3 => Self::P3(p3::bindings::CommandPre::new(pre)?),
        })
    }

    /// The version of WASI that it is built for.
    pub fn wasi(&self) -> Wasi {
        match self {
            Self::P2(_) => Wasi::P2,
            Self::P3(_) => Wasi::P3,
        }
    }

    /// The engine on which it runs.
    pub fn engine(&self) -> &Engine {
        match self {
            Self::P2(pre) => pre.engine(),
            Self::P3(pre) => pre.engine(),
        }
    }

    /// Fails when it cannot be instantiated.
    pub async fn check(&self, store: &mut Store<Guest>) -> Result<()> {
        match self {
            Self::P2(pre) => _ = pre.instantiate_async(store).await?,
            Self::P3(pre) => _ = pre.instantiate_async(store).await?,
        }
        Ok(())
    }

    /// Runs it to its end. With WASI 0.3, that includes what it left in the background.
    pub async fn run(&self, store: &mut Store<Guest>) -> Result<Result<(), ()>> {
        match self {
            Self::P2(pre) => {
                let program = pre.instantiate_async(&mut *store).await?;
                program.wasi_cli_run().call_run(store).await
            }
            Self::P3(pre) => {
                let program = pre.instantiate_async(&mut *store).await?;
                let running = store.run_concurrent(async |accessor| {
                    let ended = program.wasi_cli_run().call_run(accessor).await?;
                    poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
                    wasmtime::error::Ok(ended)
                });
                running.await?
            }
        }
    }
}
