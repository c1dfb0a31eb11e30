//! What a server needs of the machine it runs on.

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use lemon_session_host::{SessionCtx, Sessions, Settings, Stores, sessions::Options, store::memory::Memory};
use rustix::process::{Resource, getrlimit};

use super::Report;
use crate::{
    application::{
        Cache,
        engine::{Engines, guests},
    },
    config::Config,
    output,
    progress::Progress,
};

/// Files a server has open beside connections, as it reckons itself.
const OWN_FILES: u64 = 256;
/// 2025-01-01: no clock that is set says less.
const EARLIEST: u64 = 1_735_689_600;

pub async fn check(config: &Config, report: &mut Report) -> Result<()> {
    if output::now() < EARLIEST {
        let advice = "have it follow a time server: a session that is begun now has long expired when the clock is set";
        report.fail("clock", "this machine's clock is years behind", Some(advice))?;
    }

    let begun = Instant::now();
    let progress = Progress::start("compiling the session component");
    let started = component(&config.settings).await;
    drop(progress);
    match started {
        Ok(()) => {
            let found = format!("the session component compiles and starts, within {:.1?}", begun.elapsed());
            report.ok("component", &found)?;
        }
        Err(error) => report.fail("component", &format!("the session component does not work: {error:#}"), None)?,
    }
    memory(config, report)?;
    cache(report)?;
    files(config, report)
}

/// Starts and saves a session with these settings, in a store of its own.
async fn component(settings: &Settings) -> Result<()> {
    let stores = Stores::single(Arc::new(Memory::new()));
    let sessions = Sessions::new(SessionCtx::with(stores, settings.clone())?)?;
    let session = sessions.start(Options { https: true, ..Options::default() }).await?;
    session.set("probe", true).await?;
    session.save().await?;
    Ok(())
}

/// Whether as many guests as may be alive have room.
fn memory(config: &Config, report: &mut Report) -> Result<()> {
    let what =
        format!("{} for each of {} instances", output::bytes(config.server.memory.into()), guests(&config.server));
    match Engines::for_many(&config.server) {
        Ok(_) => report.ok("memory", &format!("there is address space of {what}")),
        Err(error) => {
            let found = format!("there is no address space of {what}: {error:#}");
            report.fail("memory", &found, Some("lower [server] in-flight or memory, or raise `ulimit -v`"))
        }
    }
}

/// Whether compiled code can be kept for the next start.
fn cache(report: &mut Report) -> Result<()> {
    let written = Cache::open(None).and_then(|cache| {
        cache.probe()?;
        Ok(cache.folder().display().to_string())
    });
    match written {
        Ok(folder) => report.ok("cache", &format!("compiled code is kept in {folder}")),
        Err(error) => {
            let found = format!("compiled code cannot be kept, so that every start compiles anew: {error:#}");
            report.warning("cache", &found, "let XDG_CACHE_HOME or `serve --cache` name a folder that can be written")
        }
    }
}

/// Whether as many connections as are allowed can be open: a server raises its limit as far as it may.
fn files(config: &Config, report: &mut Report) -> Result<()> {
    let needed = u64::from(config.server.connections) + OWN_FILES;
    match getrlimit(Resource::Nofile).maximum {
        Some(allowed) if allowed < needed => {
            let found = format!(
                "{allowed} files may be open, and [server] connections = {} takes {needed}",
                config.server.connections
            );
            report.warning("files", &found, "raise `ulimit -Hn` (LimitNOFILE in systemd), or lower connections")
        }
        Some(allowed) => report.ok("files", &format!("{allowed} files may be open, and {needed} are needed at most")),
        None => report.ok("files", "any number of files may be open"),
    }
}
