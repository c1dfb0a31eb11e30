//! Runs a future to its end, on the thread that needs its result.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Notes whether a future can go on.
#[derive(Default)]
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end. `wait` blocks until there is something for it to go on with, and is called when nothing
/// else has woken it.
pub fn run<T>(future: impl Future<Output = T>, mut wait: impl FnMut()) -> T {
    let mut future = pin!(future);
    let awake = Arc::new(Awake::default());
    let waker = Waker::from(Arc::clone(&awake));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        if !awake.0.swap(false, Ordering::Relaxed) {
            wait();
        }
    }
}
