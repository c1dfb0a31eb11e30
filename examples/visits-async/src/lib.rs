//! A page that remembers its visitor, for WASI 0.3: while it waits for the store, its instance answers other visitors.

use lemon_session::{Headers, Options, Request as _, Result, check_same_origin};
use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_bindgen::spawn_local,
    wit_future, wit_stream,
};

struct Visits;

wasip3::http::service::export!(Visits);

impl Guest for Visits {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match page(&request).await {
            Ok((headers, html)) => {
                let html = format!("<!DOCTYPE html>\n<title>Visits</title>\n<link rel=icon href=data:,>\n{html}\n");
                answer(200, &headers, "text/html; charset=utf-8", html)
            }
            Err(error) => {
                answer(error.status(), &Headers::default(), "text/plain; charset=utf-8", format!("{error}\n"))
            }
        }
    }
}

async fn page(request: &Request) -> Result<(Headers, String)> {
    check_same_origin(request)?;
    let session = Options::new().app("visits").start_async(request).await?;

    let html = if session.created() {
        session.set("variable1", "Python Rules!").await?;
        "<h1>This is your first visit</h1>\n\
         <p>Setting variable1 to 'Python Rules!'</p>\n\
         <p>Refresh this page…</p>"
            .to_owned()
    } else if request.method() == "POST" {
        return Ok((session.destroy().await?, "<h1>Session Deleted</h1>".to_owned()));
    } else {
        let variable1 = session.get("variable1").await?.unwrap_or("not set".to_owned());
        format!(
            "<h1>Welcome back</h1>\n\
             <p>variable1: {}</p>\n\
             <form method=\"post\"><button>Destroy session</button></form>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok((session.save().await?, html))
}

/// The session is saved by now, so its headers can be sent; the body follows.
fn answer(status: u16, session: &Headers, content_type: &str, body: String) -> Result<Response, ErrorCode> {
    let failed = |error: &dyn ToString| ErrorCode::InternalError(Some(error.to_string()));
    let fields = Fields::new();
    fields.append("content-type", content_type.as_bytes()).map_err(|error| failed(&error))?;
    fields.append("content-length", body.len().to_string().as_bytes()).map_err(|error| failed(&error))?;
    session.append_to(&fields).map_err(|error| failed(&error))?;

    let (mut writer, contents) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(fields, Some(contents), trailers);
    response.set_status_code(status).expect("a status of ours is one of HTTP");
    // A visitor who has gone away does not hear the rest; nothing is left to do then.
    spawn_local(async move { drop(writer.write_all(body.into_bytes()).await) });
    Ok(response)
}
