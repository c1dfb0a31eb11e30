//! Logs what a component prints, line by line and not more than a few lines a minute.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// A longer line, whose length the component controls, is split into several.
const LONGEST_LINE: usize = 1024;
/// How many lines of one store are logged in a minute.
const LINES: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// The log of one store, for all its instances.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    store: Arc<str>,
    rate: Mutex<Rate>,
}

struct Rate {
    begun: Instant,
    logged: u32,
    left_out: u64,
}

impl Rate {
    /// Whether one more line may be logged, and how many were left out in the minute before this one.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let mut left_out = 0;
        if now.saturating_duration_since(self.begun) >= MINUTE {
            left_out = self.left_out;
            *self = Self { begun: now, logged: 0, left_out: 0 };
        }
        if self.logged == LINES {
            self.left_out += 1;
            return None;
        }
        self.logged += 1;
        Some(left_out)
    }
}

impl Log {
    pub fn new(store: Arc<str>) -> Self {
        let rate = Rate { begun: Instant::now(), logged: 0, left_out: 0 };
        Self(Arc::new(Shared { store, rate: Mutex::new(rate) }))
    }

    /// The standard output and error of one instance.
    pub fn output(&self) -> Output {
        Output(Arc::new(Inner { log: self.clone(), line: Mutex::default() }))
    }

    fn line(&self, line: &[u8]) {
        let allowed = locked(&self.0.rate).take(Instant::now());
        let Some(left_out) = allowed else { return };
        let left_out = (left_out > 0).then_some(left_out);
        tracing::info!(store = &*self.0.store, left_out, "{}", String::from_utf8_lossy(line));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The standard output and error of one instance.
#[derive(Clone)]
pub struct Output(Arc<Inner>);

struct Inner {
    log: Log,
    line: Mutex<Vec<u8>>,
}

impl Output {
    fn print(&self, bytes: &[u8]) {
        let mut line = locked(&self.0.line);
        for &byte in bytes {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == LONGEST_LINE {
                self.0.log.line(&line);
                line.clear();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let line = std::mem::take(&mut *locked(&self.line));
        if !line.is_empty() {
            self.log.line(&line);
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
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

impl AsyncWrite for Output {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_lines_a_minute_are_logged_and_the_next_minute_tells_how_many_were_left_out() {
        let begun = Instant::now();
        let mut rate = Rate { begun, logged: 0, left_out: 0 };
        let logged = (0..100).filter(|_| rate.take(begun) == Some(0)).count();
        assert_eq!(logged, 60);
        assert_eq!(rate.take(begun + MINUTE), Some(40));
        assert_eq!(rate.take(begun + MINUTE), Some(0));
    }
}
