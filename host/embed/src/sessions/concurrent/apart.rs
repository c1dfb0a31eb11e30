//! Calls that continue on a task of their own.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    task::Poll,
};

use futures::{
    future::{Either, select},
    poll,
};
use tokio::sync::oneshot;

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

/// The call's side: it waits for its turn, and begins unless its caller has gone.
pub(super) struct Turn {
    state: Arc<AtomicU8>,
    /// Ready when the caller has gone.
    gone: oneshot::Receiver<()>,
}

impl Turn {
    /// Waits for something before the call begins. `None`: the caller has gone.
    pub async fn wait<T>(&mut self, ready: impl Future<Output = T>) -> Option<T> {
        match select(pin!(ready), &mut self.gone).await {
            Either::Left((ready, _)) => Some(ready),
            Either::Right(_) => None,
        }
    }

    /// The same for the last thing that the call waits for. It begins with this.
    pub async fn begin<T>(mut self, ready: impl Future<Output = T>) -> Option<T> {
        let ready = self.wait(ready).await?;
        self.state.compare_exchange(WAITING, BEGUN, SeqCst, SeqCst).ok().map(|_| ready)
    }
}

/// The caller's side.
struct Caller<'a> {
    state: Arc<AtomicU8>,
    _here: oneshot::Sender<()>,
    /// Set if the caller leaves a call that has begun.
    is_cut: Option<&'a AtomicBool>,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.state.swap(ABANDONED, SeqCst) == BEGUN
            && let Some(is_cut) = self.is_cut
        {
            is_cut.store(true, SeqCst);
        }
    }
}

/// Makes a call that completes once it has begun, even if the guest cancels it or its host drops the guest: a save is
/// never cut in the middle, and the instance it runs in stays usable. Sets `is_cut` in this case, as the guest does not
/// learn what the call did. A call that has not begun never begins then.
///
/// A call that does not complete at once continues on a task of its own. So it also makes progress while a synchronous
/// call, which may wait for this one, blocks the guest.
///
/// # Errors
///
/// Fails when the call panicked.
pub(super) async fn apart<C, T>(is_cut: Option<&AtomicBool>, call: impl FnOnce(Turn) -> C) -> wasmtime::Result<T>
where
    C: Future<Output = Option<T>> + Send + 'static,
    T: Send + 'static,
{
    let state = Arc::<AtomicU8>::default();
    let (here, gone) = oneshot::channel();
    let mut call = Box::pin(call(Turn { state: Arc::clone(&state), gone }));
    let mut caller = Caller { state, _here: here, is_cut };
    let answer = match poll!(call.as_mut()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => tokio::spawn(call).await.map_err(wasmtime::Error::new)?,
    };
    caller.is_cut = None;
    answer.ok_or_else(|| wasmtime::format_err!("a call was abandoned by a caller that waits for it"))
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use futures::FutureExt as _;
    use tokio::sync::{Mutex, Notify};

    use super::*;

    #[tokio::test]
    async fn a_call_that_completes_at_once_needs_no_task() {
        let is_cut = AtomicBool::new(false);
        let answer = apart(Some(&is_cut), |turn| turn.begin(async { 5 })).now_or_never();
        assert_eq!(answer.unwrap().unwrap(), 5);
        assert!(!is_cut.load(SeqCst));
    }

    #[tokio::test]
    async fn a_call_that_has_begun_completes_and_one_that_waits_for_its_turn_never_begins() {
        let lock = Arc::new(Mutex::new(()));
        let (go_on, done) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (first, second) = (AtomicBool::new(false), AtomicBool::new(false));
        let call = |is_cut| {
            let (lock, go_on, done) = (lock.clone(), go_on.clone(), done.clone());
            apart(Some(is_cut), move |turn| async move {
                let _lock = turn.begin(lock.lock()).await?;
                go_on.notified().await;
                done.fetch_add(1, SeqCst);
                Some(())
            })
        };
        assert!(call(&first).now_or_never().is_none(), "it has begun, and is cancelled");
        assert!(call(&second).now_or_never().is_none(), "it waits for the first, and is cancelled");
        assert_eq!((first.load(SeqCst), second.load(SeqCst)), (true, false));
        go_on.notify_one();
        let last = tokio::time::timeout(Duration::from_secs(60), lock.lock()).await.unwrap();
        drop(last);
        assert_eq!(done.load(SeqCst), 1);
        while Arc::strong_count(&done) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(done.load(SeqCst), 1, "the second never began");
    }
}
