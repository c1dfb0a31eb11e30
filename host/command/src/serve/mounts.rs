//! Applications mounted on paths of the site.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context as _;
use lemon_session_host::settings::Grant;
use percent_encoding::percent_decode_str;

use crate::{Usage, application::Application, config::Config};

/// A value of `--mount`, such as `/shop=shop.wasm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Without a trailing slash; empty for the whole site.
    path: String,
    pub file: PathBuf,
}

impl Mount {
    /// Mounts an application on the whole site.
    pub fn root(file: PathBuf) -> Self {
        Self { path: String::new(), file }
    }

    pub fn is_root(&self) -> bool {
        self.path.is_empty()
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}={}", self.file.display())
    }
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, file) = text.split_once('=').unwrap_or((text, ""));
        let inner = path.strip_prefix('/').filter(|_| !file.is_empty());
        let inner = inner.ok_or_else(|| format!("{text:?} is not a path and a component, such as /shop=shop.wasm"))?;
        if inner.is_empty() {
            return Ok(Self::root(file.into()));
        }
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if let Some(segment) = inner.split('/').find(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(format!("{path:?} contains the segment {segment:?}, which browsers never request"));
        }
        if inner.contains(['%', '?', '#', '\0']) {
            return Err(format!("{path:?}: write the path without percent-encoding, query and fragment (%, ? and #)"));
        }
        Ok(Self { path: format!("/{inner}"), file: file.into() })
    }
}

/// Checks that the applications' files can be read.
pub fn check_files(mounts: &[Mount]) -> anyhow::Result<()> {
    for Mount { file, .. } in mounts {
        // A folder can be opened, but not read.
        let read = File::open(file).and_then(|mut opened| opened.read(&mut [0]));
        read.with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(())
}

/// The functions of `lemon:session/manager` that the mounted applications may call.
pub struct Grants {
    default: Grant,
    /// By path, as in [`Mount`].
    of_paths: BTreeMap<String, Grant>,
}

impl Grants {
    pub fn new(config: &Config) -> Self {
        let of_path = |(path, grant): (&String, &Grant)| (path.trim_end_matches('/').to_owned(), *grant);
        Self { default: config.manager, of_paths: config.managers.iter().map(of_path).collect() }
    }

    /// Refuses a grant for a path without a mounted application.
    fn check(&self, mounts: &[Mount]) -> Result<(), Usage> {
        let of_nothing = |path: &&String| mounts.iter().all(|mount| mount.path != **path);
        let Some(path) = self.of_paths.keys().find(of_nothing) else { return Ok(()) };
        let shown = |path: &str| if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        let mounted: Vec<_> = mounts.iter().map(|mount| shown(&mount.path)).collect();
        let (path, mounted) = (shown(path), mounted.join(", "));
        Err(Usage(format!(
            "[session.manager] {path}: no application is mounted there; the mounted paths are {mounted}"
        )))
    }

    fn of(&self, mount: &Mount) -> Grant {
        self.of_paths.get(&mount.path).copied().unwrap_or(self.default)
    }
}

/// The mounted applications.
pub struct Mounts(Vec<(Mount, Application)>);

/// The application for a path.
pub struct Found<'a> {
    pub application: &'a Application,
    /// The path it is mounted on; empty for the whole site.
    pub mount: &'a str,
    /// The rest of the path, decoded.
    pub rest: Vec<u8>,
}

impl Mounts {
    /// Loads the mounted applications.
    pub fn load(
        mounts: Vec<Mount>,
        grants: &Grants,
        load: impl Fn(&Path) -> anyhow::Result<Application>,
    ) -> anyhow::Result<Self> {
        grants.check(&mounts)?;
        let mut loaded = Vec::new();
        for mount in mounts {
            let application = load(&mount.file)?.granted(grants.of(&mount));
            loaded.push((mount, application));
        }
        Ok(Self(loaded))
    }

    /// No application: none could be loaded yet.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Fails when one of them cannot be instantiated.
    pub async fn check(&self) -> anyhow::Result<()> {
        for (mount, application) in &self.0 {
            application.check().await.with_context(|| format!("cannot instantiate {}", mount.file.display()))?;
        }
        Ok(())
    }

    /// Any application: all have the same sessions.
    pub fn any(&self) -> Option<&Application> {
        self.0.first().map(|(_, application)| application)
    }

    /// The application with the longest mounted path that contains `path`.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let found = nearest(self.0.iter().map(|(mount, _)| mount.path.as_str()), path)?;
        let (mount, application) = &self.0[found.0];
        Some(Found { application, mount: &mount.path, rest: found.1 })
    }
}

/// Refuses two applications mounted on the same path.
pub fn check(mounts: &[Mount]) -> Result<(), Usage> {
    for (index, mount) in mounts.iter().enumerate() {
        if let Some(other) = mounts[..index].iter().find(|other| other.path == mount.path) {
            return Err(Usage(format!("two applications are mounted on the same path: {other} and {mount}")));
        }
    }
    Ok(())
}

