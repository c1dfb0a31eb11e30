//! The classification of errors.

use lemon_session_sql::{attempts::Failure, server::Server};
use tokio_postgres::error::{Severity, SqlState};

/// Classifies an error of the client.
pub fn failure(error: &tokio_postgres::Error, server: &Server) -> Failure {
    let text = describe(error);
    let Some(db) = error.as_db_error() else {
        if text.contains("password missing") {
            return Failure::Refused(server.refused("it asks for a password, but none is given"));
        }
        return Failure::Broken(text);
    };
    match db.code() {
        &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_FUNCTION | &SqlState::UNDEFINED_COLUMN => {
            Failure::Refused(server.missing_tables())
        }
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Failure::Undone(text),
        &SqlState::READ_ONLY_SQL_TRANSACTION => Failure::ReadOnly(format!("it takes no writes: {text}")),
        &SqlState::UNIQUE_VIOLATION => Failure::Refused(server.error("the new digest of a session is taken")),
        &SqlState::QUERY_CANCELED => Failure::Refused(server.too_late()),
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Failure::Refused(server.refused(db.message()))
        }
        &SqlState::INVALID_CATALOG_NAME => Failure::Refused(server.missing_database()),
        _ if matches!(db.parsed_severity(), Some(Severity::Error)) => Failure::Refused(server.error(text)),
        _ => Failure::Broken(text),
    }
}

/// The text of an error, without the values that the server may quote.
pub fn describe(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else {
        let why = std::iter::successors(std::error::Error::source(error), |why| why.source());
        return why.fold(error.to_string(), |text, why| format!("{text}: {why}"));
    };
    let code = error.code().code();
    // Connections, privileges, transactions, names of tables, resources, operators: these messages quote no stored
    // values.
    const TOLD: [&str; 16] =
        ["08", "0A", "25", "28", "2D", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0", "XX"];
    if !TOLD.iter().any(|class| code.starts_with(class)) {
        return format!("SQLSTATE {code}");
    }
    format!("{} (SQLSTATE {code})", error.message())
}
