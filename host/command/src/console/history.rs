//! What the servers counted in the last hour, in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::{Map, Value, json};

use super::{reading::Reading, servers::Server};

/// The number of points: one each [`TICK`](super::TICK) for an hour.
const POINTS: usize = 720;

/// The state of all servers at one time.
pub struct Point {
    /// In seconds since 1970.
    time: u64,
    servers: Vec<Row>,
    /// Of the store that they share. `None` where no server knows.
    pub live: Option<f64>,
    pub backlog: Option<f64>,
    /// What all servers counted since the point before; `None` for the first one.
    counted: Option<Counted>,
}

/// What was counted within a time.
struct Counted {
    reading: Reading,
    seconds: f64,
}

/// One server.
pub struct Row {
    pub name: String,
    pub trouble: Option<String>,
    /// Whether it answered.
    pub is_up: bool,
    pub version: Option<String>,
    pub requests_per_second: Option<f64>,
    pub in_flight: Option<f64>,
    pub connections: Option<f64>,
    pub guests: Option<f64>,
}

impl Point {
    pub fn servers(&self) -> &[Row] {
        &self.servers
    }

    /// How often something was counted per second, summed over all servers.
    pub fn per_second(&self, metric: &str) -> Option<f64> {
        self.counted.as_ref().map(|counted| counted.reading.sum(metric) / counted.seconds)
    }

    /// A quantile of the time that requests took, in seconds. `None` without a request.
    pub fn request_time(&self, q: f64) -> Option<f64> {
        self.counted.as_ref()?.reading.quantile(q, "http_request_duration_seconds", "")
    }

    /// A quantile of the time that the store took to load a session, in seconds.
    fn load_time(&self, q: f64) -> Option<f64> {
        let name = "storage_operation_duration_seconds";
        self.counted.as_ref()?.reading.quantile(q, name, "operation=\"load\",")
    }

    /// For the charts: rates per minute, times in milliseconds.
    pub fn to_json(&self) -> Value {
        let mut values = Map::new();
        let mut set = |name: &str, value: Option<f64>| {
            values.insert(name.to_owned(), value.map_or(Value::Null, |value| json!((value * 1000.0).round() / 1000.0)));
        };
        set("time", Some(self.time as f64));
        set("live", self.live);
        set("backlog", self.backlog);
        let rates = [
            ("started", "sessions_started_total", ""),
            ("unknown", "sessions_refused_total", "{reason=\"unknown\"}"),
            ("expired", "sessions_refused_total", "{reason=\"expired\"}"),
            ("ended", "sessions_refused_total", "{reason=\"ended\"}"),
            ("committed", "saves_total", "{outcome=\"committed\"}"),
            ("conflict", "saves_total", "{outcome=\"conflict\"}"),
            ("gone", "saves_total", "{outcome=\"gone\"}"),
            ("too_large", "saves_total", "{outcome=\"too_large\"}"),
            ("too_many", "saves_total", "{outcome=\"too_many\"}"),
            ("too_many_owned", "saves_total", "{outcome=\"too_many_owned\"}"),
            ("failed", "saves_total", "{outcome=\"failed\"}"),
            ("abandoned", "saves_total", "{outcome=\"abandoned\"}"),
            ("removed", "cleanup_removed_total", ""),
        ];
        for (name, metric, labels) in rates {
            set(name, self.per_second(&format!("{metric}{labels}")).map(|rate| rate * 60.0));
        }
        set("failures", self.per_second("storage_failures_total").map(|rate| rate * 60.0));
        for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            set(name, self.request_time(q).map(|seconds| seconds * 1000.0));
        }
        set("load", self.load_time(0.95).map(|seconds| seconds * 1000.0));
        Value::Object(values)
    }
}

/// The points of the last hour, oldest first.
#[derive(Default)]
pub struct History(Mutex<State>);

#[derive(Default)]
struct State {
    points: VecDeque<Arc<Point>>,
    /// The last reading of each server that answered, and its time.
    readings: HashMap<String, (Instant, Reading)>,
    last: Option<Instant>,
}

impl History {
    /// The latest point.
    pub fn latest(&self) -> Option<Arc<Point>> {
        self.state().points.back().cloned()
    }

    /// All points.
    pub fn points(&self) -> Vec<Arc<Point>> {
        self.state().points.iter().cloned().collect()
    }

