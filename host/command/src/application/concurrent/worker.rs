//! One guest, from its instantiation to its end.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView as _, p3::bindings::Service as Instance};

use super::{
    super::{Failure, Subject, failure::cause, guest::Guest, http::IDLE},
    Guests, Job, message,
    progress::Progress,
};

/// A guest and its requests. The guest's event loop polls one part of it, and the task around the event loop the other:
/// the event loop stands still while the guest computes or makes a synchronous call.
struct Worker {
    guests: Arc<Guests>,
    progress: Arc<Progress>,
    /// A request that has not begun.
    next: Mutex<Option<Job>>,
    /// How many requests have begun.
    begun: AtomicU32,
    /// Whether neither a request nor anything else is in progress.
    is_idle: AtomicBool,
    /// When the event loop last had nothing left to run.
    rested: Mutex<Option<Instant>>,
}

/// A guest that waits has come to rest immediately before the event loop returns. One that computes returns to the task
/// at every tick as well, but later, and then without having come to rest.
const REST: Duration = Duration::from_millis(1);

/// Starts a guest for a request, and ends when no further one comes or the guest fails.
pub async fn run(guests: Arc<Guests>, job: Job) {
    let instantiated = timeout(guests.platform.settings.request_time, guests.instantiate()).await;
    let instantiated = instantiated.map_or(Err(Failure::TimedOut), |made| made.map_err(Failure::from));
    let (mut store, instance) = match instantiated {
        Ok(made) => made,
        Err(failure) => {
            let _ = job.respond.send(Err(failure));
            return;
        }
    };
    let worker = Worker {
        guests,
        progress: Arc::default(),
        next: Mutex::new(Some(job)),
        begun: AtomicU32::new(0),
        is_idle: AtomicBool::new(false),
        rested: Mutex::default(),
    };
    let (ended, mut ticket) = {
        let serving = store.run_concurrent(async |accessor| worker.serve(accessor, &instance).await);
        let mut serving = pin!(serving);
        let mut time = Time::new(&worker);
        let mut ticket = None;
        let ended = poll_fn(|context| {
            // A request that came while the guest computes would have to wait for it.
            let mut job = if worker.progress.len() > 0 { withdrawn(&mut ticket) } else { taken(&mut ticket, context) };
            loop {
                match job {
                    // A request whose time is over may have left the guest in any state.
                    Some(job) if time.is_over() => worker.guests.pass(job),
                    Some(job) => *worker.next() = Some(job),
                    None => {}
                }
                *worker.rested() = None;
                if let Poll::Ready(ended) = serving.as_mut().poll(context) {
                    return Poll::Ready(ended.flatten().map_err(Failure::from));
                }
                if ticket.is_none() && !time.is_over() && worker.can_begin() {
                    ticket = Some(worker.guests.offer());
                }
                job = taken(&mut ticket, context);
                if job.is_none() {
                    return time.poll(context);
                }
            }
        });
        (ended.await, ticket)
    };
    let left = worker.next().take();
    if let Err(failure) = ended {
        worker.stop(store.data().explained(failure));
    }
    worker.progress.end();
    drop(store);
    // Requests that were passed to this guest and did not begin.
    for job in left.into_iter().chain(withdrawn(&mut ticket)) {
        worker.guests.pass(job);
    }
}

/// Withdraws a ticket. Returns the request that has taken it already.
fn withdrawn(ticket: &mut Option<oneshot::Receiver<Job>>) -> Option<Job> {
    let mut ticket = ticket.take()?;
    ticket.close();
    ticket.try_recv().ok()
}

/// Takes the request that a ticket brought.
fn taken(ticket: &mut Option<oneshot::Receiver<Job>>, context: &mut Context<'_>) -> Option<Job> {
    let Poll::Ready(job) = Pin::new(ticket.as_mut()?).poll(context) else { return None };
    *ticket = None;
    job.ok()
}

impl Worker {
    /// Whether the guest can begin another request. With one at a time, nothing of the last one may be in progress,
    /// because synchronous calls are those of the last caller.
    fn can_begin(&self) -> bool {
        // A guest that computes gets no second request, which would have to wait for it.
        let rests = self.rested().is_some_and(|since| since.elapsed() < REST);
        let has_place = match self.guests.concurrency {
            1 => self.is_idle.load(Relaxed),
            several => self.progress.len() < several as usize,
        };
        rests && has_place && self.next().is_none() && self.begun.load(Relaxed) < self.guests.reuse
    }

