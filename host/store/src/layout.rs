//! What differs between the tables that are there and those of this version's layout.

use std::collections::BTreeMap;

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
