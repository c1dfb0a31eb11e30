//! Waiting, before something is looked at again.

#[cfg(not(target_family = "wasm"))]
pub use tokio::time::sleep as pause;

/// Waits. A component has one thread, which nothing else needs meanwhile.
#[cfg(target_family = "wasm")]
pub async fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}
