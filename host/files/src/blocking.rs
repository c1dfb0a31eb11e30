//! Where the calls of the file system run.

use lemon_session_store::Result;

/// Runs a call on a thread that may wait. It runs to its end even if the caller is dropped meanwhile.
#[cfg(not(target_family = "wasm"))]
pub async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    use lemon_session_store::Error;

    let done = tokio::task::spawn_blocking(run).await;
    done.unwrap_or_else(|error| Err(Error::unavailable("a call of the file system has ended early").with_source(error)))
}

/// Runs a call at once: a component has no other thread.
#[cfg(target_family = "wasm")]
pub async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    run()
}
