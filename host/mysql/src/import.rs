//! Sessions that are moved here from another store.

use lemon_session_store::{Digest, Write, Writes};
use mysql_async::{Error as ClientError, Params, Transaction, Value, prelude::Queryable};

use super::{
    rows::{bytes, number, unexpected},
    statements::Statements,
};

/// Stores another store's session within a transaction. Returns whether to commit that.
pub async fn import(
    transaction: &mut Transaction<'_>,
    sql: &Statements,
    digest: &Digest,
    mut fields: Vec<Value>,
    writes: &Writes,
    over: Option<u64>,
    now: u64,
) -> Result<bool, ClientError> {
    let digest = bytes(digest.as_bytes());
    let session = match over {
        None => {
            transaction.exec_drop(&sql.forget, (digest.clone(), now)).await?;
            fields.push(digest);
            match transaction.exec_drop(&sql.insert, Params::Positional(fields)).await {
                Err(ClientError::Server(error)) if error.code == 1062 => return Ok(false),
                inserted => inserted?,
            }
            transaction.last_insert_id().ok_or_else(unexpected)?
        }
        Some(over) => {
            let Some(session) = transaction.exec_first::<u64, _, _>(&sql.find, (digest, now, over)).await? else {
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
