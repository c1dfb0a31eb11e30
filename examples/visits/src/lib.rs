//! A page that remembers its visitor: the example of Python's `lemon.session`, in WebAssembly.

use lemon_session::{
    Options, Result, check_same_origin,
    wasi_http::{Request, Response},
};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Visits;

wasip2::http::proxy::export!(Visits);

impl wasip2::exports::http::incoming_handler::Guest for Visits {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        page(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
    }
}

fn page(request: &Request) -> Result<Response> {
    check_same_origin(request)?;
    let session = Options::new().app("visits").start(request)?;

    let html = if session.created() {
        session.set("variable1", "Python Rules!")?;
        "<h1>This is your first visit</h1>\n\
         <p>Setting variable1 to 'Python Rules!'</p>\n\
         <p>Refresh this page…</p>"
            .to_owned()
    } else if request.is_post() {
        return Ok(document("<h1>Session Deleted</h1>").headers(session.destroy()?));
    } else {
        let variable1 = session.get("variable1")?.unwrap_or("not set".to_owned());
        format!(
            "<h1>Welcome back</h1>\n\
             <p>variable1: {}</p>\n\
             <form method=\"post\"><button>Destroy session</button></form>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok(document(&html).headers(session.save()?))
}

fn document(html: &str) -> Response {
    Response::html(format!("<!DOCTYPE html>\n<title>Visits</title>\n<link rel=icon href=data:,>\n{html}\n"))
}
