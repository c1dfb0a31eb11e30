//! The layout of the tables: its version, and errors about it.

use lemon_session_store::{
    Error, Result,
    layout::{Columns, Foreign},
};

use super::server::Server;

/// What the names of the tables end with, and columns that they have in every layout. Only MySQL has `_login`.
const TABLES: [(&str, &[&str]); 4] = [
    ("", &["id", "digest", "ended", "era", "leads_to"]),
    ("_variable", &["session", "app", "name", "value"]),
    ("_login", &["slot", "logins"]),
    ("_meta", &["layout"]),
];

impl Server {
    /// Fails if a table of another program is among those that a query has found: the end of a table's name and a column a
    /// row.
    pub fn refuse_foreign(&self, found: Vec<(String, String)>) -> Result<()> {
        let mut tables = Columns::new();
        for (end, column) in found {
            tables.entry(end).or_default().insert(column);
        }
        let place = || format!("the database {} of {} at {}", self.database, self.product, self.address());
        let foreign = Foreign::without_column(&self.table, &TABLES, &tables);
        foreign.map_or(Ok(()), |foreign| Err(foreign.error(&place())))
    }

    /// The steps from the layout `found` to the last one, of all `steps`.
    pub fn missing_steps<'a>(&self, found: i64, steps: &'a [&'a str]) -> Result<&'a [&'a str]> {
        let missing = usize::try_from(found).ok().and_then(|found| steps.get(found..));
        missing.ok_or_else(|| self.newer_layout(found, steps.len() as i64))
    }

    fn newer_layout(&self, found: i64, known: i64) -> Error {
        Error::unavailable(format!(
            "the tables of {} have layout {found}, made by a newer version of this program: this one knows layouts up to \
             {known}",
            self.summary()
        ))
    }

    /// The layout that a query has found: 0 if there are no tables, and an error if the layout is newer than `known`.
    pub fn known_layout(&self, found: Result<i64>, known: i64) -> Result<i64> {
        match found {
            Ok(layout) if layout > known => Err(self.newer_layout(layout, known)),
            Err(error) if error.is_missing_tables() => Ok(0),
            found => found,
        }
    }
}

/// The difference to report if the tables do not exist or have another layout.
pub fn other_layout(found: i64, known: usize) -> Option<String> {
    match found {
        0 => Some("the tables are not there".to_owned()),
        found if found != known as i64 => {
            Some(format!("the tables have layout {found}, and this version's is {known}"))
        }
        _ => None,
    }
}
