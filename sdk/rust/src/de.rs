//! Conversion from a session value to a type.

use std::any::type_name;

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, IntoDeserializer as _, Visitor},
    forward_to_deserialize_any,
};

use crate::{Error, Result, Value};

/// Converts a session value to a `T`.
///
/// An integer can also be read as `f64` or `f32`, and a real as `f32`, if the conversion is exact.
///
/// # Errors
///
/// [`WrongType`](Error::WrongType) when the value is not a `T`.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    let kind = kind(&value);
    let outcome = match value {
        Value::Json(json) => {
            let mut source = serde_json::Deserializer::from_str(&json);
            let read = serde_path_to_error::deserialize(&mut source).map_err(|error| format!(": {}", misfit(&error)));
            read.and_then(|read| source.end().map(|()| read).map_err(|_| ": there is more after it".to_owned()))
        }
        plain => T::deserialize(Plain(plain)).map_err(|Mismatch| String::new()),
    };
    outcome.map_err(|why| Error::WrongType(format!("expected {}, found {kind}{why}", type_name::<T>())))
}

/// Which part of the value does not fit, and what is expected there. Without the rest of serde's message, which quotes the value.
fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    let what = match message.rsplit_once(", expected ") {
        _ if message.starts_with("missing field `") => message.to_owned(),
        Some((_, expected)) => format!("expected {expected}"),
        None => "a value that does not fit".to_owned(),
    };
    match error.path().to_string().as_str() {
        "." => what,
        path => format!("{what} in {path}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Json(_) => "JSON",
    }
}

/// A value that is not JSON.
struct Plain(Value);

impl<'de> Deserializer<'de> for Plain {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(boolean) => visitor.visit_bool(boolean),
            Value::Integer(integer) => visitor.visit_i64(integer),
            Value::Real(real) => visitor.visit_f64(real),
            Value::Text(text) | Value::Json(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_f64(self.real()?)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the next line checks that the conversion is exact")]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let real = self.real()?;
        let single = real as f32;
        if f64::from(single) != real && !real.is_nan() {
            return Err(Mismatch);
        }
        visitor.visit_f32(single)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Text(variant) => visitor.visit_enum(variant.into_deserializer()),
            _ => Err(Mismatch),
        }
    }

    // Without these, serde's types would accept text for bytes and bytes for text.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Bytes(_) => Err(Mismatch),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            _ => Err(Mismatch),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_byte_buf(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl Plain {
    /// The number as a real, if the conversion is exact.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "the guard checks that it is exact"
    )]
    fn real(&self) -> Result<f64, Mismatch> {
        match self.0 {
            Value::Real(real) => Ok(real),
            // Compared as i128, because a cast to i64 saturates and would turn 2^63 into the largest integer.
            Value::Integer(integer) if integer as f64 as i128 == i128::from(integer) => Ok(integer as f64),
            _ => Err(Mismatch),
        }
    }
}

/// The value is not of the type. It keeps no message, as serde's messages quote values.
#[derive(Debug)]
struct Mismatch;

impl std::fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("not of this type")
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}