    /// Adds a point of what the servers answered at `now`, which is `time` in seconds since 1970.
    pub fn add(&self, servers: Vec<Server>, now: Instant, time: u64) {
        let mut state = self.state();
        let (mut sum, mut is_counted) = (Reading::default(), false);
        let (mut live, mut backlog) = (None, None);
        let mut rows = Vec::with_capacity(servers.len());
        let mut readings = HashMap::new();
        for Server { name, reading, trouble } in servers {
            let get = |series| reading.as_ref().and_then(|reading| reading.get(series));
            let since = reading.as_ref().zip(state.readings.get(&name)).map(|(reading, (then, before))| Counted {
                reading: reading.since(before),
                seconds: now.saturating_duration_since(*then).as_secs_f64().max(0.001),
            });
            live = max(live, get("sessions_live"));
            backlog = max(backlog, get("cleanup_backlog"));
            rows.push(Row {
                trouble,
                is_up: reading.is_some(),
                version: reading.as_ref().and_then(Reading::version).map(str::to_owned),
                requests_per_second: since
                    .as_ref()
                    .map(|since| since.reading.sum("http_requests_total") / since.seconds),
                in_flight: get("http_requests_in_flight"),
                connections: get("http_connections"),
                guests: get("guests"),
                name: name.clone(),
            });
            if let Some(since) = since {
                sum.add(&since.reading);
                is_counted = true;
            }
            if let Some(reading) = reading {
                readings.insert(name, (now, reading));
            }
        }
        let seconds = state.last.map(|last| now.saturating_duration_since(last).as_secs_f64().max(0.001));
        let counted = seconds.filter(|_| is_counted).map(|seconds| Counted { reading: sum, seconds });
        let point = Point { time, servers: rows, live, backlog, counted };
        state.points.push_back(Arc::new(point));
        if state.points.len() > POINTS {
            state.points.pop_front();
        }
        (state.readings, state.last) = (readings, Some(now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of servers that share a store, each tells what is in the store: the newest number is the largest, near enough.
fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn server(name: &str, requests: u32, live: u32) -> Server {
        let text = format!(
            "lemon_session_http_requests_total{{status=\"2xx\"}} {requests}\nlemon_session_sessions_live {live}\n\
             lemon_session_saves_total{{outcome=\"failed\"}} {requests}\n"
        );
        Server { name: name.to_owned(), reading: Some(Reading::parse(&text)), trouble: None }
    }

    #[test]
    fn servers_are_summed_and_what_they_share_is_not() {
        let (history, begun) = (History::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        history.add(vec![server("a", 10, 5), server("b", 100, 6)], at(0), 1000);
        assert_eq!(history.latest().unwrap().per_second("http_requests_total"), None, "nothing to compare with");
        history.add(vec![server("a", 20, 7), server("b", 140, 6)], at(5), 1005);
        let latest = history.latest().unwrap();
        assert_eq!(latest.per_second("http_requests_total"), Some(10.0));
        assert_eq!(latest.live, Some(7.0));
        assert_eq!(latest.servers()[1].requests_per_second, Some(8.0));
        assert_eq!(latest.to_json()["failed"], json!(600.0), "per minute");
        assert_eq!(latest.to_json()["p95"], Value::Null);
    }

    #[test]
    fn a_server_that_does_not_answer_is_missing_from_the_sum_until_it_answered_twice() {
        let (history, begun) = (History::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let dead = || Server { name: "b".to_owned(), reading: None, trouble: Some("cannot be reached".to_owned()) };
        for (seconds, b, sum) in
            [(0, server("b", 100, 6), None), (5, dead(), Some(0.0)), (10, server("b", 900, 6), Some(0.0))]
        {
            history.add(vec![server("a", 10, 5), b], at(seconds), 1000 + seconds);
            assert_eq!(history.latest().unwrap().per_second("http_requests_total"), sum, "{seconds}");
        }
        assert!(history.points()[1].servers()[1].trouble.is_some() && !history.points()[1].servers()[1].is_up);
    }

    #[test]
    fn it_holds_an_hour() {
        let (history, begun) = (History::default(), Instant::now());
        for i in 0..POINTS as u64 + 5 {
            history.add(Vec::new(), begun + Duration::from_secs(5 * i), i);
        }
        assert_eq!((history.points().len(), history.points()[0].time), (POINTS, 5));
    }
}
