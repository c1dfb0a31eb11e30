//! CGI programs (RFC 3875): components of wasi:cli that run once for each request.
//!
//! Programs that print their own status line (NPH, section 5) are not supported, because the server could not check
//! their output.

mod body;
mod command;
mod head;
mod input;
mod output;
mod variables;

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use lemon_session_host::Caller;
use tokio::{io::duplex, sync::mpsc::Sender, time::timeout};
use wasmtime::Store;
use wasmtime_wasi::{I32Exit, WasiCtx, cli::AsyncStdinStream};
use wasmtime_wasi_http::WasiBody;

use super::{
    Failure, Platform, Subject,
    guest::{self, Guest},
    guest_log::GuestLog,
};
use crate::config::Server;
use body::Body;
use output::{Output, Printed};

pub use command::Command;
pub use head::LocalRedirect;
pub use variables::{Place, Variables};

/// A program that runs for each request.
pub struct Program {
    pub platform: Arc<Platform>,
    pub name: Arc<str>,
    pub command: Command,
}

impl Program {
    /// Fails when it cannot be instantiated.
    pub async fn check(&self) -> wasmtime::Result<()> {
        let slot = self.platform.slot().await?;
        let (engine, budget) = (self.command.engine(), self.platform.budget(self.command.wasi(), 1));
        let log = GuestLog::new(self.name.clone());
        let mut store = self.platform.store(engine, WasiCtx::builder().build(), log, budget, slot);
        timeout(self.platform.settings.request_time, self.command.check(&mut store)).await??;
        Ok(())
    }

    /// Runs the program for a request. It runs until it ends or times out, even if the client disconnects.
    pub async fn answer(
        &self,
        subject: Subject,
        caller: Caller,
        request: Request<WasiBody>,
        variables: impl FnOnce(&Parts) -> Result<Variables, Failure>,
    ) -> Result<Response<WasiBody>, Failure> {
        let mut budget = self.platform.budget(self.command.wasi(), 1);
        budget.reserve(input::BYTES + output::BYTES)?;
        let (parts, body) = input::measured(request, &mut budget).await?.into_parts();
        let variables = variables(&parts)?;
        let slot = self.platform.slot().await?;

        let (output, mut printed) = output::pipe();
        let mut wasi = guest::wasi(&self.platform.settings);
        let log = GuestLog::new(self.name.clone());
        log.begin(subject.clone());
        wasi.arg(&self.name).stdout(Output(output.clone())).stderr(log.stderr());
        for (name, value) in variables.iter() {
            wasi.env(name, value);
        }
        if !body.is_end_stream() {
            let (theirs, ours) = duplex(input::BYTES);
            wasi.stdin(AsyncStdinStream::new(theirs));
            tokio::spawn(timeout(self.platform.settings.request_time, input::feed(body, ours)));
        }
        let mut store = self.platform.store(self.command.engine(), wasi.build(), log, budget, slot);
        store.data_mut().answer_for(caller);
        tokio::spawn(run(self.command.clone(), store, self.platform.settings.clone(), subject.clone(), output));

        let limit = self.platform.settings.header_bytes as usize;
        let (head, begun) = head::read(&mut printed, limit).await?;
        let bodiless = parts.method == Method::HEAD
            || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || head.redirects_locally();
        Ok(head.into_response(|length| match bodiless {
            true => Body::discard(printed).boxed_unsync(),
            false => Body::new(subject, begun, printed, length).boxed_unsync(),
        }))
    }
}

/// Runs a program to its end. If it fails, the failure is the last item of its output.
async fn run(
    command: Command,
    mut store: Store<Guest>,
    settings: Arc<Server>,
    subject: Subject,
    output: Sender<Printed>,
) {
    let ended = timeout(settings.request_time, command.run(&mut store)).await;
    let failure = match ended {
        Ok(Ok(Ok(()))) => return drop(store),
        Ok(Ok(Err(()))) => Failure::Failed(I32Exit(1).into()),
        Ok(Err(error)) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => return drop(store),
            _ => Failure::Failed(error),
        },
        Err(_) => Failure::TimedOut,
    };
    let failure = store.data().explained(failure);
    drop(store);
    if let Err(unheard) = output.send(Err(failure)).await {
        // No warning, because the client has disconnected, which is usually the cause.
        if let Err(failure) = unheard.0 {
            about!(debug, subject, "the application failed after its client disconnected: {failure:?}");
        }
    }
}
