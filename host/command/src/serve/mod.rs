//! `lemon-session serve`.

mod admin;
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
    config::Config,
    drivers, storage,
};

/// Serve applications over HTTP.
///
/// An application is a component of wasi:http, or one of wasi:cli, which is run as a CGI program. Where it imports
/// lemon:session/sessions it gets sessions; their tables are created if they are not there.
///
/// SIGTERM stops the server once what is in flight is answered. SIGHUP reads the applications, their modules and the settings
/// of sessions anew; requests in flight go on with what they began with, and where the new cannot be loaded, the old is
/// served further and the log says why.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: lemon-session serve visits.wasm --storage sqlite:sessions.db
          lemon-session serve --mount /shop=shop.wasm --mount /blog=blog.wasm")]
pub struct Args {
    /// The application for all paths that no other one is mounted on.
    #[arg(value_name = "APP.wasm", required_unless_present = "mounts")]
    application: Option<PathBuf>,

    /// Mount an application on a path and all below it. May be given several times; the longest path wins. A component of
    /// wasi:http sees the whole path, a CGI program has it in SCRIPT_NAME and PATH_INFO.
    #[arg(long = "mount", value_name = "PATH=APP.wasm")]
    mounts: Vec<Mount>,

    /// Where to listen; port 0 takes any that is free. Without it: where lemon.ini says, or 127.0.0.1:8080.
    #[arg(long)]
    addr: Option<SocketAddr>,

    /// Where to answer /healthz and /metrics, for Prometheus: an address that visitors cannot reach. Port 0 takes any that
    /// is free.
    #[arg(long, value_name = "ADDR")]
    admin_addr: Option<SocketAddr>,

    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    storage: storage::Args,

    /// Where compiled code is kept for the next start: a folder of this user's alone. Without it: lemon-session in the user's
    /// folder for caches.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// How many requests an instance of the application answers, one after the other.
    ///
    /// With 1, every request has a fresh instance: nothing that one visitor's request leaves in memory can ever reach
    /// another visitor's. More is several times as fast, and leaves that to the application. A CGI program is always fresh.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    reuse: u32,
}

impl Args {
    /// What is served where.
    fn mounts(&self) -> Vec<Mount> {
        self.application.clone().map(Mount::root).into_iter().chain(self.mounts.iter().cloned()).collect()
    }

    /// The settings: of lemon.ini, overridden by the flags.
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
    let stores = config.stores(&drivers::registry()).observed(metrics.clone());
    let session = SessionCtx::with(stores, config.settings.clone())?.limit_new_sessions(config.new_sessions);
    session.stores().open().await?;
    let store = session.stores().driver(&Location { storage: None, table: None }).await?.clone();
    if let Some(schema) = store.schema()
        && !schema.tables_exist().await?
    {
        schema.create_tables().await?;
        tracing::info!("created the tables of {} in {}", config.storage.options.table, store.summary());
    }

    let cache = Cache::open(args.cache.as_deref())
        .inspect_err(|error| tracing::warn!("every start compiles anew, as compiled code cannot be kept: {error:#}"));
    let platform = Platform::new(Engines::for_many(&settings)?, session.clone(), settings.clone(), cache.ok())?;
    let platform = Arc::new(platform);
    let loader = Arc::new(Loader { args, config, platform: platform.clone() });
    let mounts = loader.load(platform.clone(), Grants::new(&loader.config)).await?;
    let site = Arc::new(Site::new(mounts, settings.clone(), metrics));

    // Before anything is printed: whoever waits for that line may signal at once.
    let stop = stop()?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (listener, addr) = listen(settings.addr).await?;
    let admin = match settings.admin_addr {
        Some(addr) => Some(listen(addr).await?),
        None => None,
    };
    // Nobody has to listen.
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "Serving {names} on http://{addr} ({})", store.summary());
    if let Some((listener, addr)) = admin {
        if !addr.ip().is_loopback() {
            tracing::warn!(
                "[server] admin-addr is {addr}: everyone who can reach it can read the metrics; listen on 127.0.0.1 or on a \
                 private network"
            );
        }
        let _ = writeln!(stdout, "Answering /healthz and /metrics on http://{addr}");
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

/// What is served: `visits.wasm`, or `/shop=shop.wasm, /blog=blog.wasm`.
fn names(mounts: &[Mount]) -> String {
    match mounts {
        [one] if one.is_root() => one.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Ready when the server is told to stop, by SIGTERM or SIGINT. A second signal ends it at once.
fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what is in flight");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("stopped at once");
            std::process::exit(1);
        });
    })
}
