//! Logs the output of guests, line by line, and their reports of failures as one entry each.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{Subject, report::Report};
use crate::log;

/// A longer line, whose length the guest controls, is split into several.
const LONGEST_LINE: usize = 4096;

/// The standard output and error of one guest.
#[derive(Clone)]
pub struct GuestLog(Arc<Mutex<State>>);

struct State {
    application: Arc<str>,
    /// The request that the guest answers, unless it answers several at the same time.
    subject: Option<Subject>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// What the guest reported on stderr, until the end of the request.
    report: Option<Report>,
}

/// One of the two streams.
#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl GuestLog {
    pub fn new(application: Arc<str>) -> Self {
        let (stdout, stderr) = Default::default();
        Self(Arc::new(Mutex::new(State { application, subject: None, stdout, stderr, report: None })))
    }

    pub fn stdout(&self) -> Printer {
        Printer { log: self.clone(), stream: Stream::Stdout }
    }

    pub fn stderr(&self) -> Printer {
        Printer { log: self.clone(), stream: Stream::Stderr }
    }

    /// The guest begins to answer a request. What it prints from now on belongs to it.
    pub fn begin(&self, subject: Subject) {
        let mut state = self.state();
        state.end();
        state.subject = Some(subject);
    }

    /// The guest has answered a request. Logs what it reported meanwhile.
    pub fn end(&self) {
        self.state().end();
    }

    /// Takes what the guest reported, for the entry about its failure.
    pub fn report(&self) -> Option<Report> {
        let mut state = self.state();
        state.complete(Stream::Stderr);
        state.report.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        for &byte in bytes {
            let line = self.line(stream);
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == LONGEST_LINE {
                let line = std::mem::take(line);
                self.log(stream, &line);
                // Keeps its memory for the next line.
                *self.line(stream) = line;
                self.line(stream).clear();
            }
        }
    }

    fn line(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Logs a line without an end.
    fn complete(&mut self, stream: Stream) {
        let line = std::mem::take(self.line(stream));
        if !line.is_empty() {
            self.log(stream, &line);
        }
    }

    fn log(&mut self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let printed = self.subject.as_ref().and_then(|subject| subject.printed.as_ref());
        if let Some(printed) = printed {
            printed.add(&line);
        }
        if let Stream::Stderr = stream {
            if self.report.as_mut().is_some_and(|report| report.add(&line)) {
                return;
            }
            // Runtimes print one before a report.
            if line.is_empty() {
                return;
            }
            if let Some(report) = Report::begin(&line, log::backtraces()) {
                if let Some(printed) = printed {
                    printed.note_report();
                }
                self.log_report();
                self.report = Some(report);
                return;
            }
        }
        match &self.subject {
            Some(subject) => tracing::info!(request = %subject.id, application = &*self.application, "{line}"),
            None => tracing::info!(application = &*self.application, "{line}"),
        }
    }

    /// Logs a report of a guest that did not fail, or whose failure has an entry.
    fn log_report(&mut self) {
        let Some(report) = self.report.take() else { return };
        match &self.subject {
            Some(subject) => about!(error, subject, "the application reported a failure: {report}"),
            None => tracing::error!(application = &*self.application, "the application reported a failure: {report}"),
        }
    }

    fn end(&mut self) {
        self.complete(Stream::Stdout);
        self.complete(Stream::Stderr);
        self.log_report();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a guest prints on one of the streams.
#[derive(Clone)]
pub struct Printer {
    log: GuestLog,
    stream: Stream,
}

impl Printer {
    fn print(&self, bytes: &[u8]) {
        self.log.state().print(self.stream, bytes);
    }
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl AsyncWrite for Printer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
