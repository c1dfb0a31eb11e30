//! Metrics for Prometheus. docs/metrics.md describes them.
//!
//! Labels never contain text from a client or an application. Counting takes no lock and allocates no memory.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use lemon_session_host::{
    Observer,
    observer::{Operation, Outcome},
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
    TextEncoder, core::Collector,
};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::output;

/// In seconds: an operation on an embedded store takes microseconds, and one on an overloaded server takes seconds.
const OPERATION_BUCKETS: [f64; 15] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// In seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// All metrics of this process.
pub struct Metrics {
    registry: Registry,

    started: IntCounter,
    resumed: IntCounter,
    refused: [IntCounter; 3],
    ended: [IntCounter; 3],
    saves: [IntCounter; 8],
    operations: [Histogram; OPERATIONS],
    failures: [IntCounter; OPERATIONS],
    removed: IntCounter,
    last_cleanup: IntGauge,
    /// Without a value while the number is not known.
    live: IntGaugeVec,
    backlog: IntGaugeVec,

    requests: [IntCounter; 6],
    in_flight: IntGauge,
    durations: Histogram,
    connections: IntGauge,
    closed: [IntCounter; 2],
    guests: IntGauge,
    reloads: [IntCounter; 2],
}

/// Why a connection was closed.
#[derive(Clone, Copy)]
pub enum Closed {
    /// It was idle, and another connection needed its place.
    Idle,
    /// Its address had reached its limit.
    Share,
}

const OPERATIONS: usize = Operation::ALL.len();

impl Metrics {
    pub fn new() -> Result<Self> {
        let registry = Registry::new_custom(Some("lemon_session".to_owned()), None)?;
        let names = Operation::ALL.map(Operation::name);
        let built = IntGauge::with_opts(
            Opts::new("build_info", "The version of this server; always 1.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        register(&registry, built)?.set(1);
        Ok(Self {
            started: counter(&registry, "sessions_started_total", "Sessions that were stored for the first time.")?,
            resumed: counter(&registry, "sessions_resumed_total", "Loads that found a live session.")?,
            refused: counters(
                &registry,
                "sessions_refused_total",
                "Loads that found no live session with the presented id.",
                "reason",
                ["unknown", "expired", "ended"],
            )?,
            ended: counters(
                &registry,
                "sessions_ended_total",
                "Sessions that ended, by cause: expired when used, destroyed, or destroyed with all others of their owner.",
                "cause",
                ["expired", "destroyed", "owner"],
            )?,
            saves: counters(
                &registry,
                "saves_total",
                "Saves with changes, by outcome.",
                "outcome",
                ["committed", "conflict", "gone", "too_large", "too_many", "too_many_owned", "failed", "abandoned"],
            )?,
            operations: histograms(
                &registry,
                "storage_operation_duration_seconds",
                "The duration of operations on the store.",
                "operation",
                names,
            )?,
            failures: counters(
                &registry,
                "storage_failures_total",
                "Operations that failed, or that were abandoned by their request.",
                "operation",
                names,
            )?,
            removed: counter(
                &registry,
                "cleanup_removed_total",
                "Expired sessions and tombstones that cleanups of this server removed.",
            )?,
            last_cleanup: gauge(
                &registry,
                "cleanup_last_run_timestamp_seconds",
                "When a cleanup of this server last removed a batch or found nothing to remove; 0 means never.",
            )?,
            live: optional(&registry, "sessions_live", "Live sessions in the default store, counted once a minute.")?,
            backlog: optional(
                &registry,
                "cleanup_backlog",
                "Expired sessions and tombstones in the default store that a cleanup would remove, counted once a minute.",
            )?,
            requests: counters(
                &registry,
                "http_requests_total",
                "Requests by the class of the response's status; none: the client disconnected before.",
                "status",
                ["1xx", "2xx", "3xx", "4xx", "5xx", "none"],
            )?,
            in_flight: gauge(
                &registry,
                "http_requests_in_flight",
                "Requests whose response is not complete, including those that wait for their turn.",
            )?,
            durations: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "http_request_duration_seconds",
                        "From the head of the request to the last byte of the response.",
                    )
                    .buckets(REQUEST_BUCKETS.to_vec()),
                )?,
            )?,
            connections: gauge(&registry, "http_connections", "Open connections.")?,
            closed: counters(
                &registry,
                "http_connections_closed_total",
                "Connections that were closed because of the limits of connections.",
                "reason",
                ["idle", "share"],
            )?,
            guests: gauge(&registry, "guests", "Live instances of applications.")?,
            reloads: counters(
                &registry,
                "reloads_total",
                "Reloads of the applications.",
                "outcome",
                ["done", "failed"],
            )?,
            registry,
        })
    }

    /// The text that Prometheus reads.
    pub fn text(&self, guests: usize) -> Result<String> {
        self.guests.set(guests as i64);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Counts an open connection until the result is dropped.
    pub fn connection(&self) -> Counted {
        Counted::new(&self.connections)
    }

    /// Counts a request in flight until the result, or the response it returns, is dropped.
    pub fn request(self: &Arc<Self>) -> InFlight {
        let counted = Counted::new(&self.in_flight);
        InFlight { metrics: self.clone(), begun: Instant::now(), status: None, _counted: counted }
    }

    /// Counts a connection that was closed because of the limits.
    pub fn closed(&self, reason: Closed) {
        self.closed[reason as usize].inc();
    }

    /// Sets what the default store holds; `None` leaves the number out.
    pub fn counted(&self, live: Option<u64>, backlog: Option<u64>) {
        for (gauge, count) in [(&self.live, live), (&self.backlog, backlog)] {
            match count {
                Some(count) => gauge.with_label_values::<&str>(&[]).set(i64::try_from(count).unwrap_or(i64::MAX)),
                None => gauge.reset(),
            }
        }
    }

    pub fn reloaded(&self, done: bool) {
        self.reloads[usize::from(!done)].inc();
    }
}

