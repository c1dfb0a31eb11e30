//! The header block of a program's response (RFC 3875, section 6).

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, uri::PathAndQuery};
use tokio::sync::mpsc::Receiver;
use wasmtime_wasi_http::WasiBody;

use super::{Failure, output::Printed};

/// A parsed header block.
#[derive(Debug)]
pub struct Head {
    status: StatusCode,
    headers: HeaderMap,
    local: Option<PathAndQuery>,
    length: Option<u64>,
}

/// A local redirect: the response is that of another path of this server (section 6.2.2). The response with this
/// extension also redirects the client, in case the server does not follow it.
#[derive(Clone, Debug)]
pub struct LocalRedirect(pub PathAndQuery);

/// Fields that only the server sets (section 6.3.4); they are removed.
const OF_THE_SERVER: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Reads a header block, and the first bytes of the body that arrive with it.
pub async fn read(printed: &mut Receiver<Printed>, limit: usize) -> Result<(Head, Bytes), Failure> {
    let mut block = Block::default();
    loop {
        match printed.recv().await {
            Some(bytes) => block.bytes.extend_from_slice(&bytes?),
            None => return Err(bad("the program ended before the end of its header block")),
        }
        let end = block.end();
        if end.map_or(block.bytes.len(), |(_, body)| body) > limit {
            return Err(bad("the header block is longer than [server] header-bytes allows"));
        }
        if let Some((end, body)) = end {
            let body = block.bytes.split_off(body).freeze();
            block.bytes.truncate(end);
            return Ok((Head::parse(&block.bytes)?, body));
        }
    }
}

/// The bytes that were printed so far.
#[derive(Default)]
struct Block {
    bytes: BytesMut,
    /// The start of the last line.
    line: usize,
    /// The position up to which its end was searched for.
    seen: usize,
}

impl Block {
    /// The end of the header block and the start of the body, on both sides of the first empty line.
    fn end(&mut self) -> Option<(usize, usize)> {
        while let Some(length) = self.bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let (begin, end) = (self.line, self.seen + length);
            self.line = end + 1;
            self.seen = end + 1;
            if matches!(&self.bytes[begin..end], b"" | b"\r") {
                return Some((begin, end + 1));
            }
        }
        self.seen = self.bytes.len();
        None
    }
}

