//! The schema and the reference under docs/ are those the types make; `UPDATE_GOLDEN=1` writes them.

use std::path::{Path, PathBuf};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name)
}

fn assert_current(name: &str, made: &str) {
    let path = docs(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "docs/reference/{name} is not what the types make; UPDATE_GOLDEN=1 rewrites it"
    );
}

#[test]
fn the_schema_is_current() {
    let made = serde_json::to_string_pretty(&ingot_cluster::schema()).unwrap();
    assert_current("cluster.schema.json", &format!("{made}\n"));
}

#[test]
fn the_reference_is_current() {
    assert_current("cluster-yaml.md", &ingot_cluster::reference());
}

/// The accepted cases in the eyes of another reader and another validator.
#[test]
fn accepted_cases_satisfy_the_schema_and_misshapen_ones_do_not() {
    let schema = ingot_cluster::schema();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for directory in ["cases/accepted", "../../docs/guides/examples"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // A mark of byte order is two documents to this reader.
            let text = text.trim_start_matches('\u{feff}');
            let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
            let wrong: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 5);
    for case in [
        "unknown-field",
        "wrong-types",
        "no-nodes",
        "bad-role",
        "nodes-missing",
        "no-value",
    ] {
        let text =
            std::fs::read_to_string(root.join(format!("cases/refusals/{case}.yaml"))).unwrap();
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert!(!validator.is_valid(&value), "{case}");
    }
}
