//! One line on stdout for each request.

use std::{
    fmt::Write as _,
    io::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::json;
use wasmtime_wasi_http::{Error, WasiBody};

use super::events::Events;
use crate::{
    application::{RequestId, Subject},
    log, output,
};

/// A request, whose line is printed when this is dropped: after the last byte of its response, or when its client has left.
pub struct Line {
    id: RequestId,
    method: &'static str,
    path: String,
    begun: Instant,
    events: Arc<Events>,
    status: Option<StatusCode>,
    /// Bytes of the body.
    bytes: u64,
    /// How many there are, if that is known before the end.
    length: Option<u64>,
    is_complete: bool,
}

impl Line {
    /// The line of a request that has arrived.
    pub fn begin(subject: &Subject, path: &str, events: Arc<Events>) -> Self {
        events.begin(subject.id.number());
        let (id, method, path) = (subject.id, subject.method, output::name(path));
        Self {
            id,
            method,
            path,
            begun: Instant::now(),
            events,
            status: None,
            bytes: 0,
            length: None,
            is_complete: false,
        }
    }

    /// The response, whose last byte is the end of the line.
    pub fn answered(mut self, response: Response<WasiBody>, method: &Method) -> Response<WasiBody> {
        self.status = Some(response.status());
        let header =
            response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        self.length = header.or_else(|| response.body().size_hint().exact());
        // Such a response is sent without its body.
        self.is_complete = method == Method::HEAD
            || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || response.body().is_end_stream();
        response.map(|body| Counted { body, line: self }.boxed_unsync())
    }

    /// As text, in colours.
    fn text(&self, time: &str, events: &[&str]) -> String {
        const DIM: Style = Style::new().dimmed();
        const BOLD: Style = Style::new().bold();
        let colour = match self.status.map_or(5, |status| status.as_u16() / 100) {
            2 => AnsiColor::Green,
            3 => AnsiColor::Cyan,
            4 => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let colour = Style::new().fg_color(Some(colour.into()));
        let status = self.status.map_or("---".to_owned(), |status| status.as_str().to_owned());
        let (method, path) = (self.method, &self.path);
        let (took, bytes) = (format!("{:.1?}", self.begun.elapsed()), output::bytes(self.bytes));
        let mut line = format!(
            "{DIM}{time}{DIM:#} {BOLD}{method:<6}{BOLD:#} {path:<24} {colour}{status}{colour:#} {DIM}{took:>8} \
             {bytes:>10}{DIM:#}"
        );
        if !events.is_empty() {
            // Cannot fail: it writes to a string.
            let _ = write!(line, "  session: {}", events.join(", "));
        }
        if let Some(end) = self.end() {
            let _ = write!(line, "  {colour}{end}{colour:#}");
        }
        line
    }

    fn json(&self, events: &[&str]) -> String {
        let status = self.status.map(|status| status.as_u16());
        let message = match status {
            Some(status) => format!("{} {} {status}", self.method, self.path),
            None => format!("{} {}", self.method, self.path),
        };
        let fields = json!({
            "request": self.id.to_string(),
            "method": self.method,
            "path": self.path,
            "status": status,
            "duration_ms": (self.begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0,
            "bytes": self.bytes,
            "session": events,
            "complete": self.is_complete,
        });
        log::object(&message, fields)
    }

    /// How the response ended, if not with its last byte.
    fn end(&self) -> Option<&'static str> {
        match self.status {
            _ if self.is_complete => None,
            Some(_) => Some("not complete"),
            None => Some("the client left"),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let events = self.events.end(self.id.number());
        let line = match log::is_json() {
            true => self.json(&events),
            // The hours, minutes and seconds of a time in RFC 3339, in UTC as in the log.
            false => self.text(&format!("{}Z", &log::timestamp()[11..19]), &events),
        };
        // Ignores errors, because stdout may be closed. Writes colours to a terminal only.
        let _ = writeln!(anstream::stdout().lock(), "{line}");
    }
}

/// The body of a response.
struct Counted {
    body: WasiBody,
    line: Line,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // Nothing is asked for behind the last byte.
                self.line.is_complete = self.body.is_end_stream() || self.line.length == Some(self.line.bytes);
            }
            Some(Err(_)) => {}
            None => self.line.is_complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: Option<u16>, is_complete: bool) -> Line {
        let subject = Subject::new(RequestId::next(), &Method::POST);
        let mut line = Line::begin(&subject, "/a\u{1b}b", Arc::default());
        line.status = status.map(|status| StatusCode::from_u16(status).unwrap());
        (line.bytes, line.is_complete) = (2048, is_complete);
        line
    }

    fn plain(line: &Line, events: &[&str]) -> String {
        anstream::adapter::strip_str(&line.text("12:34:56Z", events)).to_string()
    }

    #[test]
    fn a_line_has_time_method_path_status_duration_size_and_events() {
        let text = plain(&line(Some(200), true), &["saved", "conflict"]);
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words[..4], ["12:34:56Z", "POST", "/a\\u{1b}b", "200"], "{text}");
        assert!(text.ends_with("2.00 KiB  session: saved, conflict"), "{text}");
        assert!(plain(&line(Some(200), false), &[]).ends_with("not complete"));
        let left = plain(&line(None, false), &[]);
        assert!(left.contains(" --- ") && left.ends_with("the client left"), "{left}");
    }

    #[test]
    fn the_colour_is_that_of_the_status() {
        for (status, colour) in [(Some(204), 32), (Some(303), 36), (Some(404), 33), (Some(500), 31), (None, 31)] {
            let text = line(status, true).text("12:34:56Z", &[]);
            assert!(text.contains(&format!("\u{1b}[{colour}m")), "{text:?}");
        }
    }

    #[test]
    fn in_json_a_line_is_an_object_like_those_of_the_log() {
        let object: serde_json::Value = serde_json::from_str(&line(Some(404), true).json(&["saved"])).unwrap();
        assert_eq!(object["message"], "POST /a\\u{1b}b 404");
        assert_eq!((&object["level"], &object["status"]), (&"INFO".into(), &404.into()));
        assert_eq!((&object["bytes"], &object["session"][0]), (&2048.into(), &"saved".into()));
        assert!(object["timestamp"].is_string() && object["duration_ms"].is_number(), "{object}");
    }
}
