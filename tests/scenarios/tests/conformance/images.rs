//! The images that tests run: put into each host under the names that tests ask for, and kept there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingot_harness::Host;
use ingot_scenarios::Stage;
use serde_json::{Value, json};

/// The key by which containerd names what it imports (containerd, core/images/annotations.go).
const NAME: &str = "io.containerd.image.name";
/// The label that keeps the kubelet from collecting an image (containerd, internal/cri/labels).
const PINNED: &str = "io.cri-containerd.pinned=pinned";

/// What was taken out of the bundle of tests.
pub struct TestBundle {
    /// The suite.
    pub suite: PathBuf,
    /// The program that runs it in several processes.
    pub ginkgo: PathBuf,
    /// An archive of all images for `ctr`.
    archive: PathBuf,
    /// The names in it.
    references: Vec<String>,
}

impl TestBundle {
    /// Unpacks the bundle of tests `iso` into `to`.
    ///
    /// # Panics
    /// When it is not what the story needs.
    pub fn unpack(stage: &Stage, iso: &Path, to: &Path) -> TestBundle {
        let builder = stage.program.with_file_name("iso-builder");
        succeed(
            Command::new(builder)
                .arg("extract")
                .arg(iso)
                .args(["e2e", "--to"])
                .arg(to)
                .arg("--trust")
                .arg(&stage.key),
        );
        let layout = to.join("layout");
        succeed(
            Command::new("xorriso")
                .args(["-osirrox", "on", "-indev"])
                .arg(iso)
                .args(["-extract", "/"])
                .arg(&layout),
        );
        let suite = to.join("e2e.test");
        let wanted = succeed(Command::new(&suite).arg("--list-images"));
        let references = name_images(&layout.join("index.json"), &wanted);
        let archive = to.join("images.tar");
        succeed(
            Command::new("tar")
                .arg("-C")
                .arg(&layout)
                .arg("-cf")
                .arg(&archive)
                .args(["oci-layout", "index.json", "blobs"]),
        );
        TestBundle {
            suite,
            ginkgo: to.join("ginkgo"),
            archive,
            references,
        }
    }

    /// Imports the images into a host and pins them.
    ///
    /// # Panics
    /// When containerd refuses.
    pub fn give_to(&self, host: &Host) {
        let place = host.var_lib_dir().join("conformance-images.tar");
        fs::copy(&self.archive, &place).expect("a copy of the images");
        let mut script = String::from(
            "set -e; ctr=$(echo /var/lib/ingot/releases/*/containerd/ctr); \
             $ctr -n k8s.io images import /var/lib/conformance-images.tar >/dev/null\n",
        );
        for reference in &self.references {
            script.push_str(&format!(
                "$ctr -n k8s.io images label {reference} {PINNED} >/dev/null\n"
            ));
        }
        let output = host.exec(&["sh", "-c", &script]).expect("a shell");
        assert!(output.status.success(), "{}: {output:?}", host.name());
        fs::remove_file(place).expect("the copy of the images");
    }
}

/// Writes an index in which each image has every name, of those that are `wanted`, that ends in its own.
fn name_images(index: &Path, wanted: &str) -> Vec<String> {
    let text = fs::read_to_string(index).expect("index.json");
    let mut parsed: Value = serde_json::from_str(&text).expect("index.json");
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for reference in wanted.lines() {
        // `registry/path/name:tag`; what is asked of a registry that refuses must not be there.
        let last = reference.rsplit('/').next().unwrap_or_default();
        let (name, _) = last.split_once(':').expect("a tag");
        if reference.starts_with("registry.k8s.io/") {
            by_name.entry(name).or_default().push(reference);
        }
    }
    let mut named = Vec::new();
    let mut references = Vec::new();
    for manifest in parsed["manifests"].as_array().expect("manifests") {
        let tag = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str();
        let name = tag
            .and_then(|tag| tag.split(':').next())
            .unwrap_or_default();
        for reference in by_name.get(name).into_iter().flatten() {
            let mut again = manifest.clone();
            again["annotations"] = json!({ NAME: reference });
            named.push(again);
            references.push((*reference).to_owned());
        }
    }
    assert!(references.len() > 8, "only {references:?}");
    parsed["manifests"] = named.into();
    fs::write(index, parsed.to_string()).expect("index.json");
    references
}

/// Runs a command that must succeed; what it printed.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("a program");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
