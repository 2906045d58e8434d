//! The cases of cluster.yaml: files in `cases/`, each beside what must come out of it.
//!
//! `cases/refusals/<case>.yaml` gives `<case>.expected`, the findings as the user sees them;
//! `cases/accepted/<case>.yaml` gives `<case>.json`, the validated cluster and the warnings.
//! `UPDATE_GOLDEN=1` rewrites them.

use ingot_cluster::{FakeFiles, FileStatus, Loaded, load, load_bytes};
use std::path::{Path, PathBuf};

/// The files the cases refer to, as they would lie beside cluster.yaml.
fn files() -> FakeFiles {
    let mut files = FakeFiles::default()
        .with("keys/id_ed25519", 0o600)
        .with("keys/worker-2", 0o400)
        .with("keys/sudo-password", 0o600)
        .with("keys/registry-ca.pem", 0o644)
        .with("keys/open", 0o644)
        .with("keys/group", 0o640)
        .with("/home/admin/.ssh/id_ed25519", 0o600)
        .with("/etc/ingot/id_ed25519", 0o600);
    files.files.insert("keys".into(), FileStatus::NotAFile);
    files
        .files
        .insert("keys/secret".into(), FileStatus::Unreadable);
    files.home = Some("/home/admin".into());
    files
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The cases of a directory, sorted by name.
fn cases(name: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(directory(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    cases
}

/// Compares with a golden file, or rewrites it; gives back the complaint.
fn golden(path: &Path, found: &str) -> Option<String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, found).unwrap();
        return None;
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    let shown = path
        .strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .unwrap_or(path)
        .display();
    (wanted != found).then(|| format!("--- {shown}\nwanted:\n{wanted}\nfound:\n{found}"))
}

fn assert_none(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{}\n\nUPDATE_GOLDEN=1 rewrites the expected files",
        complaints.join("\n")
    );
}

#[test]
fn refusals_say_everything_that_is_wrong() {
    let files = files();
    let mut complaints = Vec::new();
    for path in cases("cases/refusals") {
        let bytes = std::fs::read(&path).unwrap();
        let found = match load_bytes("cluster.yaml", &bytes, &files) {
            Ok(_) => {
                complaints.push(format!("{} was accepted", path.display()));
                continue;
            }
            Err(findings) => {
                assert!(findings.errors() > 0, "{} has no error", path.display());
                format!("{findings}\n")
            }
        };
        complaints.extend(golden(&path.with_extension("expected"), &found));
    }
    assert_none(complaints);
}

/// The accepted cases, and the examples of the documentation.
fn accepted() -> Vec<(PathBuf, PathBuf)> {
    let expected = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        directory("cases/accepted").join(format!("{name}.json"))
    };
    let mut all = cases("cases/accepted");
    all.extend(cases("../../docs/guides/examples"));
    all.into_iter()
        .map(|path| (path.clone(), expected(&path)))
        .collect()
}

/// Fields by the alphabet, also where another crate makes serde_json keep the order of insertion.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let fields: std::collections::BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

#[test]
fn accepted_files_become_clusters() {
    let files = files();
    let mut complaints = Vec::new();
    for (path, expected) in accepted() {
        let text = std::fs::read_to_string(&path).unwrap();
        match load("cluster.yaml", &text, &files) {
            Ok(Loaded {
                cluster, warnings, ..
            }) => {
                let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                let value = serde_json::json!({ "cluster": cluster, "warnings": warnings });
                let found = format!(
                    "{}\n",
                    serde_json::to_string_pretty(&sorted(value)).unwrap()
                );
                complaints.extend(golden(&expected, &found));
            }
            Err(findings) => {
                complaints.push(format!("{} was refused:\n{findings}", path.display()))
            }
        }
    }
    assert_none(complaints);
}
