//! The tests that docs/comparison.md names exist.

use std::{fs, path::Path};

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => sources(&path, text),
            path => text.push_str(&fs::read_to_string(path).unwrap()),
        }
    }
}

#[test]
fn every_test_that_the_comparison_names_is_there() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&rules.join("src"), &mut text);
    let page = fs::read_to_string(rules.join("../../docs/comparison.md")).unwrap();
    // The last word of a row's last cell.
    let rows = page.lines().filter_map(|row| row.strip_suffix("` |")?.rsplit('`').next());
    let named: Vec<_> = rows.collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(text.contains(&format!("fn {name}() {{")), "there is no test {name}");
    }
}
