//! Logs the output of guests, line by line.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// A longer line, whose length the guest controls, is split into several.
const LONGEST_LINE: usize = 4096;

/// The standard output and error of one guest.
#[derive(Clone)]
pub struct GuestLog(Arc<Inner>);

struct Inner {
    application: Arc<str>,
    line: Mutex<Vec<u8>>,
}

impl GuestLog {
    pub fn new(application: Arc<str>) -> Self {
        Self(Arc::new(Inner { application, line: Mutex::default() }))
    }

    fn print(&self, bytes: &[u8]) {
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in bytes {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == LONGEST_LINE {
                self.0.log(&line);
                line.clear();
            }
        }
    }
}

impl Inner {
    fn log(&self, line: &[u8]) {
        tracing::info!(application = &*self.application, "{}", String::from_utf8_lossy(line));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let line = self.line.get_mut().map(std::mem::take).unwrap_or_default();
        if !line.is_empty() {
            self.log(&line);
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestLog {
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

impl AsyncWrite for GuestLog {
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
