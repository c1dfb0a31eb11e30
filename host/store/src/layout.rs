//! What differs between the tables that are there and those of this version's layout, and tables of other programs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, TableName};

/// The parts of tables, by what they are called: columns, indexes, procedures; and how each is defined.
pub type Parts = BTreeMap<String, String>;

/// Reads a layout, a part a line: `index Session.owner: owner, digest`.
pub fn parts(layout: &str) -> Parts {
    let lines = layout.lines().filter(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(": ")).map(|(part, is)| (part.to_owned(), is.to_owned())).collect()
}

/// What differs, a line each.
pub fn differences(expected: &Parts, found: &Parts) -> Vec<String> {
    let missing = expected.iter().filter_map(|(part, should)| match found.get(part) {
        None => Some(format!("{part} is missing: {should}")),
        Some(is) if is != should => Some(format!("{part} is {is}, and should be {should}")),
        Some(_) => None,
    });
    let more = found.iter().filter(|(part, _)| !expected.contains_key(*part));
    missing.chain(more.map(|(part, is)| format!("{part} is not of this layout: {is}"))).collect()
}

/// The columns of the tables that are there, by what a table's name ends with: `_variable`, and nothing for the first one.
pub type Columns = BTreeMap<String, BTreeSet<String>>;

/// A table of another program that has one of the names of a layout's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    table: String,
    why: String,
}

impl Foreign {
    /// The first table in `found` that lacks a column of `own`, which lists the columns that tables of every layout have.
    pub fn without_column(table: &TableName, own: &[(&str, &[&str])], found: &Columns) -> Option<Self> {
        own.iter().find_map(|(end, columns)| {
            let found = found.get(*end)?;
            let missing = columns.iter().find(|column| !found.contains(**column))?;
            Some(Self { table: format!("{table}{end}"), why: format!("it has no column {missing}") })
        })
    }

    /// The first table in `found`, if the one whose name ends with `meta` is not there. For stores that make all tables in one
    /// transaction.
    pub fn without_meta(table: &TableName, meta: &str, found: &Columns) -> Option<Self> {
        let end = found.keys().next().filter(|_| !found.contains_key(meta))?;
        Some(Self { table: format!("{table}{end}"), why: format!("there is no table {table}{meta} beside it") })
    }

    /// The error for an operation on these tables, which are in `place`: `sessions.db`.
    pub fn error(&self, place: &str) -> Error {
        Error::invalid(format!(
            "{place} has a table {} that another program made: {}. It is left as it is; give the sessions another name, with \
             --table or by `table` beside `url` in lemon.ini, or another database",
            self.table, self.why
        ))
    }
}
