//! Compiles csi.proto of the version that go.mod pins, whose bytes go.sum makes sure of, and the
//! kubelet's small interface for plugins.

use serde_json::Value;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// Written out here: its module would come with many others.
const REGISTRATION: &str = "proto/registration.proto";

/// Its repository is no module that Go can fetch.
const BACKUPS: &str = "proto/snapshotmetadata.proto";

const MODULE: &str = "github.com/container-storage-interface/spec";

fn main() -> Result<(), Box<dyn Error>> {
    for input in ["build.rs", "go.mod", "go.sum", REGISTRATION, BACKUPS] {
        println!("cargo:rerun-if-changed={input}");
    }
    let folder = specification()?;
    let proto = folder.join("csi.proto");
    let descriptors = protox::compile([&proto], [&folder])?;
    tonic_prost_build::configure()
        // The comments of the specification are Markdown only by chance.
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    for own in [REGISTRATION, BACKUPS] {
        let descriptors = protox::compile([own], ["proto"])?;
        tonic_prost_build::configure()
            .disable_comments(["."])
            .compile_fds(descriptors)?;
    }
    Ok(())
}

/// Where go keeps the module, fetched and verified if it is not there yet.
fn specification() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", MODULE])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("GOFLAGS", "-mod=mod")
        .output()
        .map_err(|error| {
            format!("the CSI specification comes as a Go module, but go cannot be started: {error}; install Go (see README)")
        })?;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["Dir"].as_str() {
        Some(folder) if output.status.success() => Ok(folder.into()),
        _ => Err(format!(
            "go cannot fetch {MODULE}: {}{}; check the network or GOPROXY",
            answer["Error"].as_str().unwrap_or_default(),
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}
