//! Writes the files of a new application.

use std::{
    borrow::Cow,
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use include_dir::{Dir, include_dir};

use super::{Language, Name};

/// A folder for each language, and `common` with the files of all. The sources and interfaces of the SDKs in them are links.
static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The name that the application has in the templates.
const PLACEHOLDER: &str = "lemon-page";

/// The end of the names of files that would make a package of their folder, which cargo leaves out of this one.
const TEMPLATE: &str = ".template";

/// What the tools need no copy of: the interfaces that `lemon:session` imports are beside it already.
const REPEATED: &str = "wit/deps/lemon-session/deps";

/// Writes an application into a new folder, or one that is empty. All files are there at once, or none.
pub fn write(folder: &Path, name: &Name, language: Language) -> Result<()> {
    refuse_used(folder)?;
    let part = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(".")
        .context("cannot create a folder here")?;
    for (path, contents) in files(name, language) {
        let path = part.path().join(path);
        let parent = path.parent().expect("a file is in a folder");
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, contents));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    // Also replaces an empty folder.
    fs::rename(part.path(), folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let _ = part.keep();
    Ok(())
}

fn refuse_used(folder: &Path) -> Result<()> {
    let name = folder.display();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => bail!("{name} exists and is not a folder"),
        Err(error) => Err(error).with_context(|| format!("cannot read the folder {name}")),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!("the folder {name} is not empty: choose another name, or remove what is in it"),
        },
    }
}

/// The files of an application, with their paths in its folder.
fn files(name: &Name, language: Language) -> Vec<(PathBuf, Cow<'static, [u8]>)> {
    let mut found = Vec::new();
    for root in ["common", language.folder()] {
        let root = TEMPLATES.get_dir(root).expect("each language has a folder");
        collect(root, root.path(), name, &mut found);
    }
    found
}

fn collect(folder: &Dir<'static>, root: &Path, name: &Name, found: &mut Vec<(PathBuf, Cow<'static, [u8]>)>) {
    if folder.path().ends_with(REPEATED) {
        return;
    }
    for file in folder.files() {
        let path = file.path().strip_prefix(root).expect("a file is in its folder").to_str().expect("names are UTF-8");
        let contents = match file.contents_utf8() {
            Some(text) => Cow::Owned(text.replace(PLACEHOLDER, name.as_str()).into_bytes()),
            None => Cow::Borrowed(file.contents()),
        };
        found.push((PathBuf::from(path.strip_suffix(TEMPLATE).unwrap_or(path)), contents));
    }
    for inner in folder.dirs() {
        collect(inner, root, name, found);
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_project_has_its_name_in_place_of_that_of_the_templates() {
        let name: Name = "my-shop".parse().unwrap();
        for language in Language::value_variants() {
            let files = files(&name, *language);
            for (path, contents) in &files {
                let text = String::from_utf8_lossy(contents);
                assert!(!text.contains(PLACEHOLDER), "{language:?} {}", path.display());
                assert!(!path.to_str().unwrap().ends_with(TEMPLATE), "{language:?} {}", path.display());
            }
            for needed in ["README.md", "Makefile", "lemon.ini", ".gitignore"] {
                let found = files.iter().filter(|(path, _)| path == Path::new(needed)).count();
                assert_eq!(found, 1, "{language:?} {needed}");
            }
        }
    }

    #[test]
    fn the_crate_in_a_project_depends_on_what_the_crate_of_the_sdk_does() {
        let manifest = |text: &str| -> Vec<String> {
            let lines = text.split_once("[dependencies]").unwrap().1.lines().map(str::trim).skip(1);
            let mut lines: Vec<_> = lines.take_while(|line| !line.starts_with('[')).collect();
            lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
            lines
                .iter()
                .map(|line| line.split_once(" = ").unwrap_or((line, "")).0.trim_end_matches(".workspace").to_owned())
                .collect()
        };
        let of_template = include_str!("../../templates/rust/vendor/lemon-session/Cargo.toml.template");
        assert_eq!(manifest(of_template), manifest(include_str!("../../../../sdk/rust/Cargo.toml")));
    }
}
