//! Components of wasi:http 0.3: which guest answers a request.
//!
//! A guest runs on a task of its own, because it may answer several requests at the same time. Whenever it can answer
//! another one, it offers a ticket for it. A request takes the ticket that was offered last, or else starts a guest.

mod message;
mod progress;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response};
use lemon_session_host::Caller;
use tokio::{sync::oneshot, time::timeout};
use wasmtime::Store;
use wasmtime_wasi_http::{
    WasiBody,
    p3::bindings::{Service as Instance, ServicePre},
};

use super::{Failure, Platform, Subject, guest::Guest, kind::Wasi};

/// A component of wasi:http 0.3.
pub struct Service(Arc<Guests>);

/// The guests of one application.
struct Guests {
    platform: Arc<Platform>,
    name: Arc<str>,
    pre: ServicePre<Guest>,
    /// How many requests a guest answers.
    reuse: u32,
    /// How many of them at the same time.
    concurrency: u32,
    tickets: Mutex<Vec<oneshot::Sender<Job>>>,
}

/// A request for a guest.
struct Job {
    subject: Subject,
    caller: Caller,
    request: Request<WasiBody>,
    respond: Respond,
}

type Respond = oneshot::Sender<Result<Response<WasiBody>, Failure>>;

impl Service {
    pub fn new(platform: Arc<Platform>, name: Arc<str>, pre: ServicePre<Guest>, reuse: u32, concurrency: u32) -> Self {
        // Requests that may share a guest must be able to.
        let reuse = reuse.max(concurrency);
        Self(Arc::new(Guests { platform, name, pre, reuse, concurrency, tickets: Mutex::default() }))
    }

    /// Fails when it cannot be instantiated.
    pub async fn check(&self) -> wasmtime::Result<()> {
        timeout(self.0.platform.settings.request_time, self.0.instantiate()).await??;
        Ok(())
    }

    /// Passes a request to a guest. The guest goes on with it until it ends or times out, even if the client disconnects.
    pub async fn answer(
        &self,
        subject: Subject,
        caller: Caller,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let (respond, response) = oneshot::channel();
        self.0.pass(Job { subject, caller, request, respond });
        match timeout(self.0.platform.settings.request_time, response).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Failure::Failed(wasmtime::format_err!("its guest ended without an answer"))),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Guests {
    async fn instantiate(&self) -> wasmtime::Result<(Store<Guest>, Instance)> {
        let engine = self.pre.engine();
        let mut store = self.platform.http_store(engine, Wasi::P3, self.concurrency, self.name.clone()).await?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }

    /// Passes a request to a guest that offers a ticket, or to a new one.
    fn pass(self: &Arc<Self>, mut job: Job) {
        loop {
            let Some(ticket) = self.tickets().pop() else { break };
            match ticket.send(job) {
                Ok(()) => return,
                // That guest has ended.
                Err(back) => job = back,
            }
        }
        tokio::spawn(worker::run(self.clone(), job));
    }

    /// Offers a ticket for a request.
    fn offer(&self) -> oneshot::Receiver<Job> {
        let (ticket, receiver) = oneshot::channel();
        let mut tickets = self.tickets();
        tickets.retain(|ticket| !ticket.is_closed());
        tickets.push(ticket);
        receiver
    }

    fn tickets(&self) -> MutexGuard<'_, Vec<oneshot::Sender<Job>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
