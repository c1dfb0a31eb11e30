//! Parameters and rows: how the server is given what is stored, and answers it.

use lemon_session_store::{Key, LoadOutcome, Loaded, Record, Stored, Variable, Write, Writes};
use mysql_async::{
    DriverError, Error as ClientError, Params, Row, Transaction, Value,
    prelude::{FromValue, Queryable},
};

use super::statements::Statements;

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
    // The error of the client would hold the value.
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
        ends: column(row, 3)?,
        renewed: column(row, 4)?,
        owner: column::<Option<Vec<u8>>>(row, 5)?.map(text),
        version: column(row, 6)?,
        size: column(row, 7)?,
    })
}

/// A name that was text when it was stored.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes as the procedures read them: the lengths of application, name and value in 4, 4 and 10 digits, and then these.
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

pub fn pack_clears(clears: &[String]) -> Vec<u8> {
    clears.iter().flat_map(|app| format!("{:04}{app}", app.len()).into_bytes()).collect()
}

/// The answer of a load that found the session.
pub fn loaded(mut rows: Vec<Row>) -> Result<LoadOutcome, ClientError> {
    let mut variables = Vec::with_capacity(rows.len());
    for row in &mut rows {
        // A session without variables is one row.
        let Some(name) = column::<Option<Vec<u8>>>(row, 12)? else { continue };
        let value = match column(row, 14)? {
            Some(value) => Stored::Inline(value),
            None => Stored::Large(column(row, 13)?),
        };
        variables.push(Variable { name: text(name), value });
    }
    variables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let Some(first) = rows.first_mut() else { return Ok(LoadOutcome::Absent) };
    let (record, renewal) = (record(first)?, column(first, 11)?);
    Ok(LoadOutcome::Found(Loaded { record, variables, renewal }))
}

/// Writes another store's session, within a transaction; tells whether it may be kept.
pub async fn import(
    transaction: &mut Transaction<'_>,
    sql: &Statements,
    key: &Key,
    mut fields: Vec<Value>,
    writes: &Writes,
    over: Option<u64>,
    now: u64,
) -> Result<bool, ClientError> {
    let key = bytes(key.as_bytes());
    let session = match over {
        None => {
            transaction.exec_drop(&sql.forget, (key.clone(), now)).await?;
            fields.push(key);
            match transaction.exec_drop(&sql.insert, Params::Positional(fields)).await {
                Err(ClientError::Server(error)) if error.code == 1062 => return Ok(false),
                inserted => inserted?,
            }
            transaction.last_insert_id().ok_or_else(unexpected)?
        }
        Some(over) => {
            let Some(session) = transaction.exec_first::<u64, _, _>(&sql.find, (key, now, over)).await? else {
                return Ok(false);
            };
            transaction.exec_drop(&sql.clear, (session,)).await?;
            fields.push(number(session));
            transaction.exec_drop(&sql.replace, Params::Positional(fields)).await?;
            session
        }
    };
    for Write { app, name, value } in writes {
        let Some(value) = value else { continue };
        let parameters = vec![number(session), bytes(app.as_bytes()), bytes(name.as_bytes()), bytes(value)];
        transaction.exec_drop(&sql.write, Params::Positional(parameters)).await?;
    }
    Ok(true)
}
