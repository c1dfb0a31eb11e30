//! The cache of compiled applications.
//!
//! The files contain machine code that is executed without further checks: a user who can put a file into the folder
//! controls this process. The folder is therefore kept open and checked before each use: it must belong to this user,
//! be closed to others, and have no parent in which others could replace it. A file is used only if this user wrote it
//! for the application in question, and it is mapped from the descriptor that was checked.

use std::{
    env,
    fs::{DirBuilder, File, read_link},
    hash::{Hash as _, Hasher},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, Stat, fstat, open, openat, renameat, statat, unlinkat},
    io::Errno,
};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

/// A folder of compiled applications.
#[derive(Clone)]
pub struct Cache {
    path: PathBuf,
    folder: Arc<OwnedFd>,
    /// Whether nothing is stored.
    is_read_only: bool,
}

/// The cache entry of one application.
pub struct Entry<'a> {
    cache: &'a Cache,
    /// Identifies the components, the compiler and its settings.
    digest: String,
}

/// Files that were not used for this long are removed.
const UNUSED: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;
/// SHA-256 in hexadecimal.
const DIGEST_LENGTH: usize = 64;
const EXTENSION: &str = "cwasm";

impl Cache {
    /// Opens the cache in `folder`, or else in the user's cache folder. Creates the folder if it does not exist.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let path: PathBuf = match folder {
            // Removes a trailing slash, with which a symbolic link would be followed.
            Some(folder) => folder.components().collect(),
            None => of_user().context("this user has no cache folder")?,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        ensure!(!path.is_symlink(), "{} is a symbolic link: pass the folder that it points to", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(&path, flags, Mode::empty()).with_context(|| format!("cannot open {}", path.display()))?;
        let cache = Self { path, folder: Arc::new(folder), is_read_only: false };
        cache.check()?;
        Ok(cache)
    }

    /// The same cache, in which nothing more is stored.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// Whether nothing is stored.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Fails when files cannot be written.
    pub fn probe(&self) -> Result<()> {
        let name = format!("probe-{}", std::process::id());
        self.check()?;
        self.create(&name)?;
        Ok(unlinkat(&*self.folder, &name, AtFlags::empty())?)
    }

