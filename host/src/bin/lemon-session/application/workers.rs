//! The guests that answer requests: when one is made, how many requests it answers, and when it is stopped.

use std::{
    future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep, timeout};
use wasmtime::{Result, Store, StoreContextMut, component::GuestTaskId};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus},
};

use super::{Platform, guest::Guest, guest_log::GuestLog, request_id::RequestId};

/// Makes the guests of one application.
pub struct Workers {
    pub platform: Arc<Platform>,
    pub name: Arc<str>,
    pub pre: ProxyPre<Guest>,
    /// How many requests a guest answers, one after the other.
    pub reuse: usize,
}

/// How long a guest that may be reused waits for another request.
const IDLE: Duration = Duration::from_secs(1);

impl HandlerState for Workers {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> Result<Instance<Guest, Expiration, Worker>> {
        let slot = self.platform.slot().await?;
        let log = GuestLog::new(self.name.clone());
        let mut store = self.platform.store(WasiCtx::builder().stdout(log.clone()).stderr(log).build(), slot);
        let request_time = self.platform.settings.request_time;
        let proxy = timeout(request_time, self.pre.instantiate_async(&mut store)).await??;

        let expired = Arc::new(AtomicBool::new(false));
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration { request_time, sleep: Box::pin(sleep(IDLE)), expired: expired.clone() },
            state: Worker { reuse: self.reuse, expired, request: Mutex::default() },
        })
    }
}

/// When a guest is stopped.
pub struct Expiration {
    request_time: Duration,
    sleep: Pin<Box<Sleep>>,
    expired: Arc<AtomicBool>,
}

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let time = match status {
            WorkerStatus::Idle => IDLE,
            WorkerStatus::Requests | WorkerStatus::PostReturn => self.request_time,
        };
        let deadline = (start + time).into();
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        let poll = self.sleep.as_mut().poll(cx);
        self.expired.store(poll.is_ready(), Ordering::Relaxed);
        poll
    }
}

/// One guest.
pub struct Worker {
    reuse: usize,
    expired: Arc<AtomicBool>,
    /// The latest request.
    request: Mutex<Option<RequestId>>,
}

impl WorkerState for Worker {
    type StoreData = Guest;
    type RequestData = RequestId;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.reuse {
            ShouldAccept::Never
        } else if concurrent > 0 {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        request: RequestId,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        // `Expiration` sees to it, also where the guest keeps this future from being polled.
        Box::pin(future::pending())
    }

    fn drop(&self, store: Store<Guest>, result: Result<()>) {
        let request = *self.request.lock().unwrap_or_else(PoisonError::into_inner);
        match (result, request) {
            // That it overran its time is in the log already.
            (Err(error), Some(request)) if !self.expired.load(Ordering::Relaxed) => {
                tracing::error!(%request, "the application was stopped: {error:?}");
            }
            _ => {}
        }
        drop(store);
    }
}
