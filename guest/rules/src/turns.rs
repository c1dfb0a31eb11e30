//! Calls on one session that may overlap take turns, in the order in which they came.

use alloc::collections::VecDeque;
use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Context, Poll, Waker},
};

/// Whose turn it is, the first in the queue, and who waits.
#[derive(Default)]
pub(crate) struct Turns {
    queue: RefCell<VecDeque<Call>>,
    calls: Cell<u64>,
}

struct Call {
    number: u64,
    waker: Option<Waker>,
}

/// The place of one call, which it leaves when this is dropped: at its end, or when it is cancelled.
pub(crate) struct Place<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Turns {
    /// Waits until all earlier calls have ended.
    pub async fn take(&self) -> Place<'_> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        self.queue.borrow_mut().push_back(Call { number, waker: None });
        let place = Place { turns: self, number };
        poll_fn(|context| self.poll(number, context)).await;
        place
    }

    fn poll(&self, number: u64, context: &Context<'_>) -> Poll<()> {
        let mut queue = self.queue.borrow_mut();
        match queue.iter().position(|call| call.number == number) {
            Some(0) | None => Poll::Ready(()),
            Some(index) => {
                queue[index].waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn leave(&self, number: u64) -> Option<Waker> {
        let mut queue = self.queue.borrow_mut();
        queue.retain(|call| call.number != number);
        queue.front_mut()?.waker.take()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(next) = self.turns.leave(self.number) {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::{
        pin::{Pin, pin},
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };
    use std::{sync::Arc, task::Wake};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken))))
    }

    #[test]
    fn calls_take_turns_in_the_order_in_which_they_came() {
        let turns = Turns::default();
        let woken: [Arc<Woken>; 3] = Default::default();
        let (mut first, mut second, mut third) = (pin!(turns.take()), pin!(turns.take()), pin!(turns.take()));
        let Poll::Ready(place) = poll(first.as_mut(), &woken[0]) else { panic!("nobody is before it") };
        assert!(poll(second.as_mut(), &woken[1]).is_pending());
        assert!(poll(third.as_mut(), &woken[2]).is_pending());
        drop(place);
        assert_eq!([0, 1, 0], [0, 1, 2].map(|call: usize| woken[call].0.load(Relaxed)));
        assert!(poll(third.as_mut(), &woken[2]).is_pending(), "the second came before");
        let Poll::Ready(place) = poll(second.as_mut(), &woken[1]) else { panic!("it was woken") };
        drop(place);
        assert_eq!(woken[2].0.load(Relaxed), 1);
        assert!(poll(third.as_mut(), &woken[2]).is_ready());
    }

    #[test]
    fn a_call_that_is_cancelled_while_it_waits_or_when_it_is_woken_passes_its_turn_on() {
        let turns = Turns::default();
        let woken: [Arc<Woken>; 4] = Default::default();
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(turns.take())).collect();
        let Poll::Ready(place) = poll(waiting[0].as_mut(), &woken[0]) else { panic!("nobody is before it") };
        for call in 1..4 {
            assert!(poll(waiting[call].as_mut(), &woken[call]).is_pending());
        }
        drop(waiting.remove(2));
        drop(place);
        assert_eq!(woken[1].0.load(Relaxed), 1);
        drop(waiting.remove(1));
        assert_eq!(woken[3].0.load(Relaxed), 1, "both before it are gone");
        assert!(poll(waiting[1].as_mut(), &woken[3]).is_ready());
    }

    #[test]
    fn a_call_that_comes_when_the_turn_is_free_but_others_wait_is_behind_them() {
        let turns = Turns::default();
        let woken: Arc<Woken> = Arc::default();
        let (mut first, mut second) = (pin!(turns.take()), pin!(turns.take()));
        let Poll::Ready(place) = poll(first.as_mut(), &woken) else { panic!("nobody is before it") };
        assert!(poll(second.as_mut(), &woken).is_pending());
        drop(place);
        let mut third = pin!(turns.take());
        assert!(poll(third.as_mut(), &woken).is_pending());
        assert!(poll(second.as_mut(), &woken).is_ready());
    }
}
