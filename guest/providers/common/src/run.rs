//! Runs the futures of drivers, which never wait in a component: their input and output blocks.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use lemon_session_store::{Error, Result};

/// Notes whether a future asked to be polled again.
#[derive(Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end.
///
/// # Errors
///
/// Fails if the future waits for something: a component has no other thread that could wake it, so it would wait for ever.
pub(crate) fn run<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    let again = Arc::new(Again::default());
    let waker = Waker::from(Arc::clone(&again));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            // It only gave way to others, as a batch of a long operation does.
            Poll::Pending if again.0.swap(false, Ordering::Relaxed) => {}
            Poll::Pending => {
                return Err(Error::unavailable(
                    "the driver waits for something that a component cannot wait for: it needs blocking input and output",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    #[test]
    fn future_that_gives_way_is_continued() {
        let mut times = 0;
        let giving_way = poll_fn(|context| {
            times += 1;
            if times == 3 {
                return Poll::Ready(Ok(times));
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(run(giving_way).expect("an answer"), 3);
    }

    #[test]
    fn future_that_waits_is_an_error() {
        let error = run(pending::<Result<()>>()).expect_err("no one wakes it");
        assert!(error.to_string().contains("blocking"), "{error}");
    }
}
