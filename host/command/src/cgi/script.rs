//! Script files that the web server runs instead of a component.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// The component to run: the file itself, or the component that a script stands for.
pub fn component(file: &Path) -> Result<PathBuf> {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(2).read_to_end(&mut start));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if start != b"#!" {
        return Ok(file.to_owned());
    }
    let component = file.with_extension("wasm");
    ensure!(
        component != file && component.exists(),
        "{} stands for the component {}, which does not exist",
        file.display(),
        component.display()
    );
    Ok(component)
}