/// The longest of several mounts that contains a path, and the rest of the path, decoded.
fn nearest<'a>(mounts: impl Iterator<Item = &'a str>, path: &str) -> Option<(usize, Vec<u8>)> {
    // Decodes the segments separately, because an encoded slash is not a separator.
    let segments: Vec<Vec<u8>> = match path.strip_prefix('/') {
        Some(path) => path.split('/').map(|segment| percent_decode_str(segment).collect()).collect(),
        // The `*` of OPTIONS, which stands for the server.
        None => Vec::new(),
    };
    let depth = |mount: &str| mount.split('/').skip(1).count();
    let is_below = |mount: &str| {
        depth(mount) <= segments.len()
            && mount.split('/').skip(1).zip(&segments).all(|(part, segment)| part.as_bytes() == segment)
    };
    let (index, depth) = mounts
        .enumerate()
        .filter(|(_, mount)| is_below(mount))
        .map(|(index, mount)| (index, depth(mount)))
        .max_by_key(|(_, depth)| *depth)?;
    let rest = segments[depth..].iter().flat_map(|segment| [b"/", &segment[..]].concat()).collect();
    Some((index, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(path: &str) -> (&'static str, String) {
        const MOUNTS: [&str; 5] = ["", "/shop", "/shop/admin", "/caf\u{e9} bar", "/a/b"];
        let (index, rest) = nearest(MOUNTS.into_iter(), path).unwrap();
        (MOUNTS[index], String::from_utf8(rest).unwrap())
    }

    #[test]
    fn the_longest_mount_wins_on_the_borders_of_segments() {
        let expected = [
            ("/", "", "/"),
            ("/shop", "/shop", ""),
            ("/shop/", "/shop", "/"),
            ("/shop/a//b", "/shop", "/a//b"),
            ("/shopping", "", "/shopping"),
            ("/shop/admin/users", "/shop/admin", "/users"),
            ("/shop/administrator", "/shop", "/administrator"),
            ("/a", "", "/a"),
            ("/a/b/", "/a/b", "/"),
            ("*", "", ""),
        ];
        for (path, mount, rest) in expected {
            assert_eq!(found(path), (mount, rest.to_owned()), "{path}");
        }
    }

    #[test]
    fn paths_are_compared_decoded() {
        assert_eq!(found("/sh%6fp/x%20y"), ("/shop", "/x y".to_owned()));
        assert_eq!(found("/caf%C3%A9%20bar/"), ("/caf\u{e9} bar", "/".to_owned()));
        assert_eq!(found("/shop%2Fadmin"), ("", "/shop/admin".to_owned()), "an encoded slash is not a separator");
    }

    #[test]
    fn a_path_does_not_climb_out_of_its_mount() {
        assert_eq!(found("/shop/../a/b"), ("/shop", "/../a/b".to_owned()));
    }

    #[test]
    fn nothing_is_found_where_nothing_is_mounted() {
        assert_eq!(nearest(["/shop"].into_iter(), "/"), None);
        assert_eq!(nearest(["/shop"].into_iter(), "*"), None);
    }

    #[test]
    fn mounts_are_written_as_they_read() {
        let mount = |text: &str| text.parse::<Mount>();
        assert_eq!(mount("/shop/=a=b.wasm").unwrap().to_string(), "/shop=a=b.wasm");
        assert_eq!(mount("/=a.wasm").unwrap(), Mount::root("a.wasm".into()));
        for wrong in
            ["shop=a.wasm", "/shop", "/shop=", "=a.wasm", "//=a.wasm", "/a//b=c", "/../a=b", "/a%20b=c", "/a?b=c"]
        {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }

    fn grants(text: &str) -> Grants {
        Grants::new(&Config::parse(text, "lemon.ini").unwrap())
    }

    #[test]
    fn each_mount_has_its_grant_or_the_default() {
        let mounts = ["/=a.wasm", "/shop/admin/=b.wasm", "/blog=c.wasm"].map(|text| text.parse::<Mount>().unwrap());
        let of = |text: &str| {
            let grants = grants(text);
            grants.check(&mounts).unwrap();
            mounts.each_ref().map(|mount| grants.of(mount))
        };
        assert_eq!(of(""), [Grant::Owners; 3]);
        assert_eq!(of("[session]\nmanager = none"), [Grant::None; 3]);
        let text = "[session]\nmanager = none\n[session.manager]\n/ = owners\n/shop/admin = all\n";
        assert_eq!(of(text), [Grant::Owners, Grant::All, Grant::None]);
    }

    #[test]
    fn a_grant_for_a_path_that_nothing_is_mounted_on_is_refused_with_the_mounts() {
        let mounts = ["/shop=a.wasm", "/blog=b.wasm"].map(|text| text.parse::<Mount>().unwrap());
        for path in ["/", "/admin", "/shop/admin"] {
            let error = grants(&format!("[session.manager]\n{path} = all\n")).check(&mounts).unwrap_err().to_string();
            assert!(error.contains(&format!("{path}:")) && error.contains("/shop, /blog"), "{error}");
        }
    }

    #[test]
    fn two_applications_for_one_path_are_both_named() {
        let mounts = ["/a=1.wasm", "/b=2.wasm", "/a/=3.wasm"].map(|text| text.parse::<Mount>().unwrap());
        let error = check(&mounts).unwrap_err().to_string();
        assert!(error.contains("/a=1.wasm") && error.contains("/a=3.wasm"), "{error}");
        check(&mounts[..2]).unwrap();
    }
}
