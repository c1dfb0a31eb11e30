//! Values as parameters and as text.

use lemon_session::{Error, Result, Value, wasi_http::Request};

use crate::{number, parameter};

/// The value that a request's `value` and `kind` stand for.
pub fn parse(request: &Request) -> Result<Value> {
    let kind = request.parameter("kind").unwrap_or("text".into());
    if kind == "null" {
        return Ok(Value::Null);
    }
    let text = match request.parameter("bytes") {
        Some(_) => "x".repeat(usize::try_from(number(request, "bytes")?).unwrap_or(0)).into(),
        None => parameter(request, "value")?,
    };
    let refuse = || Error::InvalidValue(format!("the value is no {kind}"));
    Ok(match &*kind {
        "text" => Value::Text(text.into_owned()),
        "integer" => Value::Integer(text.parse().map_err(|_| refuse())?),
        "real" => Value::Real(text.parse().map_err(|_| refuse())?),
        "boolean" => Value::Boolean(text.parse().map_err(|_| refuse())?),
        "bytes" => Value::Bytes(text.into_owned().into_bytes()),
        "json" => Value::Json(text.into_owned()),
        _ => return Err(Error::InvalidOption(format!("there is no kind {kind}"))),
    })
}

/// A value as text.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => format!("{real:?}"),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Value::Json(json) => json.clone(),
    }
}