impl Observer for Metrics {
    fn observe(&self, operation: Operation, outcome: Outcome, time: Duration) {
        self.operations[operation as usize].observe(time.as_secs_f64());
        if matches!(outcome, Outcome::Failed | Outcome::Abandoned) {
            self.failures[operation as usize].inc();
        }
        let [unknown, expired, ended] = &self.refused;
        let [by_expiry, destroyed, by_owner] = &self.ended;
        let [committed, conflict, gone, too_large, too_many, too_many_owned, failed, abandoned] = &self.saves;
        match (operation, outcome) {
            (_, Outcome::Found) => self.resumed.inc(),
            (_, Outcome::Absent) => unknown.inc(),
            (_, Outcome::Expired) => {
                expired.inc();
                by_expiry.inc();
            }
            (_, Outcome::Ended) => ended.inc(),
            (_, Outcome::Created) => {
                self.started.inc();
                committed.inc();
            }
            (_, Outcome::Committed) => committed.inc(),
            (_, Outcome::Conflict) => conflict.inc(),
            (_, Outcome::Gone) => gone.inc(),
            (_, Outcome::TooLarge) => too_large.inc(),
            (_, Outcome::TooMany) => too_many.inc(),
            (_, Outcome::TooManyOwned) => too_many_owned.inc(),
            (Operation::Create | Operation::Update, Outcome::Failed | Outcome::Exists) => failed.inc(),
            (Operation::Create | Operation::Update, Outcome::Abandoned) => abandoned.inc(),
            (Operation::Destroy, Outcome::Removed(count)) => destroyed.inc_by(count),
            (Operation::DestroyOwned, Outcome::Removed(count)) => by_owner.inc_by(count),
            (Operation::Cleanup, Outcome::Removed(count)) => {
                self.removed.inc_by(count);
                self.last_cleanup.set(output::now() as i64);
            }
            _ => {}
        }
    }
}

/// Increments a gauge until it is dropped.
pub struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request in flight.
pub struct InFlight {
    metrics: Arc<Metrics>,
    begun: Instant,
    status: Option<StatusCode>,
    _counted: Counted,
}

impl InFlight {
    /// Wraps the response, so that the request is in flight until its last byte is sent.
    pub fn answered(mut self, response: http::Response<WasiBody>) -> http::Response<Answer> {
        self.status = Some(response.status());
        response.map(|body| Answer { body, _request: self })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let class = self.status.map_or(6, |status| usize::from(status.as_u16() / 100));
        if let Some(counter) = self.metrics.requests.get(class.wrapping_sub(1)) {
            counter.inc();
        }
        self.metrics.durations.observe(self.begun.elapsed().as_secs_f64());
    }
}

/// The body of a response.
pub struct Answer {
    body: WasiBody,
    _request: InFlight,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter> {
    register(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

/// A gauge that can be absent.
fn optional(registry: &Registry, name: &str, help: &str) -> Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), &[])?)
}

/// A counter for each value of a label. There are no other values.
fn counters<const N: usize>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: [&str; N],
) -> Result<[IntCounter; N]> {
    let counters = register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)?;
    Ok(values.map(|value| counters.with_label_values(&[value])))
}

fn histograms<const N: usize>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: [&str; N],
) -> Result<[Histogram; N]> {
    let options = HistogramOpts::new(name, help).buckets(OPERATION_BUCKETS.to_vec());
    let histograms = register(registry, HistogramVec::new(options, &[label])?)?;
    Ok(values.map(|value| histograms.with_label_values(&[value])))
}
