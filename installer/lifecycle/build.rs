//! Builds the states catalog and the cluster's manifests into the program, so that a host needs one
//! file and cannot have states of another version.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let here =
        PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    embed(
        "CATALOG",
        &here.join("../../salt-free-states/catalog"),
        &out.join("catalog.rs"),
        &|path| !path.components().any(|part| part.as_os_str() == "cases"),
    );
    embed(
        "MANIFESTS",
        &here.join("manifests"),
        &out.join("manifests.rs"),
        &|_| true,
    );
}

fn embed(name: &str, root: &Path, into: &Path, keep: &dyn Fn(&Path) -> bool) {
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if keep(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut text = format!("const {name}: &[(&str, &str)] = &[\n");
    for path in files {
        let relative = path
            .strip_prefix(root)
            .expect("below the root")
            .display()
            .to_string();
        writeln!(
            text,
            "    ({relative:?}, include_str!({:?})),",
            path.display().to_string()
        )
        .expect("to a String");
    }
    text.push_str("];\n");
    std::fs::write(into, text).expect("OUT_DIR can be written");
}