impl Head {
    /// Errors contain the number of the line, but not its text, which can contain a visitor's secrets.
    fn parse(block: &[u8]) -> Result<Self, Failure> {
        let mut status = None;
        let mut headers = HeaderMap::new();
        let lines = block.strip_suffix(b"\n").into_iter().flat_map(|block| block.split(|byte| *byte == b'\n'));
        for (number, line) in (1..).zip(lines) {
            let at = |what: &str| bad(format!("line {number} of the header block {what}"));
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if number == 1 && line.starts_with(b"HTTP/") {
                return Err(bad(
                    "it begins with a status line: NPH programs are not supported, print a Status field instead",
                ));
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| at("has no colon"))?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let name = HeaderName::from_bytes(name).map_err(|_| at("has an invalid field name"))?;
            if name.as_str() == "status" {
                if status.is_some() {
                    return Err(at("is a second Status"));
                }
                status =
                    Some(parse_status(value).ok_or_else(|| {
                        at("has no valid status: expected three digits from 200 to 599 and a reason")
                    })?);
                continue;
            }
            let value = HeaderValue::from_bytes(value).map_err(|_| at("has a control character in its value"))?;
            let only_once = [header::CONTENT_TYPE, header::LOCATION, header::CONTENT_LENGTH].contains(&name);
            if only_once && headers.contains_key(&name) {
                return Err(at(&format!("is a second {name}")));
            }
            if !OF_THE_SERVER.contains(&name) {
                headers.try_append(name, value).map_err(|_| bad("the header block has too many lines"))?;
            }
        }
        let length = headers.get(header::CONTENT_LENGTH).map(|length| {
            let digits = length.as_bytes().iter().all(u8::is_ascii_digit);
            length.to_str().ok().filter(|_| digits)?.parse().ok()
        });
        let length = length.map(|length| length.ok_or_else(|| bad("Content-Length is not a number"))).transpose()?;

        if status.is_none() && !headers.contains_key(header::CONTENT_TYPE) && !headers.contains_key(header::LOCATION) {
            return Err(bad("the header block has no Content-Type, Location or Status"));
        }
        // With other fields, such as a cookie, the redirect must reach the client.
        let local = headers.get(header::LOCATION).filter(|_| status.is_none() && headers.len() == 1).and_then(local);
        let redirect = headers.contains_key(header::LOCATION).then_some(StatusCode::FOUND);
        Ok(Self { status: status.or(redirect).unwrap_or_default(), headers, local, length })
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn redirects_locally(&self) -> bool {
        self.local.is_some()
    }

    pub fn into_response(self, body: impl FnOnce(Option<u64>) -> WasiBody) -> Response<WasiBody> {
        let mut response = Response::new(body(self.length));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(path) = self.local {
            response.extensions_mut().insert(LocalRedirect(path));
        }
        response
    }
}

fn bad(why: impl Into<Cow<'static, str>>) -> Failure {
    Failure::BadAnswer(why.into())
}

fn parse_status(value: &[u8]) -> Option<StatusCode> {
    let (code, reason) = value.split_at_checked(3)?;
    let separated = reason.first().is_none_or(|byte| *byte == b' ');
    let printable = reason.iter().all(|byte| *byte >= b' ' && *byte != 0x7f);
    let status = StatusCode::from_bytes(code).ok()?;
    (separated && printable && (200..600).contains(&status.as_u16())).then_some(status)
}

/// A path on this server with an optional query. `//host` is another server, and only clients know about fragments.
fn local(location: &HeaderValue) -> Option<PathAndQuery> {
    let location = location.to_str().ok()?;
    let is_local = location.starts_with('/') && !location.starts_with("//") && !location.contains('#');
    is_local.then(|| location.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(block: &str) -> Result<Head, String> {
        let mut bytes = Block { bytes: BytesMut::from(block), ..Block::default() };
        let (end, _) = bytes.end().expect("the block has an end");
        Head::parse(&block.as_bytes()[..end]).map_err(|failure| match failure {
            Failure::BadAnswer(why) => why.into_owned(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn lines_may_end_with_either_line_break() {
        for block in ["Content-Type: text/plain\nX-A: 1\n\n", "Content-Type: text/plain\r\nX-A: 1\r\n\r\n"] {
            let head = parse(block).unwrap();
            assert_eq!((head.status, &head.headers["x-a"]), (StatusCode::OK, &HeaderValue::from_static("1")));
        }
    }

    #[test]
    fn status_sets_the_status_and_is_no_header() {
        let head = parse("Status: 404 Not Found\n\n").unwrap();
        assert_eq!((head.status.as_u16(), head.headers.len()), (404, 0));
        assert_eq!(parse("Status: 204\n\n").unwrap().status.as_u16(), 204);
        for wrong in ["", "20", "2000", "abc", "100 Continue", "101", "600", "200OK", "200 O\rK", "200\tOK"] {
            assert!(parse(&format!("Status: {wrong}\n\n")).unwrap_err().contains("three digits"), "{wrong:?}");
        }
    }

    #[test]
    fn what_the_server_needs_to_know_stands_there_once() {
        for name in ["Content-Type", "Location", "Content-Length", "Status"] {
            let block = format!("Status: 200\n{name}: 200\n{name}: 200\n\n");
            assert!(parse(&block).unwrap_err().contains("second"), "{name}");
        }
        for nothing in ["\n", "Set-Cookie: a=b\n\n"] {
            assert!(parse(nothing).unwrap_err().contains("has no Content-Type, Location or Status"), "{nothing:?}");
        }
    }

    #[test]
    fn no_line_break_and_no_control_character_gets_into_a_header() {
        let refused = [
            "Status: 200\nX-A: a\rX-B: b\n\n",
            "Status: 200\nX-A: a\0\n\n",
            "Status: 200\nX\r-A: a\n\n",
            "Status: 200\nX A: a\n\n",
            "Status: 200\nX-A : a\n\n",
            "Status: 200\n: a\n\n",
            "Status: 200\nX-A\n\n",
            "Status: 200\n folded\n\n",
            "Status: 200\nX-A: \x1b[31m\n\n",
        ];
        for block in refused {
            assert!(parse(block).unwrap_err().starts_with("line 2 "), "{block:?}");
        }
    }

    #[test]
    fn a_status_line_of_its_own_is_refused() {
        assert!(parse("HTTP/1.1 200 OK\nContent-Type: text/plain\n\n").unwrap_err().contains("NPH"));
    }

    #[test]
    fn a_path_alone_is_a_local_redirect_and_all_else_is_the_client_s() {
        let local = |block| parse(block).unwrap().local.map(|path| path.to_string());
        assert_eq!(local("Location: /a?b=c\n\n").as_deref(), Some("/a?b=c"));
        for client in [
            "Location: /a\nSet-Cookie: a=b\n\n",
            "Location: /a\nStatus: 303 See Other\n\n",
            "Location: http://example.com/a\n\n",
            "Location: //example.com/a\n\n",
            "Location: /a#b\n\n",
            "Location: a\n\n",
        ] {
            assert_eq!(local(client), None, "{client:?}");
        }
        assert_eq!(parse("Location: /a\nSet-Cookie: a=b\n\n").unwrap().status, StatusCode::FOUND);
        assert_eq!(parse("Location: /a\nStatus: 303\n\n").unwrap().status, StatusCode::SEE_OTHER);
        assert_eq!(parse("Location: http://example.com/\n\n").unwrap().status, StatusCode::FOUND);
    }

    #[test]
    fn what_is_the_server_s_business_is_not_sent_on() {
        let head =
            parse("Status: 200\nTransfer-Encoding: chunked\nConnection: upgrade\nUpgrade: x\nX-A: 1\n\n").unwrap();
        assert_eq!(head.headers.keys().collect::<Vec<_>>(), ["x-a"]);
    }

    #[test]
    fn a_length_is_a_number() {
        assert_eq!(parse("Status: 200\nContent-Length: 12\n\n").unwrap().length, Some(12));
        for wrong in ["", "-1", "+1", "1, 1", "0x1", "99999999999999999999"] {
            assert!(parse(&format!("Status: 200\nContent-Length: {wrong}\n\n")).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn several_cookies_stay_several() {
        let head = parse("Status: 200\nSet-Cookie: a=b\nSet-Cookie: c=d\n\n").unwrap();
        assert_eq!(head.headers.get_all("set-cookie").iter().count(), 2);
    }

    #[tokio::test]
    async fn a_block_may_come_in_pieces_and_has_a_limit() {
        let (sender, mut printed) = super::super::output::pipe();
        tokio::spawn(async move {
            for byte in b"Status: 200\r\n\r\nbody" {
                let _ = sender.send(Ok(Bytes::copy_from_slice(&[*byte]))).await;
            }
        });
        let (head, begun) = read(&mut printed, 15).await.unwrap();
        assert_eq!((head.status.as_u16(), begun.len()), (200, 0));

        let (sender, mut printed) = super::super::output::pipe();
        sender.send(Ok(Bytes::from_static(b"Status: 200\r\n\r\nbody"))).await.unwrap();
        assert!(matches!(read(&mut printed, 14).await, Err(Failure::BadAnswer(_))));
        sender.send(Ok(Bytes::from_static(b"Status: 200\r\n"))).await.unwrap();
        drop(sender);
        assert!(matches!(read(&mut printed, 1000).await, Err(Failure::BadAnswer(_))));
    }
}
