//! `lemon-session serve`.

pub mod admin;
mod census;
mod connections;
mod conversation;
mod dev;
mod files;
mod host;
mod listener;
mod metrics;
mod mounts;
mod ports;
mod reload;
mod unstuck;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{Observer, SessionCtx, bindings::lemon::session::types::Location, store::Store};
use tokio::signal::unix::{SignalKind, signal};

use admin::Admin;
use dev::{Dev, Noted};
use listener::Site;
use metrics::Metrics;
use mounts::{Grants, Mount, Mounts};
use ports::Ports;
use reload::Loader;

use crate::{
    Usage,
    application::{Cache, Platform, engine::Engines},
    compose::Modules,
    config::{Config, address},
    console::{self, Console, IsNew, Token},
    drivers, log,
    output::{self, positive},
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

    /// Develop an application: reload it when its file changes, show its failures in the browser, and print a line for each
    /// request. Everyone who can reach the server sees them, with what the application prints: not for a site.
    #[arg(long)]
    dev: bool,

    /// The address to listen on; port 0 selects a free port. Default: addr in lemon.ini, or else 127.0.0.1:8080.
    #[arg(long, value_parser = address)]
    addr: Option<SocketAddr>,

    /// The address to serve /healthz and /metrics (for Prometheus) on, which visitors should not be able to reach. Port
    /// 0 selects a free port.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    admin_addr: Option<SocketAddr>,

    /// Serve the console at the admin address, a site for operators. It needs a token to sign in, which is printed here,
    /// or which the environment variable LEMON_SESSION_CONSOLE_TOKEN contains.
    #[arg(long)]
    console: bool,

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
        config.server.console |= self.console;
        if config.server.console && config.server.admin_addr.is_none() {
            let missing =
                "the console needs an admin address: pass --admin-addr 127.0.0.1:9090, or set [server] admin-addr";
            return Err(Usage(missing.to_owned()).into());
        }
        Ok(config)
    }
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let config = args.config()?;
    mounts::check(&args.mounts())?;
    let names = names(&args.mounts());
    let settings = Arc::new(config.server.clone());
    files::raise_limit(&settings);
    // Before anything is created or compiled: what cannot be served leaves nothing behind. Connections that arrive until the
    // applications are loaded wait in the backlog.
    if !args.dev {
        mounts::check_files(&args.mounts())?;
    }
    let Ports { site: (listener, addr), admin } = Ports::bind(&settings, args.dev).await?;
    let console = settings.console.then(Token::new).transpose()?;

    let metrics = Arc::new(Metrics::new()?);
    let events = Arc::default();
    let observer: Arc<dyn Observer> = match args.dev {
        true => Arc::new(Noted { events: Arc::clone(&events), metrics: metrics.clone() }),
        false => metrics.clone(),
    };
    let session = SessionCtx::builder(config.stores(&drivers::registry()))
        .observer(observer)
        .settings(config.settings.clone())
        .limit_new_sessions(config.new_sessions)
        .build()?;
    let store = open(&session, &config).await?;

    let cache = Cache::open(args.cache.as_deref()).inspect_err(|error| {
        tracing::warn!("every start compiles the applications, because there is no cache: {error:#}")
    });
    let platform = Platform::new(Engines::for_many(&settings)?, session.clone(), settings.clone(), cache.ok())?;
    let platform = Arc::new(platform);
    let loader = Arc::new(Loader { args, config, platform: platform.clone() });
    let storages = || loader.config.storages.keys().cloned().collect();
    let dev = loader.args.dev.then(|| Arc::new(Dev::new(session.clone(), storages(), events)));
    let watch = dev.as_ref().map(|_| loader.watch());
    let mounts = load(&loader, &platform, &names, dev.as_deref()).await?;
    let site = Arc::new(Site::new(mounts, settings.clone(), metrics.clone(), dev));

    // Before the first line is printed, because a script that waits for it may send a signal immediately.
    let stop = stop()?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    // Ignores errors, because stdout may be closed.
    let mut stdout = std::io::stdout();
    let mode = if site.dev.is_some() { ", for development" } else { "" };
    let greeting = format!("Serving {names} on http://{addr} ({}{mode})", store.summary());
    let _ = writeln!(stdout, "{}", log::announcement(&greeting, addr));
    if let Some((listener, addr)) = admin {
        let greeting = format!("Answering /healthz and /metrics on http://{addr}");
        let _ = writeln!(stdout, "{}", log::announcement(&greeting, addr));
        let admin = Arc::new(Admin { site: site.clone(), platform, store: store.clone(), name: console::random()? });
        let console = match console {
            None => None,
            Some((token, is_new)) => {
                let _ = writeln!(stdout, "{}", log::announcement(&console_greeting(addr, &token, is_new), addr));
                let storage = loader.args.storage.clone();
                let remember = loader.config.settings.remember_ended;
                let parts =
                    console::Parts { admin: admin.clone(), addr, token, settings: &settings, storage, remember };
                let console = Console::new(parts)?;
                tokio::spawn(console.clone().watch());
                Some(console)
            }
        };
        tokio::spawn(census::run(store, metrics));
        tokio::spawn(admin::serve(listener, admin, console));
    }
    let _ = stdout.flush();

    tokio::spawn(reload::at_each(hangup, watch, loader, site.clone()));
    listener::serve(listener, site, stop).await;
    session.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn console_greeting(addr: SocketAddr, token: &Token, IsNew(is_new): IsNew) -> String {
    match is_new {
        true => format!("The console is on http://{addr}/console, and the token to sign in is {}", token.reveal()),
        false => format!("The console is on http://{addr}/console, and the token is that in {}", console::TOKEN),
    }
}

/// The default store, with its tables, which are created if they are missing.
async fn open(session: &SessionCtx, config: &Config) -> Result<Arc<dyn Store>> {
    session.stores().open().await?;
    let store = session.stores().driver(&Location { storage: None, table: None }).await?.clone();
    if let Some(schema) = store.schema()
        && !schema.tables_exist().await?
    {
        schema.create_tables().await?;
        tracing::info!("created the tables of {} in {}", config.storage.options.table, store.summary());
    }
    Ok(store)
}

/// The applications, loaded for the first time. In development, none if they cannot be loaded.
async fn load(loader: &Arc<Loader>, platform: &Arc<Platform>, names: &str, dev: Option<&Dev>) -> Result<Mounts> {
    let loaded = loader.load(platform.clone(), Grants::new(&loader.config)).await;
    let Some(dev) = dev else { return loaded };
    Ok(match loaded {
        Ok(mounts) => {
            dev.loaded();
            mounts
        }
        Err(error) => {
            let why = output::causes(&error);
            tracing::error!("{names} cannot be loaded, and is waited for: {why}");
            dev.not_loaded(&why);
            Mounts::none()
        }
    })
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
