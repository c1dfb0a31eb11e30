//! Checks of the file of an SQLite store.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Result;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access, statvfs};

use super::Report;
use crate::output;

/// Less free space is used up soon.
const LITTLE: u64 = 256 << 20;
/// With less free space, the next burst of saves fails.
const NOTHING: u64 = 16 << 20;

pub fn check(path: &Path, report: &mut Report) -> Result<()> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let file = path.display();
    if metadata.mode() & 0o006 != 0 {
        let found = format!("all users of this machine can open {file} and read or change sessions");
        let advice = format!("run `chmod o= {}`", output::quoted(&path.to_string_lossy()));
        report.warning("file", &found, &advice)?;
    }
    if is_remote(path) {
        let found = format!("{file} is on a network file system, where SQLite's write-ahead log does not work");
        report.fail("file", &found, Some("move it to a disk of this machine, or use PostgreSQL, MySQL or Redis"))?;
    }
    match journal_mode(path) {
        Ok(mode) if mode == "wal" => {}
        Ok(mode) => {
            let found = format!("{file} has the journal mode {mode}: loads wait for saves");
            report.warning(
                "file",
                &found,
                "stop all other programs that use it: `lemon-session serve` then sets the mode to wal",
            )?;
        }
        Err(error) => report.fail("file", &format!("{file} cannot be read: {error}"), None)?,
    }

    let Ok(disk) = statvfs(path) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found =
        format!("{file} has {}, and the disk has {} of free space", output::bytes(metadata.len()), output::bytes(free));
    let advice = "free space on the disk: without it, no session can be saved";
    match free {
        ..NOTHING => report.fail("file", &found, Some(advice)),
        NOTHING..LITTLE => report.warning("file", &found, advice),
        _ => report.ok("file", &found),
    }
}

/// Checks that a missing file could be created.
pub fn check_folder(path: &Path, report: &mut Report) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(error) => {
            let found = format!("{} and its log cannot be created: {error}", path.display());
            report.fail("file", &found, Some("make the user that runs the server the owner of the folder"))
        }
    }
}

fn journal_mode(path: &Path) -> rusqlite::Result<String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_query_value(None, "journal_mode", |row| row.get(0))
}

/// Whether the file is on NFS or on a Windows share (`man 2 statfs`).
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    const REMOTE: [i64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];
    rustix::fs::statfs(path).is_ok_and(|disk| REMOTE.contains(&(disk.f_type & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_path: &Path) -> bool {
    false
}
