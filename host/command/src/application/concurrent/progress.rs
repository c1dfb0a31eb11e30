//! The requests that a guest is answering.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Waker,
};

use futures::task::AtomicWaker;
use http::Response;
use tokio::time::Instant;
use wasmtime_wasi_http::WasiBody;

use super::{Failure, Respond, Subject};

/// The requests that one guest is answering.
#[derive(Default)]
pub struct Progress {
    requests: Mutex<BTreeMap<u64, Begun>>,
    changed: AtomicWaker,
    has_ended: AtomicBool,
}

/// A request until the last byte of its response.
struct Begun {
    subject: Subject,
    since: Instant,
    /// `None` after the response has begun.
    respond: Option<Respond>,
}

impl Progress {
    /// A request begins.
    pub fn begin(self: &Arc<Self>, number: u64, subject: Subject, respond: Respond) -> Place {
        self.requests().insert(number, Begun { subject, since: Instant::now(), respond: Some(respond) });
        Place { progress: self.clone(), number }
    }

    pub fn len(&self) -> usize {
        self.requests().len()
    }

    /// When the first and the last of them began.
    pub fn since(&self) -> Option<(Instant, Instant)> {
        let requests = self.requests();
        // Numbers grow with time.
        Some((requests.first_key_value()?.1.since, requests.last_key_value()?.1.since))
    }

    /// Wakes this when one of them is over.
    pub fn wake_at_change(&self, waker: &Waker) {
        self.changed.register(waker);
    }

    /// The guest ends. Returns the requests that it was answering, with where those get their response that wait for it;
    /// the responses that have begun are cut short. Leaves out those whose clients have disconnected.
    pub fn end(&self) -> Vec<(Subject, Option<Respond>)> {
        self.has_ended.store(true, SeqCst);
        let mut requests = self.requests();
        let begun = requests.values_mut().map(|begun| (begun.subject.clone(), begun.respond.take()));
        begun.filter(|(_, respond)| respond.as_ref().is_none_or(|respond| !respond.is_closed())).collect()
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<u64, Begun>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a request in its guest, which is free when this is dropped.
pub struct Place {
    progress: Arc<Progress>,
    number: u64,
}

impl Place {
    /// The response begins.
    pub fn respond(self, response: impl FnOnce(Self) -> Result<Response<WasiBody>, Failure>) {
        let respond = self.progress.requests().get_mut(&self.number).and_then(|begun| begun.respond.take());
        let response = response(self);
        if let Some(respond) = respond {
            // Dropped if the client has disconnected.
            let _ = respond.send(response);
        }
    }

    /// The request, and when it began.
    pub fn begun(&self) -> Option<(Subject, Instant)> {
        self.progress.requests().get(&self.number).map(|begun| (begun.subject.clone(), begun.since))
    }

    /// Whether the guest has ended, and with it the response.
    pub fn has_ended(&self) -> bool {
        self.progress.has_ended.load(SeqCst)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut requests = self.progress.requests();
        // One that still waits for its response stays, so that `Progress::end` can answer it with the reason.
        if requests.get(&self.number).is_some_and(|begun| begun.respond.is_none()) {
            requests.remove(&self.number);
        }
        drop(requests);
        self.progress.changed.wake();
    }
}
