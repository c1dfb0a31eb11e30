//! `lemon-session serve`.

mod admin;
mod census;
mod connections;
mod conversation;
mod files;
mod host;
mod listener;
mod metrics;
mod mounts;
mod reload;
mod unstuck;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{SessionCtx, bindings::lemon::session::types::Location};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use admin::Admin;
use listener::Site;
use metrics::Metrics;
use mounts::{Grants, Mount};
use reload::Loader;

use crate::{
    application::{Cache, Platform, engine::Engines},
    compose::Modules,
    config::{Config, address},
    drivers, log,
    output::positive,
    storage,
};

/// Serve applications over HTTP.
///
/// An application is a component of wasi:http, or one of wasi:cli, which runs as a CGI program. If it imports
/// lemon:session/sessions, it has sessions; missing tables are created.
///
/// SIGTERM stops the server after it has answered the requests in flight. SIGHUP reloads the applications, their
/// modules and the settings of sessions. Requests in flight keep the old ones. If the new ones cannot be loaded, the
/// server keeps the old ones and logs the reason.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: lemon-session serve visits.wasm --storage sqlite:sessions.db
          lemon-session serve --mount /shop=shop.wasm --mount /blog=blog.wasm")]
pub struct Args {
    /// The application for all paths without a mounted one.
    #[arg(value_name = "APP.wasm", required_unless_present = "mounts")]
    application: Option<PathBuf>,

    /// Mount an application on a path and all paths below it. Can be given several times; the longest path wins. A
    /// component of wasi:http gets the whole path, a CGI program gets it in SCRIPT_NAME and PATH_INFO.
    #[arg(long = "mount", value_name = "PATH=APP.wasm")]
    mounts: Vec<Mount>,

    /// The address to listen on; port 0 selects a free port. Default: addr in lemon.ini, or else 127.0.0.1:8080.
    #[arg(long, value_parser = address)]
    addr: Option<SocketAddr>,

    /// The address to serve /healthz and /metrics (for Prometheus) on, which visitors should not be able to reach. Port
    /// 0 selects a free port.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    admin_addr: Option<SocketAddr>,

    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    storage: storage::Args,

    /// The folder for compiled code, which only this user may have access to. Default: lemon-session in the user's
    /// cache folder.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// The number of requests that an instance of the application answers, one after the other.
    ///
    /// With 1, every request has a fresh instance: data that one visitor's request leaves in memory cannot reach
    /// another visitor's request. Higher numbers are several times as fast, but the application must then separate
    /// visitors itself. CGI programs always get a fresh instance.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive::<u32>)]
    reuse: u32,
}

impl Args {
    /// The applications and the paths they are mounted on.
    fn mounts(&self) -> Vec<Mount> {
        self.application.clone().map(Mount::root).into_iter().chain(self.mounts.iter().cloned()).collect()
    }

    /// The settings in lemon.ini, overridden by the flags.
    fn config(&self) -> Result<Config> {
        let mut config = self.storage.config()?;
        config.server.addr = self.addr.unwrap_or(config.server.addr);
        config.server.admin_addr = self.admin_addr.or(config.server.admin_addr);
        Ok(config)
    }
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let config = args.config()?;
    mounts::check(&args.mounts())?;
    let names = names(&args.mounts());
    let settings = Arc::new(config.server.clone());
    files::raise_limit(&settings);
    let metrics = Arc::new(Metrics::new()?);
    let session = SessionCtx::builder(config.stores(&drivers::registry()))
        .observer(metrics.clone())
        .settings(config.settings.clone())
        .limit_new_sessions(config.new_sessions)
        .build()?;
    session.stores().open().await?;
    let store = session.stores().driver(&Location { storage: None, table: None }).await?.clone();
    if let Some(schema) = store.schema()
        && !schema.tables_exist().await?
    {
        schema.create_tables().await?;
        tracing::info!("created the tables of {} in {}", config.storage.options.table, store.summary());
    }

    let cache = Cache::open(args.cache.as_deref()).inspect_err(|error| {
        tracing::warn!("every start compiles the applications, because there is no cache: {error:#}")
    });
    let platform = Platform::new(Engines::for_many(&settings)?, session.clone(), settings.clone(), cache.ok())?;
    let platform = Arc::new(platform);
    let loader = Arc::new(Loader { args, config, platform: platform.clone() });
    let mounts = loader.load(platform.clone(), Grants::new(&loader.config)).await?;
    let site = Arc::new(Site::new(mounts, settings.clone(), metrics.clone()));

    // Before the first line is printed, because a script that waits for it may send a signal immediately.
    let stop = stop()?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (listener, addr) = listen(settings.addr).await?;
    let admin = match settings.admin_addr {
        Some(addr) => Some(listen(addr).await?),
        None => None,
    };
    if let Some((_, addr)) = &admin
        && !addr.ip().is_loopback()
    {
        tracing::warn!(
            "[server] admin-addr is {addr}: everyone who can reach it can read the metrics; listen on 127.0.0.1 or on a \
             private network"
        );
    }
    // Ignores errors, because stdout may be closed.
    let mut stdout = std::io::stdout();
    let greeting = format!("Serving {names} on http://{addr} ({})", store.summary());
    let _ = writeln!(stdout, "{}", log::announcement(&greeting, addr));
    if let Some((listener, addr)) = admin {
        let greeting = format!("Answering /healthz and /metrics on http://{addr}");
        let _ = writeln!(stdout, "{}", log::announcement(&greeting, addr));
        tokio::spawn(census::run(store.clone(), metrics));
        tokio::spawn(admin::serve(listener, Admin { site: site.clone(), platform, store }));
    }
    let _ = stdout.flush();

    tokio::spawn(reload::at_each(hangup, loader, site.clone()));
    listener::serve(listener, site, stop).await;
    session.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    Ok((listener, addr))
}

/// The applications as text: `visits.wasm`, or `/shop=shop.wasm, /blog=blog.wasm`.
fn names(mounts: &[Mount]) -> String {
    match mounts {
        [one] if one.is_root() => one.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Ready when SIGTERM or SIGINT tells the server to stop. A second signal ends the process immediately.
fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping after the requests in flight");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("stopped immediately");
            std::process::exit(1);
        });
    })
}
