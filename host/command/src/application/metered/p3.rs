//! The same for wasi:http 0.3.

use std::any::Any;

use wasmtime::{
    Result, StoreContextMut,
    component::{Access, FutureReader, Linker, LinkerInstance, Resource, StreamReader},
};
use wasmtime_wasi_http::{
    FieldMap, WasiHttp, WasiHttpCtxView, WasiHttpView as _,
    p3::{
        Request, Response,
        bindings::http::types::{
            self, ErrorCode, HeaderError, Host as _, HostFields as _, HostRequest as _, HostRequestWithStore,
            HostResponseWithStore, RequestOptions,
        },
    },
};

use super::{BODY_BYTES, Fields, Store, length, line, lines, metered};
use crate::application::guest::Guest;

/// The version that wasmtime-wasi-http implements. Guests built against another 0.3 are linked with it too.
const TYPES: &str = "wasi:http/types@0.3.0";

type Trailers = FutureReader<std::result::Result<Option<Resource<FieldMap>>, ErrorCode>>;

/// Adds wasi:http 0.3 to a linker.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    let added = shadow(&mut linker.instance(TYPES)?);
    linker.allow_shadowing(false);
    added
}

fn shadow(types: &mut LinkerInstance<'_, Guest>) -> Result<()> {
    types.func_wrap("[static]fields.from-list", |mut store: Store, (fields,): (Vec<(String, Vec<u8>)>,)| {
        let bytes = fields.iter().map(|(name, value)| line(name, value)).sum();
        let mut http = metered(&mut store, bytes)?;
        let made = http.from_list(fields);
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
        "[static]response.new",
        |mut store: Store, (headers, contents, trailers): (Fields, Option<StreamReader<u8>>, Trailers)| {
            metered(&mut store, BODY_BYTES)?;
            Ok((<WasiHttp as HostResponseWithStore<Guest>>::new(access(store), headers, contents, trailers)?,))
        },
    )?;
    types.func_wrap(
        "[static]request.new",
        |mut store: Store,
         (headers, contents, trailers, options): (
            Fields,
            Option<StreamReader<u8>>,
            Trailers,
            Option<Resource<RequestOptions>>,
        )| {
            metered(&mut store, BODY_BYTES)?;
            Ok((<WasiHttp as HostRequestWithStore<Guest>>::new(access(store), headers, contents, trailers, options)?,))
        },
    )?;
    types.func_wrap(
        "[method]request.set-method",
        |mut store: Store, (request, method): (Resource<Request>, types::Method)| {
            let bytes = if let types::Method::Other(name) = &method { name.len() } else { 0 };
            Ok((metered(&mut store, bytes)?.set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]request.set-path-with-query",
        |mut store: Store, (request, path): (Resource<Request>, Option<String>)| {
            Ok((metered(&mut store, length(&path))?.set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]request.set-authority",
        |mut store: Store, (request, authority): (Resource<Request>, Option<String>)| {
            Ok((metered(&mut store, length(&authority))?.set_authority(request, authority)?,))
        },
    )
}

fn access(store: StoreContextMut<'_, Guest>) -> Access<'_, Guest, WasiHttp> {
    Access::<Guest, WasiHttp>::new(store, Guest::http)
}

fn answer<T>(
    http: &mut WasiHttpCtxView<'_>,
    result: std::result::Result<T, wasmtime_wasi::TrappableError<HeaderError>>,
) -> Result<(std::result::Result<T, HeaderError>,)> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(http.convert_header_error(error)?),
    },))
}

/// The host's memory for the head and the body of a message, if it is one.
pub fn message(entry: &(dyn Any + Send)) -> Option<usize> {
    if let Some(response) = entry.downcast_ref::<Response>() {
        Some(lines(&response.headers) + BODY_BYTES)
    } else if let Some(request) = entry.downcast_ref::<Request>() {
        let path = request.path_with_query.as_ref().map_or(0, |path| path.as_str().len());
        let authority = request.authority.as_ref().map_or(0, |authority| authority.as_str().len());
        let head = request.method.as_str().len() + path + authority;
        Some(head + lines(&request.headers) + BODY_BYTES)
    } else {
        None
    }
}