    /// The entry for these components, compiled by this version for this engine.
    pub fn entry<'a>(&self, engine: &Engine, components: impl Iterator<Item = &'a [u8]>) -> Entry<'_> {
        let mut digest = Digest(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        engine.precompile_compatibility_hash().hash(&mut digest);
        for component in components {
            component.hash(&mut digest);
        }
        let digest = digest.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Entry { cache: self, digest }
    }

    /// Checks that the folder belongs to this user, and that no other user can replace it.
    fn check(&self) -> Result<()> {
        let folder = fstat(&self.folder)?;
        ensure!(
            is_own(&folder) && folder.st_mode & 0o077 == 0,
            "{} must belong to the user that runs this command and be closed to others (chmod 700)",
            self.path.display()
        );
        let above = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut below = folder;
        let mut parent = openat(&self.folder, "..", above, Mode::empty())?;
        loop {
            let stat = fstat(&parent)?;
            if (stat.st_dev, stat.st_ino) == (below.st_dev, below.st_ino) {
                return Ok(());
            }
            let is_sticky = stat.st_mode & 0o1000 != 0;
            ensure!(
                (is_own(&stat) || stat.st_uid == 0) && (stat.st_mode & 0o022 == 0 || is_sticky),
                "{} is in {}, which other users can write to",
                self.path.display(),
                read_link(path_of(&parent)).unwrap_or_default().display()
            );
            let next = match openat(&parent, "..", above, Mode::empty()) {
                // Without the right to search this parent, this user cannot have reached the folder through it.
                Err(Errno::ACCESS) => return Ok(()),
                next => next?,
            };
            below = stat;
            parent = next;
        }
    }

    /// Creates a file that only this user can access.
    fn create(&self, name: &str) -> rustix::io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&*self.folder, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }

    fn remove_unused(&self, now: SystemTime) -> Result<()> {
        for file in Dir::read_from(&*self.folder)? {
            let file = file?;
            let name = file.file_name();
            let is_ours = |name: &str| name.split_once('.').is_some_and(|(stem, _)| stem.len() == DIGEST_LENGTH);
            if !name.to_str().is_ok_and(is_ours) {
                continue;
            }
            let used = statat(&*self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mtime;
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(used.try_into().unwrap_or(0));
            if now.duration_since(used).is_ok_and(|unused| unused > UNUSED) {
                unlinkat(&*self.folder, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

impl Entry<'_> {
    /// The compiled component, if there is a valid one.
    pub fn read(&self, engine: &Engine) -> Option<Component> {
        self.load(engine).unwrap_or_else(|error| {
            tracing::warn!("ignoring compiled code in {}: {error:#}", self.cache.path.display());
            None
        })
    }

    fn load(&self, engine: &Engine) -> Result<Option<Component>> {
        self.cache.check()?;
        // Non-blocking, because opening a pipe waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&*self.cache.folder, self.name(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => bail!("{} is a symbolic link", self.name()),
            Err(error) => return Err(error).context(self.name()),
        };
        self.check(&file).with_context(|| self.name())?;
        // SAFETY: only this user can write to the file. This command wrote all of it before the rename, and its
        // contents are wasmtime's output for the components in the digest.
        let component = unsafe { Component::deserialize_file(engine, path_of(&file)) };
        let component = component.map_err(anyhow::Error::from).with_context(|| self.name())?;
        let now = SystemTime::now();
        let used = file.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > Duration::from_secs(DAY))) {
            let _ = file.set_modified(now);
        }
        Ok(Some(component))
    }

    /// Checks that this command wrote the file for this entry. If the folder was open to others before, they could have
    /// added or renamed files.
    fn check(&self, file: &File) -> Result<()> {
        let stat = fstat(file)?;
        ensure!(file.metadata()?.is_file(), "it is not a regular file");
        ensure!(is_own(&stat), "it belongs to another user");
        ensure!(stat.st_mode & 0o077 == 0, "it is open to others");
        ensure!(stat.st_nlink == 1, "it has another hard link");
        let mut end = [0; DIGEST_LENGTH];
        let code = file.metadata()?.size().checked_sub(DIGEST_LENGTH as u64).context("it is broken")?;
        file.read_exact_at(&mut end, code)?;
        ensure!(end == self.digest.as_bytes(), "it was written for another application, or is broken");
        Ok(())
    }

    /// Stores the code of a compiled component, unless the cache is read-only, and returns whether it is there. If that fails,
    /// the next run compiles it again.
    pub fn write(&self, code: &[u8]) -> bool {
        if self.cache.is_read_only {
            return false;
        }
        let kept = self.replace(code);
        let is_kept = kept.is_ok();
        if let Err(error) = kept.and_then(|()| self.cache.remove_unused(SystemTime::now())) {
            tracing::warn!("cannot write compiled code to {}: {error:#}", self.cache.path.display());
        }
        is_kept
    }

    fn replace(&self, code: &[u8]) -> Result<()> {
        self.cache.check()?;
        let folder = &*self.cache.folder;
        let unfinished = format!("{}.{}", self.digest, std::process::id());
        let mut file = match self.cache.create(&unfinished) {
            // Left by a process with the same id that was killed while writing.
            Err(Errno::EXIST) => {
                unlinkat(folder, &unfinished, AtFlags::empty()).and_then(|()| self.cache.create(&unfinished))
            }
            file => file,
        }?;
        // wasmtime ignores the bytes after its code.
        let written = file.write_all(code).and_then(|()| file.write_all(self.digest.as_bytes()));
        let written =
            written.and_then(|()| renameat(folder, &unfinished, folder, self.name()).map_err(io::Error::from));
        if written.is_err() {
            let _ = unlinkat(folder, &unfinished, AtFlags::empty());
        }
        Ok(written?)
    }

    fn name(&self) -> String {
        format!("{}.{EXTENSION}", self.digest)
    }
}

fn is_own(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// The kernel's path of an open file, which leads to this file even if its name was given to another one.
fn path_of(file: &impl std::os::fd::AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// `$XDG_CACHE_HOME/lemon-session`, or `~/.cache/lemon-session`.
fn of_user() -> Option<PathBuf> {
    let set = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let caches = set.or_else(|| Some(env::home_dir().filter(|home| home.is_absolute())?.join(".cache")))?;
    Some(caches.join("lemon-session"))
}

struct Digest(Sha256);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is longer")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, chown, symlink},
    };

    use tempfile::TempDir;

    use super::*;

    const SOURCE: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A cache that contains one component.
    struct Kept {
        folder: TempDir,
        cache: Cache,
        engine: Engine,
    }

    impl Kept {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let cache = Cache::open(Some(&folder.path().join("cache"))).unwrap();
            let kept = Self { folder, cache, engine: Engine::default() };
            kept.write();
            kept
        }

        fn entry(&self) -> Entry<'_> {
            self.cache.entry(&self.engine, [SOURCE].into_iter())
        }

        fn write(&self) {
            self.entry().write(&self.engine.precompile_component(SOURCE).unwrap());
        }

        fn is_used(&self) -> bool {
            self.entry().read(&self.engine).is_some()
        }

        fn file(&self) -> PathBuf {
            self.cache.path.join(self.entry().name())
        }

        /// Asserts that a planted file is not used, and is replaced.
        #[track_caller]
        fn refuses(&self, planted: &str) {
            assert!(!self.is_used(), "{planted} is used");
            self.write();
            assert!(self.is_used(), "{planted} is not replaced");
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Whether this process can change the owner of files.
    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (bits, refused) in [(0o700, false), (0o770, true), (0o707, true), (0o755, true)] {
            mode(folder.path(), bits);
            assert_eq!(Cache::open(Some(folder.path())).is_err(), refused, "{bits:o}");
        }
    }

    #[test]
    fn a_folder_that_others_can_replace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b/cache");
        Cache::open(Some(&inner)).unwrap();
        for parent in ["a", "a/b"] {
            for (bits, refused) in [(0o777, true), (0o770, true), (0o1777, false), (0o755, false)] {
                mode(&folder.path().join(parent), bits);
                let opened = Cache::open(Some(&inner)).map(|_| ()).map_err(|error| error.to_string());
                assert_eq!(opened.is_err(), refused, "{parent} {bits:o}: {opened:?}");
                assert!(opened.is_ok_and(|()| true) || refused);
            }
        }
        if is_root() {
            chown(folder.path().join("a"), Some(1), None).unwrap();
            let refused = Cache::open(Some(&inner)).err().unwrap().to_string();
            assert!(refused.contains("/a, which other users can write to"), "{refused}");
        }
    }

    #[test]
    fn a_symbolic_link_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        Cache::open(Some(&real)).unwrap();
        symlink(&real, &link).unwrap();
        for link in [link.clone(), link.join("")] {
            let refused = Cache::open(Some(&link)).err().unwrap().to_string();
            assert!(refused.contains("is a symbolic link"), "{refused}");
        }
    }

    #[test]
    fn another_folder_under_the_same_name_is_not_used() {
        let kept = Kept::new();
        let other = Kept::new();
        fs::write(other.file(), "planted").unwrap();
        fs::rename(&kept.cache.path, kept.folder.path().join("moved")).unwrap();
        symlink(&other.cache.path, &kept.cache.path).unwrap();
        assert!(kept.is_used(), "the folder that was opened is used");
        fs::remove_file(kept.folder.path().join("moved").join(kept.entry().name())).unwrap();
        assert!(!kept.is_used());
        kept.write();
        assert!(kept.is_used());
        assert_eq!(fs::read(other.file()).unwrap(), b"planted");
    }

    #[test]
    fn what_is_kept_is_found_and_what_is_broken_is_not_used() {
        let kept = Kept::new();
        assert!(kept.is_used());
        assert_eq!(kept.file().metadata().unwrap().mode() & 0o777, 0o600);
        let other = kept.cache.entry(&kept.engine, [SOURCE, SOURCE].into_iter());
        assert!(other.read(&kept.engine).is_none(), "another application");
        let whole = fs::read(kept.file()).unwrap();
        for broken in [&b""[..], b"broken", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
            fs::write(kept.file(), broken).unwrap();
            kept.refuses("a broken file");
        }
    }

    #[test]
    fn nothing_is_used_or_kept_while_others_can_write_to_the_folder() {
        let kept = Kept::new();
        let before = fs::read(kept.file()).unwrap();
        mode(&kept.cache.path, 0o777);
        assert!(!kept.is_used());
        fs::write(kept.file(), "another").unwrap();
        kept.write();
        assert_eq!(fs::read(kept.file()).unwrap(), b"another");
        fs::write(kept.file(), before).unwrap();
        mode(&kept.cache.path, 0o700);
        assert!(kept.is_used());
    }

    #[test]
    fn what_others_can_write_to_is_not_used() {
        let kept = Kept::new();
        for bits in [0o602, 0o620, 0o640, 0o666] {
            mode(&kept.file(), bits);
            kept.refuses("a file that is open to others");
        }
    }

    #[test]
    fn what_another_user_has_planted_is_not_used() {
        if !is_root() {
            return;
        }
        let kept = Kept::new();
        // Only its owner is wrong.
        chown(kept.file(), Some(1), None).unwrap();
        kept.refuses("another user's file");
    }

    #[test]
    fn what_was_renamed_to_pass_for_another_application_is_not_used() {
        let kept = Kept::new();
        // With a custom section.
        let other: &[u8] = b"\0asm\x0d\0\x01\0\0\x02\x01a";
        let entry = kept.cache.entry(&kept.engine, [other].into_iter());
        entry.write(&kept.engine.precompile_component(other).unwrap());
        fs::rename(kept.cache.path.join(entry.name()), kept.file()).unwrap();
        kept.refuses("another application's code");
    }

    #[test]
    fn no_link_and_no_pipe_is_used() {
        let kept = Kept::new();
        let elsewhere = kept.folder.path().join("elsewhere");
        fs::rename(kept.file(), &elsewhere).unwrap();
        symlink(&elsewhere, kept.file()).unwrap();
        kept.refuses("a symbolic link");
        fs::remove_file(&elsewhere).unwrap();
        fs::hard_link(kept.file(), &elsewhere).unwrap();
        kept.refuses("a hard link");
        fs::remove_file(kept.file()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, kept.file(), rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        kept.refuses("a pipe");
    }

    #[test]
    fn what_was_not_used_for_long_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = Cache::open(Some(&folder)).unwrap();
        fs::write(folder.join("a".repeat(DIGEST_LENGTH)).with_extension(EXTENSION), "").unwrap();
        fs::write(folder.join("b".repeat(DIGEST_LENGTH)).with_extension("1234"), "").unwrap();
        fs::write(folder.join("letters"), "").unwrap();
        let now = SystemTime::now();
        cache.remove_unused(now + UNUSED - Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        cache.remove_unused(now + UNUSED + Duration::from_secs(60)).unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["letters"], "other files stay");
    }
}
