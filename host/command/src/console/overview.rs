//! The first page: the state of the store and of all servers, and charts of the last hour.

use http::Response;
use minijinja::context;
use serde::Serialize;

use super::{
    Console,
    failure::Result,
    history::{Point, Row},
    page::{self, Frame, Place},
    response::Body,
};

/// A server as it is shown.
#[derive(Serialize)]
struct ServerRow<'a> {
    name: &'a str,
    is_up: bool,
    trouble: Option<&'a str>,
    requests: String,
    in_flight: String,
    connections: String,
    guests: String,
    version: Option<&'a str>,
}

impl<'a> From<&'a Row> for ServerRow<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            name: &row.name,
            is_up: row.is_up,
            trouble: row.trouble.as_deref(),
            requests: number(row.requests_per_second),
            in_flight: number(row.in_flight),
            connections: number(row.connections),
            guests: number(row.guests),
            version: row.version.as_deref(),
        }
    }
}

/// The part of the page that shows the present. It is sent again with each event.
pub fn now(point: &Point) -> Result<String> {
    let per_minute = |metric| number(point.per_second(metric).map(|rate| rate * 60.0));
    // Name, value and unit.
    let figures = [
        ("Live sessions", number(point.live), ""),
        ("To be cleaned up", number(point.backlog), ""),
        ("Session starts", per_minute("sessions_started_total"), "/ min"),
        ("Refused ids", per_minute("sessions_refused_total"), "/ min"),
        ("Requests", number(point.per_second("http_requests_total")), "/ s"),
        ("95 % of requests take", number(point.request_time(0.95).map(|seconds| seconds * 1000.0)), "ms"),
    ];
    let servers: Vec<ServerRow<'_>> = point.servers().iter().map(ServerRow::from).collect();
    page::render("now.html", context! { figures, servers })
}

pub fn show(console: &Console, message: Option<String>) -> Result<Response<Body>> {
    let frame = Frame::new("Overview", Place::Overview, message);
    let now = console.history.latest().map(|point| now(&point)).transpose()?;
    page::html("overview.html", context! { frame, store => console.admin.store.summary(), now })
}

/// For people: `12,345`, `1.5`, and `–` for what is not known.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        Some(value) => indicatif::HumanCount(value.round() as u64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let shown = [None, Some(0.0), Some(1.5), Some(99.96), Some(1234.4), Some(100_000.0)].map(number);
        assert_eq!(shown, ["–", "0", "1.5", "100.0", "1,234", "100,000"]);
    }
}
