//! A handler of WASI 0.3 that knows nothing of sessions. It answers with what it was sent: the method, the target, a line for
//! each header, and the body as it arrives. The request's header `answer-with` has a header of the response: `name: value`.

#![cfg(target_family = "wasm")]

use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_bindgen::{StreamResult, spawn_local},
    wit_future, wit_stream,
};

struct Echo;

wasip3::http::service::export!(Echo);

impl Guest for Echo {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let headers = request.get_headers();
        let fields = Fields::new();
        for wanted in headers.get("answer-with") {
            let (name, value) = str::from_utf8(&wanted).ok().and_then(|it| it.split_once(": ")).expect("name: value");
            fields.append(name, value.as_bytes()).expect("a header of the test");
        }
        let mut head = format!("{:?} {}\n", request.get_method(), request.get_path_with_query().unwrap_or_default());
        for (name, value) in headers.copy_all() {
            head += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
        }

        let (_, received) = wit_future::new(|| Ok(()));
        let (mut body, trailers) = Request::consume_body(request, received);
        let (mut writer, contents) = wit_stream::new();
        let (response, _) = Response::new(fields, Some(contents), trailers);
        spawn_local(async move {
            let mut part = format!("{head}\n").into_bytes();
            loop {
                if !writer.write_all(part).await.is_empty() {
                    break;
                }
                let (status, read) = body.read(Vec::with_capacity(4096)).await;
                if read.is_empty() && !matches!(status, StreamResult::Complete(_)) {
                    break;
                }
                part = read;
            }
        });
        Ok(response)
    }
}
