//! The answers of scripts and commands.

use lemon_session_store::{Digest, Error, Record, Result};
use redis::Value;

macro_rules! words {
    ($($word:ident $text:literal)+) => {
        /// The kind of an answer: its first element.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word {
            $($word),+
        }

        impl Word {
            fn new(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    Absent "absent"
    Changed "changed"
    Committed "committed"
    Conflict "conflict"
    Count "count"
    Created "created"
    Ended "ended"
    Exists "exists"
    Expired "expired"
    Follow "follow"
    Found "found"
    Gone "gone"
    Index "index"
    Indexed "indexed"
    Large "large"
    Layout "layout"
    Left "left"
    Move "move"
    None "none"
    Owned "owned"
    Pending "pending"
    Settled "settled"
    Taken "taken"
}

/// The answer of a script: a word for its kind, followed by values.
pub struct Reply {
    word: Word,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    pub fn new(value: Value) -> Result<Self> {
        let mut rest = array(value)?.into_iter();
        let word = Word::new(&text(rest.next().unwrap_or(Value::Nil))?);
        Ok(Self { word: word.ok_or_else(|| unexpected("a word that no script returns"))?, rest })
    }

    pub fn word(&self) -> Word {
        self.word
    }

    /// The next value, of any type; none after the last.
    pub fn next(&mut self) -> Option<Value> {
        self.rest.next()
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        self.bytes_if()?.ok_or_else(|| unexpected("nil in place of a value"))
    }

    pub fn bytes_if(&mut self) -> Result<Option<Vec<u8>>> {
        bytes_if(self.rest.next().unwrap_or(Value::Nil))
    }

    pub fn text(&mut self) -> Result<String> {
        text(self.rest.next().unwrap_or(Value::Nil))
    }

    pub fn number(&mut self) -> Result<u64> {
        number(&self.bytes()?)
    }

    pub fn key(&mut self) -> Result<Digest> {
        key(&self.bytes()?)
    }

    pub fn record(&mut self) -> Result<Record> {
        let fields = RECORD.iter().map(|_| self.bytes_if()).collect::<Result<_>>()?;
        record(fields)
    }
}

/// The fields of a record, in the order in which scripts answer them.
pub const RECORD: [&str; 8] = ["created", "accessed", "expires", "ends", "renewed", "owner", "version", "size"];

/// A record from the values of [`RECORD`]'s fields.
pub fn record(fields: Vec<Option<Vec<u8>>>) -> Result<Record> {
    let Ok([created, accessed, expires, absolute_expiry, rotated, owner, version, size]) = <[_; 8]>::try_from(fields)
    else {
        return Err(unexpected("a record with too few fields"));
    };
    let needed =
        |field: Option<Vec<u8>>| number(&field.ok_or_else(|| unexpected("a record without one of its fields"))?);
    Ok(Record {
        created: needed(created)?,
        accessed: needed(accessed)?,
        expires: needed(expires)?,
        absolute_expiry: absolute_expiry.as_deref().map(number).transpose()?,
        rotated: needed(rotated)?,
        owner: owner.map(utf8).transpose()?,
        version: needed(version)?,
        size: needed(size)?,
    })
}

/// The elements of a list; none for nil.
pub fn list(value: Value) -> Result<Vec<Option<Vec<u8>>>> {
    array(value)?.into_iter().map(bytes_if).collect()
}

pub fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(unexpected("something other than a list")),
    }
}

pub fn bytes_if(value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        _ => Err(unexpected("something other than bytes")),
    }
}

pub fn text(value: Value) -> Result<String> {
    utf8(bytes_if(value)?.ok_or_else(|| unexpected("nil in place of a word"))?)
}

pub fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| unexpected("a name that is not UTF-8"))
}

pub fn number(bytes: &[u8]) -> Result<u64> {
    let digits = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    digits.ok_or_else(|| unexpected("something other than a number"))
}

pub fn key(hex: &[u8]) -> Result<Digest> {
    let key = std::str::from_utf8(hex).ok().and_then(Digest::from_hex);
    key.ok_or_else(|| unexpected("something other than a session's digest"))
}

/// An error for content that this driver cannot have written.
pub fn unexpected(what: &str) -> Error {
    Error::unavailable(format!("Redis answered {what}: does another program use keys with the table's name?"))
}
