//! The response, on stdout.

use std::{
    fs::File,
    io::{self, Write as _},
    mem::ManuallyDrop,
    os::fd::{FromRawFd as _, OwnedFd},
};

use anyhow::Result;
use futures::FutureExt as _;
use http::Response;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncWriteExt as _, Stdout, stdout};
use wasmtime_wasi_http::WasiBody;

use crate::application::cgi::LocalRedirect;

/// Bytes to collect before a write.
const MOST_AT_ONCE: usize = 64 * 1024;

/// Writes a response as it arrives, without its body if `head_alone`, which a HEAD request needs.
pub async fn print(response: Response<WasiBody>, head_alone: bool) -> Result<()> {
    let (parts, mut body) = response.into_parts();
    let mut head = Vec::new();
    if let Some(LocalRedirect(path)) = parts.extensions.get() {
        // A local redirect: the web server requests this path.
        write!(head, "Location: {path}\r\n")?;
    } else {
        write!(head, "Status: {} {}\r\n", parts.status.as_str(), parts.status.canonical_reason().unwrap_or_default())?;
        for (name, value) in &parts.headers {
            write!(head, "{name}: ")?;
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    head.extend_from_slice(b"\r\n");

    let mut stdout = stdout();
    let mut printed = head;
    loop {
        let frame = match body.frame().now_or_never() {
            Some(frame) if printed.len() < MOST_AT_ONCE => frame,
            // Nothing more is ready: send what has been collected.
            None => {
                send(&mut stdout, &mut printed).await?;
                body.frame().await
            }
            Some(frame) => {
                send(&mut stdout, &mut printed).await?;
                frame
            }
        };
        let Some(frame) = frame else { break };
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(bytes)) if !head_alone => printed.extend_from_slice(&bytes),
            Ok(_) => {}
            Err(error) => {
                send(&mut stdout, &mut printed).await?;
                return Err(error.into());
            }
        }
    }
    send(&mut stdout, &mut printed).await?;
    Ok(())
}

/// Tells the web server that the response is complete: mod_cgid only notices when both stdin and stdout are closed.
pub fn end() -> io::Result<()> {
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    for descriptor in [0, 1] {
        // SAFETY: the descriptor stays open as long as the process runs, and `ManuallyDrop` does not close it.
        let mut descriptor = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor) });
        rustix::io::dup2(&nowhere, &mut descriptor)?;
    }
    Ok(())
}

/// Writes off this thread, which passes the request's body to the application: some web servers read nothing before
/// they have sent the whole body.
async fn send(stdout: &mut Stdout, printed: &mut Vec<u8>) -> io::Result<()> {
    stdout.write_all(printed).await?;
    printed.clear();
    stdout.flush().await
}
