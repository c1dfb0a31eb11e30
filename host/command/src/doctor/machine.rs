//! Checks of the machine that the server runs on.

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

/// Files that a server opens in addition to connections.
const OWN_FILES: u64 = 256;
/// 2025-01-01: an earlier time means that the clock is not set.
const EARLIEST: u64 = 1_735_689_600;

pub async fn check(config: &Config, report: &mut Report) -> Result<()> {
    clock(output::now(), report)?;
    let begun = Instant::now();
    let progress = Progress::start("compiling the session component");
    let started = component(&config.settings).await;
    drop(progress);
    match started {
        Ok(()) => {
            let found = format!("the session component compiles and starts within {:.1?}", begun.elapsed());
            report.ok("component", &found)?;
        }
        Err(error) => report.fail("component", &format!("the session component does not work: {error:#}"), None)?,
    }
    memory(config, report)?;
    cache(report)?;
    files(config, report)
}

/// Checks that the clock, which says that it is `now`, is set.
fn clock(now: u64, report: &mut Report) -> Result<()> {
    if now >= EARLIEST {
        return Ok(());
    }
    let advice = "synchronise it with a time server: sessions that start now expire as soon as the clock is set";
    report.fail("clock", "this machine's clock is years behind", Some(advice))
}

/// Starts and saves a session with these settings, in a memory store.
async fn component(settings: &Settings) -> Result<()> {
    let stores = Stores::single(Arc::new(Memory::new()));
    let sessions = Sessions::new(SessionCtx::builder(stores).settings(settings.clone()).build()?)?;
    let session = sessions.start(Options { https: true, ..Options::default() }).await?;
    session.set("probe", true).await?;
    session.save().await?;
    Ok(())
}

/// Checks that the system can reserve address space for the maximum number of guests.
fn memory(config: &Config, report: &mut Report) -> Result<()> {
    let what =
        format!("{} for each of {} instances", output::bytes(config.server.memory.into()), guests(&config.server));
    match Engines::for_many(&config.server) {
        Ok(_) => report.ok("memory", &format!("there is enough address space: {what}")),
        Err(error) => {
            let found = format!("there is not enough address space: {what}: {error:#}");
            report.fail("memory", &found, Some("raise `ulimit -v`, or lower [server] in-flight"))
        }
    }
}

/// Checks that the cache of compiled code can be used.
fn cache(report: &mut Report) -> Result<()> {
    let written = Cache::open(None).and_then(|cache| {
        cache.probe()?;
        Ok(cache.folder().display().to_string())
    });
    match written {
        Ok(folder) => report.ok("cache", &format!("compiled code is stored in {folder}")),
        Err(error) => {
            let found =
                format!("there is no cache of compiled code, so every start compiles the applications: {error:#}");
            report.warning("cache", &found, "set XDG_CACHE_HOME to a folder that this user may write to")
        }
    }
}

/// Checks that the limit of open files, which the server raises as far as possible, suffices for the maximum number of
/// connections.
fn files(config: &Config, report: &mut Report) -> Result<()> {
    let needed = u64::from(config.server.connections) + OWN_FILES;
    match getrlimit(Resource::Nofile).maximum {
        Some(allowed) if allowed < needed => {
            let found = format!(
                "the limit of open files is {allowed}, but [server] connections = {} needs {needed}",
                config.server.connections
            );
            report.warning("files", &found, "raise `ulimit -Hn` (LimitNOFILE in systemd), or lower connections")
        }
        Some(allowed) => {
            report.ok("files", &format!("the limit of open files is {allowed}, and at most {needed} are needed"))
        }
        None => report.ok("files", "there is no limit of open files"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_not_set_is_found() {
        for (now, status) in [(0, Some("FAIL")), (EARLIEST - 1, Some("FAIL")), (EARLIEST, None), (output::now(), None)]
        {
            let mut report = Report::list();
            clock(now, &mut report).unwrap();
            assert_eq!(report.into_findings().first().map(|finding| finding.status), status, "{now}");
        }
    }
}
