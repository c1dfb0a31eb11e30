//! Parsers of the values in `lemon.ini`. Each error names a correct value.

use lemon_session_host::store::TableName;

pub(super) use lemon_session_rules::settings::parse::{boolean, bytes, number, optional, seconds, text};

type Result<T> = std::result::Result<T, String>;

pub(super) fn table(value: &str) -> Result<TableName> {
    TableName::new(value)
}

pub(super) fn tables(value: &str) -> Result<Vec<TableName>> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(TableName::new).collect()
}
