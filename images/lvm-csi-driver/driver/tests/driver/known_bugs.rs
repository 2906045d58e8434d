//! Each test that docs/design/known-bugs.md names is there.

use std::fs;
use std::path::Path;

/// The text of all programs below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("read"));
        }
    }
}

#[test]
fn every_test_against_a_known_bug_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = here.join("../../../docs/design/known-bugs.md");
    let table = fs::read_to_string(table).expect("the table");
    let mut text = String::new();
    for part in [
        "images/lvm-csi-driver",
        "installer",
        "iso-builder",
        "salt-free-states",
        "tests",
    ] {
        sources(&here.join("../../..").join(part), &mut text);
    }
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| Tests |"));
    let (mut named, mut lacking) = (0, Vec::new());
    for row in rows {
        let tests = row.split(" | ").nth(2).expect("a column of tests");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        named += names.len();
        lacking.extend(
            names
                .into_iter()
                .filter(|name| !text.contains(&format!("fn {name}("))),
        );
    }
    assert!(named > 40, "only {named} are named");
    assert_eq!(lacking, Vec::<&str>::new());
}
