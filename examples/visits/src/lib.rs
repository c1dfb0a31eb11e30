//! A page that remembers its visitor: the example of Python's `lemon.session`, in WebAssembly.

use example_http::{Request, answer, header};
use lemon_session::{Headers, Options, Result, check_same_origin};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Visits;

wasip2::http::proxy::export!(Visits);

impl wasip2::exports::http::incoming_handler::Guest for Visits {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match page(&Request::new(&request)) {
            Ok((headers, html)) => {
                let html = format!("<!DOCTYPE html>\n<title>Visits</title>\n<link rel=icon href=data:,>\n{html}\n");
                answer(out, 200, headers.iter().chain([&header("content-type", "text/html; charset=utf-8")]), &html);
            }
            Err(error) => answer(out, error.status(), &[], &format!("{error}\n")),
        }
    }
}

fn page(request: &Request) -> Result<(Headers, String)> {
    check_same_origin(request)?;
    let session = Options::new().app("visits").start(request)?;

    let html = if session.created() {
        session.set("variable1", "Python Rules!")?;
        "<h1>This is your first visit</h1>\n\
         <p>Setting variable1 to 'Python Rules!'</p>\n\
         <p>Refresh this page…</p>"
            .to_owned()
    } else if request.is_post() {
        return Ok((session.destroy()?, "<h1>Session Deleted</h1>".to_owned()));
    } else {
        let variable1 = session.get("variable1")?.unwrap_or("not set".to_owned());
        format!(
            "<h1>Welcome back</h1>\n\
             <p>variable1: {}</p>\n\
             <form method=\"post\"><button>Destroy session</button></form>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok((session.save()?, html))
}
