//! wasmtime's implementation of wasi:http 0.2, with a memory budget for the calls that allocate memory of the host.
//!
//! wasmtime-wasi-http limits the size of each `fields` and the number of handles. Together these limits still allow
//! gigabytes, so all data that a guest passes is counted before it is stored.

pub mod p3;

use http::HeaderMap;
use wasmtime::{
    Result, StoreContextMut,
    component::{Linker, LinkerInstance, Resource, ResourceTable},
};
use wasmtime_wasi_http::{
    FieldMap, WasiHttpCtxView, WasiHttpView as _,
    p2::{
        HeaderResult,
        bindings::http::types::{
            self, HeaderError, Host as _, HostFields as _, HostOutgoingRequest as _, OutgoingRequest, OutgoingResponse,
        },
    },
};

use super::guest::Guest;

/// The version that wasmtime-wasi-http implements. Guests built against another 0.2 are linked with it too.
const TYPES: &str = "wasi:http/types@0.2.12";

/// The maximum size of a buffered piece of a response's body, and the maximum number of pieces.
pub const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 2;
/// The memory for a header field in addition to its name and value: entries of a hash table that is half empty.
const LINE_BYTES: usize = 256;
/// The maximum memory of one `fields`: wasmtime allows 128 KiB, and counts at least 40 bytes for each field.
const FIELDS_BYTES: usize = 128 * 1024 / 40 * LINE_BYTES;
/// The maximum memory of a body that a guest writes: buffered pieces, and trailers, which cannot be counted later.
const BODY_BYTES: usize = PIECES * PIECE_BYTES + FIELDS_BYTES;

/// Adds wasi:http 0.2 to a linker.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let added = shadow(&mut linker.instance(TYPES)?);
    linker.allow_shadowing(false);
    added
}

type Store<'a> = StoreContextMut<'a, Guest>;
type Fields = Resource<FieldMap>;

fn shadow(types: &mut LinkerInstance<'_, Guest>) -> Result<()> {
    types.func_wrap("[static]fields.from-list", |mut store: Store, (lines,): (Vec<(String, Vec<u8>)>,)| {
        let bytes = lines.iter().map(|(name, value)| line(name, value)).sum();
        let mut http = metered(&mut store, bytes)?;
        let made = http.from_list(lines);
        answer(&mut http, made)
    })?;
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store, (fields, name, values): (Fields, String, Vec<Vec<u8>>)| {
            let bytes = values.iter().map(|value| line(&name, value)).sum();
            let mut http = metered(&mut store, bytes)?;
            let set = http.set(fields, name, values);
            answer(&mut http, set)
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store, (fields, name, value): (Fields, String, Vec<u8>)| {
            let mut http = metered(&mut store, line(&name, &value))?;
            let appended = http.append(fields, name, value);
            answer(&mut http, appended)
        },
    )?;
    types.func_wrap("[method]fields.clone", |mut store: Store, (fields,): (Fields,)| {
        // The clones share their fields until one of them is changed.
        let bytes = lines(store.data_mut().http().table.get(&fields)?);
        Ok((metered(&mut store, bytes)?.clone(fields)?,))
    })?;

    types.func_wrap(
        "[method]outgoing-response.body",
        |mut store: Store, (response,): (Resource<OutgoingResponse>,)| {
            Ok((types::HostOutgoingResponse::body(&mut metered(&mut store, BODY_BYTES)?, response)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.body",
        |mut store: Store, (request,): (Resource<OutgoingRequest>,)| {
            Ok((types::HostOutgoingRequest::body(&mut metered(&mut store, BODY_BYTES)?, request)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store, (request, method): (Resource<OutgoingRequest>, types::Method)| {
            let bytes = if let types::Method::Other(name) = &method { name.len() } else { 0 };
            Ok((metered(&mut store, bytes)?.set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store, (request, path): (Resource<OutgoingRequest>, Option<String>)| {
            Ok((metered(&mut store, length(&path))?.set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store, (request, authority): (Resource<OutgoingRequest>, Option<String>)| {
            Ok((metered(&mut store, length(&authority))?.set_authority(request, authority)?,))
        },
    )
}

/// wasmtime's implementation, after accounting for `bytes` of the guest's budget.
fn metered<'a>(store: &'a mut Store<'_>, bytes: usize) -> Result<WasiHttpCtxView<'a>> {
    let guest = store.data_mut();
    guest.keep(bytes)?;
    Ok(guest.http())
}

fn answer<T>(
    http: &mut WasiHttpCtxView<'_>,
    result: HeaderResult<T>,
) -> Result<(std::result::Result<T, HeaderError>,)> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(http.convert_header_error(error)?),
    },))
}

/// The host's memory for the contents of a guest's handles, without the handles themselves.
pub fn held(table: &mut ResourceTable) -> usize {
    let body = |is_there: bool| if is_there { BODY_BYTES } else { 0 };
    let held = table.iter_mut().map(|entry| {
        if let Some(fields) = entry.downcast_ref::<FieldMap>() {
            lines(fields)
        } else if let Some(response) = entry.downcast_ref::<OutgoingResponse>() {
            lines(&response.headers) + body(response.body.is_some())
        } else if let Some(request) = entry.downcast_ref::<OutgoingRequest>() {
            let method = if let types::Method::Other(name) = &request.method { name.len() } else { 0 };
            let head = method + length(&request.path_with_query) + length(&request.authority);
            head + lines(&request.headers) + body(request.body.is_some())
        } else {
            p3::message(&*entry).unwrap_or(0)
        }
    });
    held.sum()
}

fn lines(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| line(name.as_str(), value.as_bytes())).sum()
}

/// The memory for a header field. The allocator rounds up by at most a quarter.
fn line(name: &str, value: &[u8]) -> usize {
    let bytes = name.len() + value.len();
    bytes + bytes / 4 + LINE_BYTES
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}
