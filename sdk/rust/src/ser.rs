//! Conversion from a type to a session value.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::{Error, Result, Value};

/// The session value that represents `value`.
///
/// # Errors
///
/// [`InvalidValue`](Error::InvalidValue) for an integer that does not fit into `i64`, and for contents of a list, a map
/// or a struct that JSON cannot express: bytes, infinities and NaN, keys other than text, numbers and booleans, and
/// more than 127 levels of nesting.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    let kind = value.serialize(Look { depth: 0 }).map_err(|Refusal(why)| Error::InvalidValue(why))?;
    match kind {
        Some(plain) => Ok(plain),
        None => serde_json::to_string(value).map(Value::Json).map_err(|error| Error::InvalidValue(error.to_string())),
    }
}

/// Determines how a value is stored: `Some` plain value, or `None` if it becomes JSON. It also checks everything
/// inside, because serde_json itself writes NaN as null and bytes as a list of numbers.
#[derive(Clone, Copy)]
struct Look {
    /// The number of lists and dictionaries around the value.
    depth: usize,
}

/// The levels of nesting that serde_json reads. The modules for other languages have the same limit.
const DEEPEST: usize = 127;

impl Look {
    /// A plain value at the top level; inside a list or dictionary it becomes a part of the JSON.
    fn plain(self, value: impl FnOnce() -> Value) -> Result<Option<Value>, Refusal> {
        Ok((!self.is_nested()).then(value))
    }

    fn is_nested(self) -> bool {
        self.depth > 0
    }

    /// The contents of a value that serde writes as `levels` nested lists and dictionaries.
    fn contents(self, levels: usize) -> Result<Contents, Refusal> {
        let depth = self.depth + levels;
        if depth > DEEPEST {
            return Err(Refusal(format!("lists and dictionaries are nested deeper than {DEEPEST} levels")));
        }
        Ok(Contents(Self { depth }))
    }

    fn integer<N>(self, number: N) -> Result<Option<Value>, Refusal>
    where
        i64: TryFrom<N>,
    {
        let integer = i64::try_from(number)
            .map_err(|_| Refusal("an integer must be from -2^63 to 2^63-1; store larger numbers as text".to_owned()))?;
        self.plain(|| Value::Integer(integer))
    }
}

impl Serializer for Look {
    type Ok = Option<Value>;
    type Error = Refusal;
    type SerializeSeq = Contents;
    type SerializeTuple = Contents;
    type SerializeTupleStruct = Contents;
    type SerializeTupleVariant = Contents;
    type SerializeMap = Contents;
    type SerializeStruct = Contents;
    type SerializeStructVariant = Contents;

    fn serialize_bool(self, value: bool) -> Result<Self::Ok, Refusal> {
        self.plain(|| Value::Boolean(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_i16(self, value: i16) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_i32(self, value: i32) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_i64(self, value: i64) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_i128(self, value: i128) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_u8(self, value: u8) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_u16(self, value: u16) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_u32(self, value: u32) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_u64(self, value: u64) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_u128(self, value: u128) -> Result<Self::Ok, Refusal> {
        self.integer(value)
    }

    fn serialize_f32(self, value: f32) -> Result<Self::Ok, Refusal> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Self::Ok, Refusal> {
        if self.is_nested() && !value.is_finite() {
            return Err(Refusal(
                "a number inside a list or dictionary is infinite or NaN, which JSON cannot express".to_owned(),
            ));
        }
        self.plain(|| Value::Real(value))
    }

    fn serialize_char(self, value: char) -> Result<Self::Ok, Refusal> {
        self.plain(|| Value::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Self::Ok, Refusal> {
        self.plain(|| Value::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Self::Ok, Refusal> {
        if self.is_nested() {
            return Err(Refusal(
                "JSON cannot express bytes inside a list or dictionary; store them in a separate variable".to_owned(),
            ));
        }
        self.plain(|| Value::Bytes(value.to_owned()))
    }

    fn serialize_none(self) -> Result<Self::Ok, Refusal> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Refusal> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Self::Ok, Refusal> {
        self.plain(|| Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Self::Ok, Refusal> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Self::Ok, Refusal> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Self::Ok, Refusal> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Refusal> {
        value.serialize(self.contents(1)?.0)?;
        Ok(None)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Contents, Refusal> {
        self.contents(1)
    }

    fn serialize_tuple(self, _: usize) -> Result<Contents, Refusal> {
        self.contents(1)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Contents, Refusal> {
        self.contents(1)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Contents, Refusal> {
        self.contents(2)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Contents, Refusal> {
        self.contents(1)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Contents, Refusal> {
        self.contents(1)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Contents, Refusal> {
        self.contents(2)
    }
}

/// The contents of a list, a map or a struct.
struct Contents(Look);

macro_rules! look_at_contents {
    ($($of:ident::$method:ident($($name:ty)?);)*) => {$(
        impl $of for Contents {
            type Ok = Option<Value>;
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Refusal> {
                value.serialize(self.0).map(drop)
            }

            fn end(self) -> Result<Self::Ok, Refusal> {
                Ok(None)
            }
        }
    )*};
}

look_at_contents! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}

impl SerializeMap for Contents {
    type Ok = Option<Value>;
    type Error = Refusal;

    /// serde_json refuses keys that JSON cannot express.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Refusal> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        value.serialize(self.0).map(drop)
    }

    fn end(self) -> Result<Self::Ok, Refusal> {
        Ok(None)
    }
}

/// Why a value cannot be stored.
#[derive(Debug)]
struct Refusal(String);

impl Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string())
    }
}
