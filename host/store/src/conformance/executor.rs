//! What the rules run on: natively four threads, so that callers overlap. A component has one thread and calls its store
//! synchronously: there, callers take turns.

#[cfg(target_family = "wasm")]
pub use one_thread::{run, wait_for};
#[cfg(not(target_family = "wasm"))]
pub use threads::{run, wait_for};

#[cfg(not(target_family = "wasm"))]
mod threads {
    use tokio::{
        runtime::{Builder, Handle},
        task,
    };

    /// Runs a rule.
    pub fn run<T>(rule: impl Future<Output = T>) -> T {
        let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build();
        runtime.expect("a runtime for the test").block_on(rule)
    }

    /// Waits in code of a rule that is not asynchronous.
    pub fn wait_for<T>(part: impl Future<Output = T>) -> T {
        task::block_in_place(|| Handle::current().block_on(part))
    }
}

#[cfg(target_family = "wasm")]
mod one_thread {
    use tokio::runtime::Builder;

    /// Runs a rule.
    pub fn run<T>(rule: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().expect("a runtime for the test").block_on(rule)
    }

    /// Waits in code of a rule that is not asynchronous. That takes no time, as no call of a store is ever pending here.
    pub fn wait_for<T>(part: impl Future<Output = T>) -> T {
        futures::executor::block_on(part)
    }
}
