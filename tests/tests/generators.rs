//! The generators of languages that have no module of ours take the package as it is.

use std::{fs, process::Command};

use lemon_session_tests::build::root;
use tempfile::TempDir;
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};

/// A folder with the bindings of the world `application`.
fn bindings(mut generator: Box<dyn WorldGenerator>) -> TempDir {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("application")).unwrap();
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
    let (folder, sdk) = (bindings(wit_bindgen_c::Opts::default().build()), root().join("sdk/c"));
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
fn go_has_a_method_for_each_function_of_a_session() {
    let folder = bindings(wit_bindgen_go::Opts::default().build());
    let sessions = fs::read_to_string(folder.path().join("lemon_session_sessions/wit_bindings.go")).unwrap();
    assert!(sessions.contains("\nfunc Start("), "{sessions}");
    for method in ["Get", "Set", "Add", "Save", "Destroy", "RegenerateId", "SetOwner"] {
        assert!(sessions.contains(&format!("\nfunc (self *Session) {method}(")), "{method} is missing:\n{sessions}");
    }
}
