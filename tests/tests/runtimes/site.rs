//! Applications, joined with what they need to run anywhere.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
};

use lemon_session_tests::{build, command};

use crate::store::Kind;

/// The file of an application that is joined with the provider of this kind: made once.
pub fn site(application: &'static str, kind: Kind) -> PathBuf {
    type Files = HashMap<(&'static str, Kind), Arc<OnceLock<PathBuf>>>;
    static FILES: LazyLock<Mutex<Files>> = LazyLock::new(Mutex::default);
    let cell = FILES.lock().unwrap_or_else(PoisonError::into_inner).entry((application, kind)).or_default().clone();
    cell.get_or_init(|| compose(application, kind.provider())).clone()
}

/// Joins an application with a provider, which is a name or a file.
pub fn compose(application: &str, provider: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).expect("there is room for a folder");
    let name = Path::new(provider).file_stem().expect("a provider has a name").display();
    let file = folder.join(format!("{application}-{name}.wasm"));
    let (from, to) = (build::component(application), file.display().to_string());
    let from = from.display().to_string();
    command::run(folder, &["compose", &from, "--provider", provider, "-o", &to]).ok();
    file
}

/// A runtime that tests/runtimes pins, installed if it is not there yet.
pub fn runtime(name: &str) -> PathBuf {
    build::made(&format!("target/runtimes/bin/{name}"))
}
