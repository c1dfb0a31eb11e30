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

#[test]
fn the_page_in_c_compiles_with_the_generated_bindings() {
    let folder = bindings(wit_bindgen_c::Opts::default().build());
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(folder.path())
        .arg(root().join("examples/visits-c/visits.c"))
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
