//! `lemon-session cgi`.

mod input;
mod output;
mod script;

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use http::{Method, Response};
use lemon_session_host::{SessionCtx, bindings::lemon::session::types::Location, store::Digest};
use wasmtime_wasi_http::WasiBody;

use crate::{
    Usage,
    application::{
        Application, Cache, Failure, Platform, RequestId, Subject, cgi::Variables, device_bound, engine::Engines,
        forwarded, same_origin,
    },
    compose::{Modules, Unused},
    drivers, storage,
};

/// Run an application for one request, as a CGI program of a web server.
///
/// The web server passes the request in environment variables and on stdin, and reads the response from stdout (RFC
/// 3875). The application is a component of wasi:http, or one of wasi:cli that is a CGI program itself. It has sessions
/// as in `serve`.
#[derive(clap::Args)]
#[command(after_help = "\
Example, as the file visits.cgi beside visits.wasm, marked as executable:
  #!/usr/bin/env -S lemon-session cgi --storage sqlite:/var/lib/visits/sessions.db")]
pub struct Args {
    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    storage: storage::Args,

    /// The folder for compiled code, which only this user may have access to. Default: lemon-session in the user's
    /// cache folder.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// The application, after all flags. A file that begins with #! stands for the component in the same folder with
    /// the same name and the extension .wasm.
    #[arg(value_name = "APP.wasm", required = true, trailing_var_arg = true)]
    command_line: Vec<OsString>,
}

/// The time limit of a cleanup after the request: the web server may wait for this process to exit.
const CLEANUP: Duration = Duration::from_millis(100);

pub async fn run(args: Args) -> Result<ExitCode> {
    let variables = Variables::of_environment(env::vars_os());
    if variables.get("REQUEST_METHOD").is_none() {
        let why = "REQUEST_METHOD is not set: a web server runs `cgi`; to run a server, use `serve`";
        return Err(Usage(why.to_owned()).into());
    }
    check_words(&args.command_line[1..], &variables)?;

    let method = variables.get("REQUEST_METHOD").and_then(|method| method.parse().ok()).unwrap_or(Method::GET);
    let mut subject = Subject::new(RequestId::of_process(), &method);
    let head_alone = method == Method::HEAD;
    let length = variables.content_length();
    let (body, rest) = input::body(*length.as_ref().unwrap_or(&0));
    let (response, platform) = match start(&args).await {
        Ok((platform, application)) => {
            subject = subject.of(application.name());
            let response = match length {
                Ok(_) => answer(&application, &platform, subject.clone(), variables, body).await,
                Err(failure) => Err(failure),
            };
            (response, Some(platform))
        }
        Err(error) => {
            drop(body);
            (Err(Failure::Failed(wasmtime::Error::from_anyhow(error))), None)
        }
    };
    let printed = output::print(response.unwrap_or_else(|failure| failure.to_response(&subject)), head_alone).await;
    rest.discard().await;
    output::end()?;
    if let Some(platform) = platform {
        platform.quiet(platform.settings.request_time).await;
        platform.session().stores().finish_cleanup(CLEANUP).await;
        // The stores are not closed, because all saves are durable already. Closing would make SQLite copy its log into
        // the database, with several waits for the disk, and the next request would have to create a new log.
        std::mem::forget(platform);
    }
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            about!(warn, subject, "the response could not be written completely: {error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Arguments after the application are the words of a query without `=` (RFC 3875, section 4.4). The client controls
/// them, so they must never be treated as flags.
fn check_words(words: &[OsString], variables: &Variables) -> Result<(), Usage> {
    let query = variables.get("QUERY_STRING").unwrap_or_default();
    match words.first() {
        Some(word) if query.is_empty() || query.contains('=') => {
            Err(Usage(format!("{} follows the application: pass all flags before it", word.display())))
        }
        _ => Ok(()),
    }
}

async fn start(args: &Args) -> Result<(Arc<Platform>, Application)> {
    let config = args.storage.config()?;
    // The web server limits slow bodies. The application decides how to treat an incomplete one.
    let mut settings = config.server.clone();
    (settings.body_buffer, settings.body_rate) = (0, 0);
    // An instance that could answer more requests would wait for them.
    settings.concurrency = 1;
    let settings = Arc::new(settings);
    let session = SessionCtx::builder(config.stores(&drivers::registry())).settings(config.settings.clone()).build()?;
    let cache = Cache::open(args.cache.as_deref()).inspect_err(|error| {
        tracing::warn!("every request compiles the application, because there is no cache: {error:#}")
    });
    let platform = Arc::new(Platform::new(Engines::for_one(&settings)?, session, settings, cache.ok())?);
    let component = script::component(args.command_line[0].as_ref())?;
    let application =
        Application::load(&platform, &component, &args.modules, Unused::Refuse, 1)?.granted(config.manager);
    if application.uses_sessions() {
        let store = platform.session().stores().driver(&Location { storage: None, table: None }).await?;
        // Checks for the tables on the connection that the application will use.
        let looked = store.load(&Digest::of(""), "", 0, 0).await;
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
    subject: Subject,
    mut variables: Variables,
    body: WasiBody,
) -> Result<Response<WasiBody>, Failure> {
    let mut request = variables.to_request(body)?;
    let peer = variables.get("REMOTE_ADDR").and_then(|peer| peer.parse().ok());
    let client = forwarded::normalise(request.headers_mut(), peer, &platform.settings);
    if variables.https() {
        forwarded::set_https(request.headers_mut(), true);
    }
    same_origin::check(&request, &platform.settings, &subject)?;
    if let Some(head) = device_bound::head(&request)
        && let Some(response) = application.device_bound(&head, &subject).await?
    {
        return Ok(response);
    }
    let headers = request.headers().clone();
    application
        .answer(subject, client, request, |_| {
            variables.complete(&headers, client);
            Ok(variables)
        })
        .await
}
