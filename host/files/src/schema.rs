//! The directory of a table, and its layout.
//!
//! `DIR/TABLE/layout` has the number of the layout, and `DIR/TABLE/v1` the files of layout 1. A program of another layout
//! looks for them elsewhere, so that no call has to read the number first. A table appears and disappears as a whole, by the
//! renaming of its directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lemon_session_store::{Error, Result, TableName};

use super::{
    disk::{self, Disk},
    name::Unique,
    options::Options,
};

/// The layout that this version reads and writes.
const LAYOUT: u64 = 1;

/// What the names of tables that are being made or removed begin with. No table's name has a `-`.
const UNFINISHED: &str = "unfinished-";

/// The directories of a table.
const PARTS: [&str; 4] = ["sessions", "due", "owners", "new"];

/// The directory of a table.
pub fn table(options: &Options, table: &TableName) -> PathBuf {
    options.directory.join(table.as_str())
}

/// The directory with the files of a table.
pub fn files(table: &Path) -> PathBuf {
    table.join(format!("v{LAYOUT}"))
}

/// The layout of a table's directory; `None` if there is no such directory.
fn layout(table: &Path) -> Result<Option<u64>> {
    let failed = |error| Error::unavailable(format!("{} cannot be read", table.display())).with_source(error);
    if disk::found(fs::metadata(table)).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let text = disk::found(fs::read(table.join("layout"))).map_err(failed)?;
    let number = text.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        Error::unavailable(format!(
            "{} is not a table of lemon:session: it has no file named layout with a number in it",
            table.display()
        ))
    })
}

/// Fails unless the table is there and has this version's layout.
pub fn refuse(table: &Path) -> Result<()> {
    let shown = table.display();
    match layout(table)? {
        Some(LAYOUT) => Ok(()),
        Some(other) => Err(Error::unavailable(format!(
            "{shown} has layout {other}: this version of the program knows layout {LAYOUT}"
        ))),
        None => {
            Err(Error::missing_tables(format!("there is no table {shown}: `lemon-session tables create` makes it")))
        }
    }
}

/// Whether the table is there.
pub fn exists(table: &Path) -> Result<bool> {
    match refuse(table) {
        Ok(()) => Ok(true),
        Err(error) if error.is_missing_tables() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the directory of a table, unless it is there.
pub fn create(directory: &Path, table: &Path, disk: Disk, unique: &Unique) -> Result<()> {
    if exists(table)? {
        return Ok(());
    }
    check_directory(directory)?;
    let failed = |error| Error::unavailable(format!("{} cannot be made", table.display())).with_source(error);
    let unfinished = directory.join(format!("{UNFINISHED}{:016x}", unique.next()));
    let made = (|| {
        if disk.create_dir(directory)?
            && let Some(parent) = directory.parent()
        {
            // A component may not have the directory around its own.
            let _ = disk.sync(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        }
        disk.create_dir(&unfinished)?;
        disk.write(&unfinished.join("layout"), format!("{LAYOUT}\n").as_bytes())?;
        disk.create_dir(&files(&unfinished))?;
        for part in PARTS {
            disk.create_dir(&files(&unfinished).join(part))?;
        }
        disk.sync(&files(&unfinished))?;
        disk.sync(&unfinished)?;
        fs::rename(&unfinished, table)?;
        disk.sync(directory)
    })();
    match made {
        Err(error) if disk::is_taken(&error) => {
            // Another caller made it meanwhile.
            fs::remove_dir_all(&unfinished).map_err(failed)?;
            refuse(table)
        }
        made => made.map_err(failed),
    }
}

/// Fails if the directory has something else in it than tables.
fn check_directory(directory: &Path) -> Result<()> {
    let failed = |error| Error::unavailable(format!("{} cannot be read", directory.display())).with_source(error);
    for name in disk::names(directory).map_err(failed)?.into_iter().flatten() {
        // The second is there in each file system of its own.
        if name.starts_with(UNFINISHED) || name == "lost+found" {
            continue;
        }
        let is_table = TableName::new(&name).is_ok() && directory.join(&name).join("layout").is_file();
        // Another caller may be removing a table.
        if !is_table && fs::symlink_metadata(directory.join(&name)).is_ok() {
            return Err(Error::invalid(format!(
                "{} has something else than sessions in it, {name:?} for example: give a directory that is empty or not \
                 there yet",
                directory.display()
            )));
        }
    }
    Ok(())
}

/// Removes the directory of a table, and what is left of others that were being made or removed.
pub fn drop(directory: &Path, table: &Path, unique: &Unique) -> Result<()> {
    let failed = |error| Error::unavailable(format!("{} cannot be removed", table.display())).with_source(error);
    if exists(table)? {
        let unfinished = directory.join(format!("{UNFINISHED}{:016x}", unique.next()));
        disk::rename(table, &unfinished).map_err(failed)?;
    }
    for name in disk::names(directory).map_err(failed)?.into_iter().flatten() {
        if name.starts_with(UNFINISHED) {
            remove_all(&directory.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Removes a directory that others may be writing to or removing.
fn remove_all(directory: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match disk::found(fs::remove_dir_all(directory)) {
            Err(error) if disk::is_taken(&error) && tries < 100 => tries += 1,
            removed => return removed.map(|_| ()),
        }
    }
}
