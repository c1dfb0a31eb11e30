//! Waits for changes of files.
//!
//! It reads their metadata a few times a second, which costs microseconds. Notifications of the kernel would be faster, but
//! they leave out the folders that a container or a virtual machine shares with its host, and follow neither a file that is
//! replaced by another nor a folder that a build removes and creates again.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

/// The pause between two looks. Files that were the same in two looks are complete.
const PAUSE: Duration = Duration::from_millis(200);

/// Files that are watched.
pub struct Watch {
    files: Vec<PathBuf>,
    /// Those that need not exist.
    optional: Vec<PathBuf>,
    /// What they were when a change was last reported.
    reported: Option<Look>,
    /// What they were when they were last looked at.
    last: Option<Look>,
}

/// What files were in one moment, in their order.
type Look = Vec<Option<State>>;

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Watch {
    /// Watches `files`, and others that are `optional`, from now on.
    pub fn new(files: Vec<PathBuf>, optional: Vec<PathBuf>) -> Self {
        let mut watch = Self { files, optional, reported: None, last: None };
        watch.reported = watch.look();
        watch
    }

    /// Waits until a file is another one than when this last returned, and all of them are complete.
    pub async fn changed(&mut self) {
        loop {
            sleep(PAUSE).await;
            if self.has_changed() {
                return;
            }
        }
    }

    /// Looks again. Whether there is a change to report.
    fn has_changed(&mut self) -> bool {
        let now = self.look();
        let is_complete = now.is_some() && now == self.last;
        let has_changed = is_complete && now != self.reported;
        if has_changed {
            self.reported.clone_from(&now);
        }
        self.last = now;
        has_changed
    }

    /// What the files are. `None` while one of them is missing, because then a build is about to create it.
    fn look(&self) -> Option<Look> {
        let required = self.files.iter().map(|file| State::of(file).map(Some));
        let optional = self.optional.iter().map(|file| Some(State::of(file)));
        required.chain(optional).collect()
    }
}

impl State {
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self { inode: metadata.ino(), bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of changes that are reported within ten looks.
    fn reports(watch: &mut Watch) -> usize {
        (0..10).filter(|_| watch.has_changed()).count()
    }

    fn write(file: &Path, text: &str) {
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_change_is_reported_once_and_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.wasm");
        write(&file, "one");
        let mut watch = Watch::new(vec![file.clone()], vec![]);
        assert_eq!(reports(&mut watch), 0);
        for length in 1..20 {
            write(&file, &"written in steps".repeat(length));
            assert!(!watch.has_changed(), "it was not complete after {length} steps");
        }
        assert_eq!(reports(&mut watch), 1);
    }

    #[test]
    fn a_file_that_is_replaced_by_another_of_the_same_size_and_time_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("app.wasm"), folder.path().join("other"));
        write(&file, "one");
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        let mut watch = Watch::new(vec![file.clone()], vec![]);
        write(&other, "two");
        fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(reports(&mut watch), 1);
    }

    #[test]
    fn while_a_file_is_missing_nothing_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("app.wasm"), folder.path().join("other.wasm"));
        write(&other, "other");
        let mut watch = Watch::new(vec![file.clone(), other.clone()], vec![]);
        write(&other, "changed");
        assert_eq!(reports(&mut watch), 0);
        write(&file, "built");
        assert_eq!(reports(&mut watch), 1, "it was missing at first");
        fs::remove_file(&file).unwrap();
        assert_eq!(reports(&mut watch), 0);
        write(&file, "built again");
        assert_eq!(reports(&mut watch), 1);
    }

    #[test]
    fn an_optional_file_that_comes_and_goes_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lemon.ini");
        let mut watch = Watch::new(vec![], vec![file.clone()]);
        assert_eq!(reports(&mut watch), 0);
        write(&file, "[session]");
        assert_eq!(reports(&mut watch), 1);
        fs::remove_file(&file).unwrap();
        assert_eq!(reports(&mut watch), 1);
    }
}