    /// Passes requests to the guest, within its event loop. Returns when all that it may answer are answered.
    async fn serve(&self, accessor: &Accessor<Guest>, instance: &Instance) -> wasmtime::Result<()> {
        let mut calls = FuturesUnordered::new();
        poll_fn(|context| {
            if let Some(job) = self.next().take() {
                calls.push(self.answer(accessor, instance, job));
            }
            while let Poll::Ready(Some(answered)) = calls.poll_next_unpin(context) {
                if let Err(error) = answered {
                    return Poll::Ready(Err(error));
                }
            }
            self.progress.wake_at_change(context.waker());
            let is_idle = self.progress.len() == 0 && accessor.poll_no_interesting_tasks(context).is_ready();
            self.is_idle.store(is_idle, Relaxed);
            *self.rested() = Some(Instant::now());
            let is_last = self.begun.load(Relaxed) >= self.guests.reuse;
            if is_idle && is_last { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Passes a request to the guest. An error ends the guest.
    async fn answer(&self, accessor: &Accessor<Guest>, instance: &Instance, job: Job) -> wasmtime::Result<()> {
        let Job { subject, caller, request, respond } = job;
        let number = self.begun.fetch_add(1, Relaxed);
        let place = self.progress.begin(number.into(), subject.clone(), respond);
        let handler = instance.wasi_http_handler();
        let (call, read) = accessor.with(|mut store| {
            let WasiHttpCtxView { hooks, table, .. } = store.data_mut().http();
            let (request, read) = message::request(hooks, request);
            let request = table.push(request)?;
            let call = handler.func_handle().start_call_concurrent(&mut store, (request,))?;
            let guest = store.data_mut();
            guest.answer_in(call.task(), caller.clone());
            if self.guests.concurrency == 1 {
                guest.answer_for(caller);
                guest.log.begin(subject);
            }
            wasmtime::error::Ok((call, read))
        })?;
        let (answer,) = handler.func_handle().finish_call_concurrent(accessor, call).await?;
        accessor.with(|mut store| store.data_mut().log.end());
        let response = match answer {
            Ok(response) => accessor.with(|mut store| {
                let response = store.data_mut().http().table.delete(response)?;
                response.into_http(&mut store, read).map(Ok)
            })?,
            Err(code) => Err(Failure::Failed(code.into())),
        };
        let request_time = self.guests.platform.settings.request_time;
        place.respond(|place| response.map(|response| message::response(response, place, request_time)));
        Ok(())
    }

    /// The guest failed. It is not known in which request, so all that it was answering fail with it. One entry in the log
    /// names all of them.
    fn stop(&self, failure: Failure) {
        let mut requests = self.progress.end();
        match (requests.pop(), failure) {
            (Some((_, Some(respond))), failure) if requests.is_empty() => _ = respond.send(Err(failure)),
            (Some((subject, None)), failure) if requests.is_empty() => failure.log_stopped(&subject),
            (last, failure) => {
                requests.extend(last);
                log(&self.guests.name, &failure, &requests);
                for respond in requests.into_iter().filter_map(|(_, respond)| respond) {
                    let failure = if let Failure::Failed(_) = failure { Failure::Stopped } else { Failure::TimedOut };
                    let _ = respond.send(Err(failure));
                }
            }
        }
    }

    fn rested(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Job>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log<T>(application: &str, failure: &Failure, requests: &[(Subject, T)]) {
    let names = || requests.iter().map(|(subject, _)| subject.id.to_string()).collect::<Vec<_>>().join(", ");
    let was_answering = match requests.len() {
        0 => String::new(),
        several => format!("; it was answering {several} requests: {}", names()),
    };
    match failure {
        Failure::Failed(error) => {
            tracing::error!(application, "the application was stopped: {}{was_answering}", cause(error));
        }
        _ => tracing::warn!(application, "the application was stopped, because it did not end in time{was_answering}"),
    }
}

/// How long a guest goes on.
struct Time<'a> {
    worker: &'a Worker,
    timer: Pin<Box<tokio::time::Sleep>>,
    /// Since when it is idle.
    idle_since: Option<Instant>,
    /// When the last request began.
    last: Instant,
}

impl<'a> Time<'a> {
    fn new(worker: &'a Worker) -> Self {
        let now = Instant::now();
        Self { worker, timer: Box::pin(sleep_until(now)), idle_since: None, last: now }
    }

    /// Whether the time of a request is over. Its guest answers the others, but no further one.
    fn is_over(&self) -> bool {
        let request_time = self.worker.guests.platform.settings.request_time;
        self.worker.progress.since().is_some_and(|(first, _)| first.elapsed() >= request_time)
    }

    /// Ready when the guest has been idle for long enough, or when the time of all that it does is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Worker { guests, progress, is_idle, .. } = self.worker;
        let is_idle = is_idle.load(Relaxed);
        if let Some((_, last)) = progress.since() {
            self.last = last;
        }
        self.idle_since = if is_idle { self.idle_since.or_else(|| Some(Instant::now())) } else { None };
        let until = match self.idle_since {
            Some(since) => since + IDLE,
            None => self.last + guests.platform.settings.request_time,
        };
        if self.timer.deadline() != until {
            self.timer.as_mut().reset(until);
        }
        match self.timer.as_mut().poll(context) {
            Poll::Ready(()) if is_idle => Poll::Ready(Ok(())),
            Poll::Ready(()) => Poll::Ready(Err(Failure::TimedOut)),
            Poll::Pending => Poll::Pending,
        }
    }
}
