//! The response, on stdout.

use std::io::{self, Write as _};

use anyhow::Result;
use http::Response;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncWriteExt as _, Stdout, stdout};
use wasmtime_wasi_http::WasiBody;

use crate::application::cgi::LocalRedirect;

/// Prints a response as it comes; to a request with the method HEAD, without its body.
pub async fn print(response: Response<WasiBody>, head_alone: bool) -> Result<()> {
    let (parts, mut body) = response.into_parts();
    let mut head = Vec::new();
    if let Some(LocalRedirect(path)) = parts.extensions.get() {
        // The web server goes there.
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
    send(&mut stdout, &head).await?;
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(bytes) if !head_alone => send(&mut stdout, &bytes).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Not on this thread, which feeds the application meanwhile: the web server may read nothing before it has sent all.
async fn send(stdout: &mut Stdout, bytes: &[u8]) -> io::Result<()> {
    stdout.write_all(bytes).await?;
    stdout.flush().await
}
