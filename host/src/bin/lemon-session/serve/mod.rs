//! `lemon-session serve`.

mod forwarded;
mod listener;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{SessionCtx, bindings::lemon::session::types::Location, driver::Registry};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    application::{Application, engine::engine},
    compose::Modules,
    storage,
};
use listener::Site;

/// Serve an application over HTTP.
///
/// The application is a component of wasi:http. Where it imports lemon:session/sessions it gets sessions; their tables are
/// created if they are not there.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session serve visits.wasm --storage sqlite:sessions.db")]
pub struct Args {
    /// The application.
    #[arg(value_name = "APP.wasm")]
    application: PathBuf,

    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,

    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    storage: storage::Args,

    /// How many requests an instance of the application answers, one after the other.
    ///
    /// With 1, every request has a fresh instance: nothing that one visitor's request leaves in memory can ever reach
    /// another visitor's. More is several times as fast, and leaves that to the application.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    reuse: u32,
}

pub async fn run(args: Args) -> Result<ExitCode> {
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

    let engine = engine(&settings)?;
    let application =
        Application::load(&engine, &args.application, &args.modules, session.clone(), &settings, args.reuse)?;

    // Before anything is printed: whoever waits for that line may stop the server at once.
    let stop = stop()?;
    let listener = TcpListener::bind(args.addr).await.with_context(|| format!("cannot listen on {}", args.addr))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    let name = args.application.file_name().unwrap_or_default().to_string_lossy();
    let mut stdout = std::io::stdout();
    // Nobody has to listen.
    let _ = writeln!(stdout, "Serving {name} on http://{addr} ({})", store.summary()).and_then(|()| stdout.flush());

    listener::serve(listener, Site { application, settings }, stop).await;
    session.close().await?;
    Ok(ExitCode::SUCCESS)
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
