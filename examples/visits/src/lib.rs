//! A page that remembers its visitor: the example of Python's `lemon.session`, in WebAssembly.

wit_bindgen::generate!({
    path: "../../wit",
    world: "lemon:session/application",
    additional_derives: [Default],
    additional_derives_ignore: ["value", "error", "secure", "same-site"],
});

use example_http::{Request, answer, header};
use lemon::session::{
    sessions::{self, Options},
    types::{Error, Header, Value},
};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Visits;

wasip2::http::proxy::export!(Visits);

impl wasip2::exports::http::incoming_handler::Guest for Visits {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match page(&Request::new(&request)) {
            Ok((mut headers, html)) => {
                headers.push(header("content-type", "text/html; charset=utf-8"));
                answer(out, 200, &headers, &format!("<!DOCTYPE html>\n<title>Visits</title>\n{html}\n"));
            }
            Err(error) => answer(out, status(&error), &[], &format!("{error:?}\n")),
        }
    }
}

fn page(request: &Request) -> Result<(Vec<Header>, String), Error> {
    let session = sessions::start(&Options {
        app: Some("visits".to_owned()),
        cookies: request.cookies(),
        https: request.https(),
        ..Options::default()
    })?;

    let html = if session.created() {
        session.set("variable1", &Value::Text("Python Rules!".to_owned()))?;
        "<h1>This is your first visit</h1>\n\
         <p>Setting variable1 to 'Python Rules!'</p>\n\
         <p>Refresh this page…</p>"
            .to_owned()
    } else if request.parameter("destroy").is_some() {
        return Ok((session.destroy()?, "<h1>Session Deleted</h1>".to_owned()));
    } else {
        let variable1 = match session.get("variable1")? {
            Some(Value::Text(text)) => text,
            _ => "not set".to_owned(),
        };
        format!(
            "<h1>Welcome back</h1>\n\
             <p>variable1: {}</p>\n\
             <p><a href=\"?destroy=True\">Destroy session</a></p>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok((session.save()?, html))
}

fn status(error: &Error) -> u16 {
    match error {
        Error::TooLarge(_) => 413,
        Error::Gone | Error::Conflict => 409,
        _ => 503,
    }
}
