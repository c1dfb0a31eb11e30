//! Compiled applications, kept for the next run.
//!
//! What is kept is machine code that is run as it stands: whoever can write to the folder can have this process do
//! anything. So it has to be this user's own, and nobody else's to write to or to look into.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash as _, Hasher},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

/// A folder of compiled applications.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// The place of one application in it.
pub struct Entry<'a> {
    cache: &'a Cache,
    path: PathBuf,
}

/// What was not used for so long is removed.
const UNUSED: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;
/// SHA-256 in hexadecimal.
const NAME_LENGTH: usize = 64;

impl Cache {
    /// The cache in `folder`, or in the user's folder for caches; created if it is not there.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => of_user().context("this user has no folder for caches")?,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let metadata = folder.metadata().with_context(|| format!("cannot look at {}", folder.display()))?;
        ensure!(
            metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0,
            "{} has to belong to the user that runs this, and to be closed to others (chmod 700)",
            folder.display()
        );
        Ok(Self { folder })
    }

    /// The place of what is made of these components on this engine, by this version.
    pub fn entry<'a>(&self, engine: &Engine, components: impl Iterator<Item = &'a [u8]>) -> Entry<'_> {
        let mut digest = Digest(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        engine.precompile_compatibility_hash().hash(&mut digest);
        for component in components {
            component.hash(&mut digest);
        }
        let name: String = digest.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Entry { cache: self, path: self.folder.join(name).with_extension("cwasm") }
    }

    fn remove_unused(&self, now: SystemTime) -> io::Result<()> {
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            let is_ours = Path::new(&file.file_name()).file_stem().is_some_and(|stem| stem.len() == NAME_LENGTH);
            if !is_ours {
                continue;
            }
            let used = file.metadata().and_then(|metadata| metadata.modified())?;
            if now.duration_since(used).is_ok_and(|unused| unused > UNUSED) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

impl Entry<'_> {
    /// What is kept, if there is something that can be used.
    pub fn read(&self, engine: &Engine) -> Option<Component> {
        let file = File::open(&self.path).ok()?;
        // SAFETY: nobody but this user writes to the folder, and files appear in it whole, under their final names, once
        // this command wrote them from a component that wasmtime compiled.
        let component = unsafe { Component::deserialize_file(engine, &self.path) };
        let component = component.inspect_err(|error| tracing::warn!("{}: {error:#}", self.path.display())).ok()?;
        let now = SystemTime::now();
        let used = file.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > Duration::from_secs(DAY))) {
            let _ = file.set_modified(now);
        }
        Some(component)
    }

    /// Keeps a component. Where that fails, the next run compiles again.
    pub fn write(&self, component: &Component) {
        let kept = component.serialize().map_err(anyhow::Error::from).and_then(|code| Ok(self.replace(&code)?));
        let kept = kept.and_then(|()| Ok(self.cache.remove_unused(SystemTime::now())?));
        if let Err(error) = kept {
            tracing::warn!("compiled code cannot be kept in {}: {error:#}", self.cache.folder.display());
        }
    }

    fn replace(&self, code: &[u8]) -> io::Result<()> {
        let unfinished = self.path.with_extension(std::process::id().to_string());
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = open().or_else(|error| match error.kind() {
            // Of a process that had this number before, and was ended in the middle.
            ErrorKind::AlreadyExists => fs::remove_file(&unfinished).and_then(|()| open()),
            _ => Err(error),
        });
        let written = file.and_then(|mut file| file.write_all(code)).and_then(|()| fs::rename(&unfinished, &self.path));
        written.inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, refused) in [(0o700, false), (0o770, true), (0o707, true), (0o755, true)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Cache::open(Some(folder.path())).is_err(), refused, "{mode:o}");
        }
    }

    #[test]
    fn what_is_kept_is_found_and_what_is_broken_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(&folder.path().join("new"))).unwrap();
        let engine = Engine::default();
        let source: &[u8] = b"\0asm\x0d\0\x01\0";
        let entry = cache.entry(&engine, [source].into_iter());
        assert!(entry.read(&engine).is_none());
        entry.write(&Component::new(&engine, source).unwrap());
        assert!(entry.read(&engine).is_some());
        assert_eq!(entry.path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(cache.entry(&engine, [source, source].into_iter()).read(&engine).is_none(), "another application");

        fs::write(&entry.path, "broken").unwrap();
        assert!(entry.read(&engine).is_none());
        entry.write(&Component::new(&engine, source).unwrap());
        assert!(entry.read(&engine).is_some());
    }

    #[test]
    fn what_was_not_used_for_long_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: folder.path().to_owned() };
        fs::write(folder.path().join("a".repeat(NAME_LENGTH)).with_extension("cwasm"), "").unwrap();
        fs::write(folder.path().join("somebody's letters"), "").unwrap();
        let now = SystemTime::now();
        cache.remove_unused(now + UNUSED - Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        cache.remove_unused(now + UNUSED + Duration::from_secs(60)).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["somebody's letters"], "what is not ours stays");
    }
}
