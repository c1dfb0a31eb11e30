/// The value of one session variable. Each kind is returned as it was stored.
pub use crate::bindings::lemon::session::types::Value;

use crate::bindings::lemon::session::types::Error;

/// Refuses a value beyond the limit before it is copied into the session component, which would trap for lack of
/// memory.
pub(super) fn check_size(key: &str, value: &Value, limit: u32) -> Result<(), Error> {
    let length = match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
    };
    if length <= limit as usize {
        return Ok(());
    }
    let key: String = key.chars().take(64).filter(|character| !character.is_control()).collect();
    Err(Error::TooLarge(format!("the value of '{key}' has {length} bytes; the limit value-bytes is {limit}")))
}

macro_rules! from {
    ($($from:ty => $case:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$case(value.into())
            }
        })*
    };
}

from! {
    bool => Boolean,
    i8 => Integer, i16 => Integer, i32 => Integer, i64 => Integer,
    u8 => Integer, u16 => Integer, u32 => Integer,
    f32 => Real, f64 => Real,
    &str => Text, String => Text,
    &[u8] => Bytes, Vec<u8> => Bytes,
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

/// `None` becomes [`Value::Null`], which differs from a variable that is not set.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<serde_json::Value> for Value {
    /// Stores arrays and objects as JSON text.
    fn from(value: serde_json::Value) -> Self {
        Self::Json(value.to_string())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => a == b,
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            _ => false,
        }
    }
}
