//! Parameters of statements, and the rows that they return.

use lemon_session_store::{LoadOutcome, Loaded, Record, Stored, Variable, Write};
use mysql_async::{DriverError, Error as ClientError, Row, Value, prelude::FromValue};

pub fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

pub fn number(number: u64) -> Value {
    Value::UInt(number)
}

pub fn optional<T>(value: Option<T>, some: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::NULL, some)
}

/// Takes a column out of a row.
pub fn column<T: FromValue>(row: &mut Row, index: usize) -> Result<T, ClientError> {
    // The client's error would contain the value.
    let value = row.take_opt(index).and_then(Result::ok);
    value.ok_or_else(unexpected)
}

pub fn unexpected() -> ClientError {
    DriverError::UnexpectedPacket { payload: Vec::new() }.into()
}

/// A record from the first eight columns of a row.
pub fn record(row: &mut Row) -> Result<Record, ClientError> {
    Ok(Record {
        created: column(row, 0)?,
        accessed: column(row, 1)?,
        expires: column(row, 2)?,
        absolute_expiry: column(row, 3)?,
        rotated: column(row, 4)?,
        owner: column::<Option<Vec<u8>>>(row, 5)?.map(text),
        version: column(row, 6)?,
        size: column(row, 7)?,
    })
}

/// A name, which is stored as bytes.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes, in the form that the procedures read: the lengths of application, name and value in 4, 4 and 10 digits,
/// followed by the three. A removal has the length -1.
pub fn pack<'a>(writes: impl IntoIterator<Item = &'a Write>) -> Vec<u8> {
    let mut packed = Vec::new();
    for write in writes {
        let length = write.value.as_ref().map_or(-1, |value| value.len() as i64);
        packed.extend(format!("{:04}{:04}{length:010}", write.app.len(), write.name.len()).into_bytes());
        packed.extend(write.app.as_bytes());
        packed.extend(write.name.as_bytes());
        packed.extend(write.value.as_deref().unwrap_or_default());
    }
    packed
}

/// Clears, in the form that the procedures read: the length of the application in 4 digits, followed by the
/// application.
pub fn pack_clears(clears: &[String]) -> Vec<u8> {
    clears.iter().flat_map(|app| format!("{:04}{app}", app.len()).into_bytes()).collect()
}

/// The answer of a load that has found a session.
pub fn loaded(mut rows: Vec<Row>) -> Result<LoadOutcome, ClientError> {
    let (mut details, mut variables) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in &mut rows {
        // A session without details and variables is a row without a name.
        let Some(name) = column::<Option<Vec<u8>>>(row, 12)? else { continue };
        let value = match column(row, 14)? {
            Some(value) => Stored::Inline(value),
            None => Stored::Large(column(row, 13)?),
        };
        let of = if column(row, 15)? { &mut details } else { &mut variables };
        of.push(Variable { name: text(name), value });
    }
    for found in [&mut details, &mut variables] {
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    let Some(first) = rows.first_mut() else { return Ok(LoadOutcome::Absent) };
    let (record, renewal) = (record(first)?, column(first, 11)?);
    Ok(LoadOutcome::Found(Loaded { record, details, variables, renewal }))
}
