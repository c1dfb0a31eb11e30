//! `lemon-session cgi`.

mod input;
mod output;
mod script;

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use http::Response;
use lemon_session_host::{SessionCtx, bindings::lemon::session::types::Location, store::Key};
use wasmtime_wasi_http::WasiBody;

use crate::{
    Usage,
    application::{Application, Cache, Failure, Platform, RequestId, cgi::Variables, engine::Engines, forwarded},
    compose::{Modules, Unused},
    drivers, storage,
};

/// Run an application for one request, as a CGI program of a web server.
///
/// The web server describes the request in the environment and on stdin, and gets the response on stdout (RFC 3875). The
/// application is a component of wasi:cli that is a CGI program itself, or one of wasi:http. It gets sessions as in `serve`.
#[derive(clap::Args)]
#[command(after_help = "\
Example, as the file visits.cgi beside visits.wasm, marked as executable:
  #!/usr/bin/env -S lemon-session cgi --storage sqlite:/var/lib/visits/sessions.db")]
pub struct Args {
    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    storage: storage::Args,

    /// Where compiled code is kept for the next request: a folder of this user's alone. Without it: lemon-session in the
    /// user's folder for caches.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// The application, behind all flags. A file that begins with #! stands for the component beside it that has its name
    /// and ends in .wasm.
    #[arg(value_name = "APP.wasm", required = true, trailing_var_arg = true)]
    command_line: Vec<OsString>,
}

/// How long cleaning up may take after a request: the web server may wait for this process.
const CLEANUP: Duration = Duration::from_millis(100);

pub async fn run(args: Args) -> Result<ExitCode> {
    let variables = Variables::of_environment(env::vars_os());
    if variables.get("REQUEST_METHOD").is_none() {
        let why = "REQUEST_METHOD is not set: `cgi` is run by a web server, `serve` is one itself";
        return Err(Usage(why.to_owned()).into());
    }
    check_words(&args.command_line[1..], &variables)?;

    let id = RequestId::of_process();
    let head_alone = variables.get("REQUEST_METHOD") == Some("HEAD");
    let length = variables.content_length();
    let (body, rest) = input::body(*length.as_ref().unwrap_or(&0));
    let (response, platform) = match start(&args).await {
        Ok((platform, application)) => {
            let response = match length {
                Ok(_) => answer(&application, &platform, id, variables, body).await,
                Err(failure) => Err(failure),
            };
            (response, Some(platform))
        }
        Err(error) => {
            drop(body);
            (Err(Failure::Failed(wasmtime::Error::from_anyhow(error))), None)
        }
    };
    let printed = output::print(response.unwrap_or_else(|failure| failure.into_response(id)), head_alone).await;
    rest.discard().await;
    output::end()?;
    if let Some(platform) = platform {
        platform.quiet(platform.settings.request_time).await;
        platform.session().stores().finish_cleanup(CLEANUP).await;
        // The stores are left open, as what was saved is saved. SQLite would copy its log back into the database, which waits
        // for the disk several times, and the next request would have to begin a new one.
        std::mem::forget(platform);
    }
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::warn!(request = %id, "the response was not printed to its end: {error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Words behind the application are those of a query without `=` (RFC 3875, section 4.4). Whoever sends the request chooses
/// them, so they are never flags.
fn check_words(words: &[OsString], variables: &Variables) -> Result<(), Usage> {
    let query = variables.get("QUERY_STRING").unwrap_or_default();
    match words.first() {
        Some(word) if query.is_empty() || query.contains('=') => {
            Err(Usage(format!("{} stands behind the application: all flags stand before it", word.display())))
        }
        _ => Ok(()),
    }
}

async fn start(args: &Args) -> Result<(Arc<Platform>, Application)> {
    let config = args.storage.config()?;
    // The web server bounds how slowly a body may come. What does not come at all is the application's to judge.
    let mut settings = config.server.clone();
    (settings.body_buffer, settings.body_rate) = (0, 0);
    let settings = Arc::new(settings);
    let session = SessionCtx::with(config.stores(&drivers::registry()), config.settings.clone())?;
    let cache = Cache::open(args.cache.as_deref())
        .inspect_err(|error| tracing::warn!("every request compiles anew, as compiled code cannot be kept: {error:#}"));
    let platform = Arc::new(Platform::new(Engines::for_one(&settings)?, session, settings, cache.ok())?);
    let component = script::component(args.command_line[0].as_ref())?;
    let application =
        Application::load(&platform, &component, &args.modules, Unused::Refuse, 1)?.granted(config.manager);
    if application.uses_sessions() {
        let store = platform.session().stores().driver(&Location { storage: None, table: None }).await?;
        // On the connection that the application will use.
        let looked = store.load(&Key::of(""), "", 0, 0).await;
        if looked.is_err_and(|error| error.is_missing_tables()) {
            store.set_up().await?;
            tracing::info!("created the tables of {} in {}", config.storage.options.table, store.summary());
        }
    }
    Ok((platform, application))
}

async fn answer(
    application: &Application,
    platform: &Platform,
    id: RequestId,
    mut variables: Variables,
    body: WasiBody,
) -> Result<Response<WasiBody>, Failure> {
    let mut request = variables.to_request(body)?;
    let peer = variables.get("REMOTE_ADDR").and_then(|peer| peer.parse().ok());
    let client = forwarded::normalise(request.headers_mut(), peer, &platform.settings);
    if variables.https() {
        forwarded::set_https(request.headers_mut(), true);
    }
    let headers = request.headers().clone();
    application
        .answer(id, client, request, |_| {
            variables.complete(&headers, client);
            Ok(variables)
        })
        .await
}
