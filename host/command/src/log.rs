//! The log, on stderr.

use std::{
    io::stderr,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use clap::{ValueEnum, builder::TypedValueParser};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Log")]
pub struct Args {
    /// The format of log lines.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,

    /// The least severe level that is logged. `debug` logs each request.
    #[arg(
        long,
        global = true,
        default_value = "info",
        value_parser = clap::builder::PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
            .try_map(|level| level.parse::<LevelFilter>())
    )]
    log_level: LevelFilter,

    /// Add the backtrace of an application to the entry about its failure: the frames of its WebAssembly code, and the
    /// traceback or stack that it printed.
    #[arg(long, global = true)]
    log_backtraces: bool,
}

static JSON: AtomicBool = AtomicBool::new(false);
static BACKTRACES: AtomicBool = AtomicBool::new(false);

/// Whether log lines are JSON.
pub fn is_json() -> bool {
    JSON.load(Relaxed)
}

/// What a server prints on stdout about an address that it listens on: the text, or in JSON an object like those of the log.
pub fn announcement(message: &str, address: SocketAddr) -> String {
    if !is_json() {
        return message.to_owned();
    }
    object(message, json!({ "address": address.to_string() }))
}

/// A line for stdout in JSON: an object like those of the log, with the keys of `more` too.
pub fn object(message: &str, more: Value) -> String {
    let mut object = json!({ "timestamp": timestamp(), "level": "INFO", "target": module_path!(), "message": message });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object.to_string()
}

/// The time now as in the log, such as `2026-01-31T12:34:56.123456Z`.
pub fn timestamp() -> String {
    let mut timestamp = String::new();
    // Cannot fail: it writes to a string.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    timestamp
}

/// Whether the backtraces of applications are logged.
pub fn backtraces() -> bool {
    BACKTRACES.load(Relaxed)
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

pub fn init(args: &Args) {
    JSON.store(matches!(args.log_format, Format::Json), Relaxed);
    BACKTRACES.store(args.log_backtraces, Relaxed);
    // From libraries, only warnings and errors matter to an operator.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(args.log_level.min(LevelFilter::WARN))
        .with_target("lemon_session", args.log_level)
        .with_target("lemon_session_host", args.log_level);
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = match args.log_format {
        Format::Text => {
            let colours = anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never;
            layer.with_target(false).with_ansi(colours).boxed()
        }
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
