//! The component: the rules between a request that arrives and the handler behind.

use std::{
    env,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use lemon_session::{Headers, Options};
use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    random::random::get_random_u64,
    wit_bindgen::spawn_local,
    wit_future, wit_stream,
};

use crate::{
    config::Config,
    owner::{OwnerHeader, on_the_way},
    refusal::Refusal,
    response::to_add,
    visit::{Moment, Passed},
};

mod upstream {
    wit_bindgen::generate!({
        world: "lemon:session-guard/upstream",
        with: {
            "wasi:http/types@0.3.2": wasip3::http::types,
            "wasi:clocks/types@0.3.2": wasip3::clocks::types,
            "wasi:http/handler@0.3.2": generate,
        },
    });
}

use upstream::wasi::http::handler as application;

struct Guard;

wasip3::http::service::export!(Guard);

impl Guest for Guard {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let Some(config) = &*CONFIG else { return answer(Refusal::misconfigured()) };
        let target = request.get_path_with_query().unwrap_or_default();
        match config
            .admit(&request, &target, moment(), async |options: Options| options.start_async(&request).await)
            .await
        {
            Ok(passed) => forward(config, request, passed).await,
            Err(refusal) => answer(refusal),
        }
    }
}

/// The settings, if they are right; what is wrong is logged once for each instance.
static CONFIG: LazyLock<Option<Config>> = LazyLock::new(|| match Config::read(env::vars()) {
    Ok(config) => Some(config),
    Err(mistakes) => {
        mistakes.0.iter().for_each(|mistake| eprintln!("the guard refuses all requests: {mistake}"));
        None
    }
});

fn moment() -> Moment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Moment { now, random: get_random_u64() }
}

/// Has the application answer a request.
async fn forward(config: &Config, request: Request, passed: Passed) -> Result<Response, ErrorCode> {
    let has_owner = passed.owner.is_some();
    let request = with_owner(request, &config.owner_header, passed.owner.as_deref())?;
    let response = application::handle(request).await?;
    let headers = response.get_headers();
    let added = to_add(passed.session, &config.cookie, &headers.get("set-cookie"), has_owner);
    if added.is_empty() { Ok(response) } else { with_headers(response, &headers, &added) }
}

/// The request with the owner in its header, and without what the client sent in its place.
fn with_owner(request: Request, header: &OwnerHeader, owner: Option<&str>) -> Result<Request, ErrorCode> {
    let headers = request.get_headers();
    let names = headers.copy_all().into_iter().map(|(name, _)| name);
    let change = on_the_way(header, names, owner);
    if change.is_empty() {
        return Ok(request);
    }
    let fields = headers.clone();
    for name in &change.removed {
        fields.delete(name).map_err(refused)?;
    }
    if let Some((name, value)) = change.added {
        fields.append(name, value.as_bytes()).map_err(refused)?;
    }
    let options = request.get_options().map(|options| options.clone());
    let (method, scheme) = (request.get_method(), request.get_scheme());
    let (authority, target) = (request.get_authority(), request.get_path_with_query());

    let (received_writer, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    let (forwarded, sent) = Request::new(fields, Some(body), trailers, options);
    spawn_local(async move { received_writer.write(sent.await).await });
    let is_set = forwarded.set_method(&method).is_ok()
        && forwarded.set_scheme(scheme.as_ref()).is_ok()
        && forwarded.set_authority(authority.as_deref()).is_ok()
        && forwarded.set_path_with_query(target.as_deref()).is_ok();
    // They are those of a request that the host accepted.
    if is_set { Ok(forwarded) } else { Err(ErrorCode::HttpProtocolError) }
}

/// The response with more headers.
fn with_headers(response: Response, headers: &Fields, added: &Headers) -> Result<Response, ErrorCode> {
    let fields = headers.clone();
    added.append_to(&fields).map_err(refused)?;
    let status = response.get_status_code();
    let (received_writer, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, received);
    let (returned, sent) = Response::new(fields, Some(body), trailers);
    spawn_local(async move { received_writer.write(sent.await).await });
    returned.set_status_code(status).map_err(|()| ErrorCode::HttpProtocolError)?;
    Ok(returned)
}

/// An answer in place of the application's.
fn answer(refusal: Refusal) -> Result<Response, ErrorCode> {
    let Refusal { status, headers, text, session } = refusal;
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).map_err(refused)?;
    }
    let body = format!("{text}\n").into_bytes();
    fields.append("content-length", body.len().to_string().as_bytes()).map_err(refused)?;
    session.append_to(&fields).map_err(refused)?;
    let (mut writer, contents) = wit_stream::new();
    let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(contents), trailers);
    drop(trailers_writer);
    // A client that has gone away does not read it.
    spawn_local(async move { drop(writer.write_all(body).await) });
    response.set_status_code(status).map_err(|()| ErrorCode::HttpProtocolError)?;
    Ok(response)
}

fn refused(error: impl ToString) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}
