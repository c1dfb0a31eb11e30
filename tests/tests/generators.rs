//! The generators of languages that have no module of ours take the package as it is.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use lemon_session_tests::build::root;
use tempfile::TempDir;
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};

/// A folder with the bindings of a world of a package.
fn bindings(mut generator: Box<dyn WorldGenerator>, package: &str, world: &str) -> TempDir {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join(package)).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).unwrap();

    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in files.iter() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

/// Run with `LEMON_SESSION_WRITE_BINDINGS=1`, it writes them anew.
#[test]
fn the_bindings_in_sdk_c_are_what_the_generator_makes_of_the_interfaces() {
    let (folder, sdk) = (bindings(wit_bindgen_c::Opts::default().build(), "wit", "application"), root().join("sdk/c"));
    for entry in fs::read_dir(&folder).unwrap() {
        let made = entry.unwrap().path();
        let ours = sdk.join(made.file_name().unwrap());
        if std::env::var_os("LEMON_SESSION_WRITE_BINDINGS").is_some() {
            fs::copy(&made, &ours).unwrap();
        }
        let is_same = fs::read(&ours).ok() == Some(fs::read(&made).unwrap());
        assert!(is_same, "{} is out of date: LEMON_SESSION_WRITE_BINDINGS=1 has this test write it", ours.display());
    }
}

#[test]
fn the_pages_in_c_compile_without_a_warning() {
    let template = root().join("host/command/templates/c");
    let of_template = ["main.c", "form.c", "page.c", "lemon_session/lemon_session.c"].map(|file| template.join(file));
    let output = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(root().join("sdk/c"))
        .arg(root().join("examples/visits-c/visits.c"))
        .args(of_template)
        .output()
        .expect("a C compiler is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_functions_in_c_pass_on_logins_and_lifetimes_and_what_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("accounts");
    let output = Command::new("cc")
        // The calls that the program does not have are in functions that it does not call.
        .args([
            "-std=c11",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-ffunction-sections",
            "-Wl,--gc-sections",
            "-I",
        ])
        .arg(root().join("sdk/c"))
        .args([root().join("tests/c/accounts.c"), root().join("sdk/c/lemon_session.c")])
        .arg("-o")
        .arg(&program)
        .output()
        .expect("a C compiler is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The files below a folder, with their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), text);
            }
        }
    }
    found
}

/// The folder of the crate wit-bindgen-go, which has the Go packages that its bindings use.
fn generator_of_go() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let arguments = ["metadata", "--format-version=1", "--locked"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "wit-bindgen-go").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// `LEMON_SESSION_WRITE_BINDINGS=1` writes them: `make go-bindings`.
#[test]
fn the_bindings_of_the_package_for_go_are_what_is_generated() {
    let sdk = root().join("sdk/go");
    let package = "github.com/lemon-session/lemon-session/sdk/go";
    let generator = wit_bindgen_go::Opts {
        format: wit_bindgen_go::Format::False,
        pkg_name: Some(format!("{package}/internal/bindings")),
        ..Default::default()
    };
    let generated = bindings(generator.build(), "sdk/wit", "handler");
    let packages = generator_of_go().join("src/pkg");
    let mut expected = BTreeMap::new();
    for (path, text) in files(generated.path()) {
        // The package wasihttp exports the handler.
        if !path.starts_with("wit_exports") && !path.starts_with("wasi_http_incoming_handler") {
            expected.insert(Path::new("internal/bindings").join(path), text);
        }
    }
    // Those without asynchronous functions, under a path of the SDK: no other module is needed.
    for file in ["LICENSE", "wit/runtime/runtime.go", "wit/runtime/empty.s"] {
        expected.insert(Path::new("wit").join(file.trim_start_matches("wit/")), read(&packages.join(file)));
    }
    for name in ["option", "result", "tuple", "unit"] {
        let file = format!("wit/types/{name}.go");
        expected.insert(PathBuf::from(&file), read(&packages.join(&file)));
    }
    for text in expected.values_mut() {
        *text = text.replace("go.bytecodealliance.org/pkg/wit", &format!("{package}/wit"));
    }

    if env::var_os("LEMON_SESSION_WRITE_BINDINGS").is_some() {
        for folder in ["internal/bindings", "wit"] {
            let _ = fs::remove_dir_all(sdk.join(folder));
        }
        for (path, text) in &expected {
            fs::create_dir_all(sdk.join(path).parent().unwrap()).unwrap();
            fs::write(sdk.join(path), text).unwrap();
        }
    }
    let mut written = BTreeMap::new();
    for folder in ["internal/bindings", "wit"] {
        written.extend(files(&sdk.join(folder)).into_iter().map(|(path, text)| (Path::new(folder).join(path), text)));
    }
    let names = |files: &BTreeMap<PathBuf, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&expected));
    for (path, text) in &expected {
        assert!(written[path] == *text, "{} differs: `make go-bindings` writes it", path.display());
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
