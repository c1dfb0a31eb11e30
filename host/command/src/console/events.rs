//! Server-sent events for the overview: the history first, then each new point, as data for the charts and as the part of the
//! page that shows the present.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{
    Console,
    failure::{Failure, Result},
    history::Point,
    overview,
    response::{self, Body},
};

/// The maximum number of streams at the same time. The address has 64 connections, of which some must remain for others.
pub const STREAMS: usize = 16;

/// A stream for the session with this id. It ends with the session, and when the server stops.
pub fn show(console: &Arc<Console>, id: String) -> Result<Response<Body>> {
    let Ok(permit) = console.streams.clone().try_acquire_owned() else {
        let text = format!("{STREAMS} browsers have the overview open already.");
        return Err(Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let body =
        StreamBody::new(events(Follower { console: console.clone(), ticks: console.ticks(), id, _permit: permit }));
    let mut response = response::of_type(StatusCode::OK, "text/event-stream", "");
    *response.body_mut() = body.boxed_unsync();
    Ok(response)
}

/// A browser that has the overview open.
struct Follower {
    console: Arc<Console>,
    ticks: watch::Receiver<()>,
    /// Of the session.
    id: String,
    _permit: OwnedSemaphorePermit,
}

fn events(follower: Follower) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static {
    let points: Value = follower.console.history.points().iter().map(|point| point.to_json()).collect();
    let first = event("history", &points.to_string());
    let rest = stream::unfold(follower, async |mut follower| {
        follower.ticks.changed().await.ok()?;
        let is_live = follower.console.access.is_live(&follower.id).await.unwrap_or(false);
        if !is_live || follower.console.admin.site.is_stopping() {
            return None;
        }
        let point = follower.console.history.latest()?;
        Some((data(&point), follower))
    });
    stream::StreamExt::map(stream::StreamExt::chain(stream::once(async { first }), rest), |text| {
        Ok(Frame::data(text.into()))
    })
}

fn data(point: &Point) -> String {
    let json = event("point", &point.to_json().to_string());
    match overview::now(point) {
        Ok(html) => json + &event("now", &html),
        Err(_) => json,
    }
}

/// One event. Each line of the data has a field of its own.
fn event(name: &str, data: &str) -> String {
    let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("event: {name}\n{lines}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_event_is_a_field() {
        assert_eq!(event("now", "<p>\n\n</p>"), "event: now\ndata: <p>\ndata: \ndata: </p>\n\n");
    }
}
