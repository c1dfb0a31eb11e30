use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Runs a rule over an [`Env`](crate::Env) that never has it wait: one whose store returns when it is done.
///
/// # Panics
///
/// Panics if the rule waits.
pub fn at_once<T>(rule: impl Future<Output = T>) -> T {
    match pin!(rule).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a rule waits for a store that answers at once"),
    }
}
