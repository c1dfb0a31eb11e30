//! `lemon-session serve`.

mod listener;
mod mounts;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{SessionCtx, bindings::lemon::session::types::Location, driver::Registry};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    application::{Application, Cache, Platform, engine},
    compose::Modules,
    storage,
};
use listener::Site;
use mounts::{Mount, Mounts};

/// Serve applications over HTTP.
///
/// An application is a component of wasi:http, or one of wasi:cli, which is run as a CGI program. Where it imports
/// lemon:session/sessions it gets sessions; their tables are created if they are not there.
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

    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,

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

pub async fn run(args: Args) -> Result<ExitCode> {
    let mounts: Vec<_> = args.application.map(Mount::root).into_iter().chain(args.mounts).collect();
    mounts::check(&mounts)?;
    let names = names(&mounts);
    let config = args.storage.config()?;
    let settings = Arc::new(config.server.clone());
    let stores = config.stores(&Registry::builtin());
    let session = SessionCtx::with(stores, config.settings.clone())?;
    session.stores().open().await?;
    let store = session.stores().driver(&Location { storage: None, table: None }).await?.clone();
    if !store.tables_exist().await? {
        store.create_tables().await?;
        tracing::info!("created the tables of {} in {}", config.storage.options.table, store.summary());
    }

    let cache = Cache::open(args.cache.as_deref())
        .inspect_err(|error| tracing::warn!("every start compiles anew, as compiled code cannot be kept: {error:#}"));
    let platform = Platform::new(engine::for_many(&settings)?, session.clone(), settings.clone(), cache.ok());
    let platform = Arc::new(platform);
    let mounts = Mounts::load(mounts, |file| Application::load(&platform, file, &args.modules, args.reuse))?;

    // Before anything is printed: whoever waits for that line may stop the server at once.
    let stop = stop()?;
    let listener = TcpListener::bind(args.addr).await.with_context(|| format!("cannot listen on {}", args.addr))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    let mut stdout = std::io::stdout();
    // Nobody has to listen.
    let _ = writeln!(stdout, "Serving {names} on http://{addr} ({})", store.summary()).and_then(|()| stdout.flush());

    listener::serve(listener, Site { mounts, settings }, stop).await;
    session.close().await?;
    Ok(ExitCode::SUCCESS)
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
