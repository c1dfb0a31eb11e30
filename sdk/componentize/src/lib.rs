//! Makes a component of the core module that Go builds of a page, as Go 1.27 does not build components itself.

#![deny(missing_docs)]

use anyhow::{Context as _, Result, bail};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, SourceMap};

/// Returns the component of a core module for the world `page`, which `go build -buildmode=c-shared` made for `GOOS=wasip1`.
///
/// # Errors
///
/// When `module` is no core module, or imports or exports what the world does not have.
pub fn component(module: &[u8]) -> Result<Vec<u8>> {
    match module.get(..8) {
        Some(b"\0asm\x01\0\0\0") => {}
        Some(b"\0asm\x0d\0\x01\0") => bail!("this is a component already"),
        _ => bail!("this is no WebAssembly module: build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"),
    }
    let (resolve, page) = packages().context("the WIT of the page cannot be read")?;
    let world = resolve.select_world(&[page], Some("page"))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
        .validate(true)
        .encode()
        .context("the module does not fit the world of a page: build it with -buildmode=c-shared, and import wasihttp")
}

/// The packages of the world `page`, and that which contains it.
fn packages() -> Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    // Each after those that it uses.
    push(&mut resolve, &[include_str!("../wit/deps/io.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/clocks.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/random.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/filesystem.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/sockets.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/cli.wit")])?;
    push(&mut resolve, &[include_str!("../wit/deps/http.wit")])?;
    push(
        &mut resolve,
        &[
            "package lemon:session@0.1.0; world application { import sessions; import manager; }",
            include_str!("../wit/deps/lemon-session/types.wit"),
            include_str!("../wit/deps/lemon-session/sessions.wit"),
            include_str!("../wit/deps/lemon-session/manager.wit"),
        ],
    )?;
    let page = push(&mut resolve, &[include_str!("../wit/world.wit")])?;
    Ok((resolve, page))
}

fn push(resolve: &mut Resolve, files: &[&str]) -> Result<PackageId> {
    let mut sources = SourceMap::default();
    for file in files {
        sources.push_str("", *file);
    }
    let package = sources.parse().map_err(|(_, error)| error)?;
    Ok(resolve.push_group(package)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(module: &[u8]) -> String {
        format!("{:#}", component(module).unwrap_err())
    }

    #[test]
    fn what_is_no_page_is_refused_with_what_would_be_right() {
        assert!(refused(b"#!/bin/sh").contains("no WebAssembly module: build it with GOOS=wasip1"));
        assert!(refused(b"").contains("no WebAssembly module"));
        assert_eq!(refused(b"\0asm\x0d\0\x01\0"), "this is a component already");
        // A module without anything, as that of a program is for a page.
        let empty = refused(b"\0asm\x01\0\0\0");
        assert!(
            empty.starts_with("the module does not fit the world of a page: build it with -buildmode=c-shared"),
            "{empty}"
        );
        assert!(empty.contains("wasi:http/incoming-handler@0.2.10"), "{empty}");
    }
}
