//! Builds the states catalog and the cluster's manifests into the program, so that a host needs one
//! file and cannot have states of another version. The definitions of snapshots are upstream's own.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let here =
        PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let ours = |folder: &str| {
        let folder = here.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        folder
    };
    embed(
        "CATALOG",
        &ours("../../salt-free-states/catalog"),
        &out.join("catalog.rs"),
        &|path| !path.components().any(|part| part.as_os_str() == "cases"),
    );
    embed(
        "MANIFESTS",
        &ours("manifests"),
        &out.join("manifests.rs"),
        &|_| true,
    );
    embed(
        "STORAGE_DEFINITIONS",
        &ours("../../images/lvm-csi-driver/crds"),
        &out.join("storage_definitions.rs"),
        &|_| true,
    );
    // go.sum says what is in the module. Its files are not watched: go unpacks them while this runs, and
    // cargo would take what is newer than its start for a change.
    let trains = here.join("../../images/trains/storage");
    println!(
        "cargo::rerun-if-changed={}",
        trains.join("go.sum").display()
    );
    embed(
        "SNAPSHOT_DEFINITIONS",
        &module(&trains, &out, SNAPSHOT_CLIENT).join("config/crd"),
        &out.join("snapshot_definitions.rs"),
        &|path| !path.ends_with("kustomization.yaml"),
    );
}

/// Where the definitions of snapshots come from: the module that the snapshotter is built with.
const SNAPSHOT_CLIENT: &str = "github.com/kubernetes-csi/external-snapshotter/client/v8";

/// Where go keeps a module that go.mod of that folder pins and go.sum makes sure of. Go writes both anew,
/// with the same content, and cargo would take that for a change: it gets copies.
fn module(folder: &Path, scratch: &Path, module: &str) -> PathBuf {
    for name in ["go.mod", "go.sum"] {
        let copied = std::fs::copy(folder.join(name), scratch.join(name));
        copied.unwrap_or_else(|error| panic!("{}: {error}", folder.join(name).display()));
    }
    let output = std::process::Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(scratch)
        .output()
        .expect("go cannot be started; install Go (see README)");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["Dir"].as_str() {
        Some(found) if output.status.success() => found.into(),
        _ => panic!(
            "go cannot fetch {module}: {}{}; check the network or GOPROXY",
            answer["Error"].as_str().unwrap_or_default(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

/// Writes names and contents of the files below `root` as a constant; they are not read again after that.
fn embed(name: &str, root: &Path, into: &Path, keep: &dyn Fn(&Path) -> bool) {
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
        let content = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        writeln!(text, "    ({relative:?}, {content:?}),").expect("to a String");
    }
    text.push_str("];\n");
    std::fs::write(into, text).expect("OUT_DIR can be written");
}
