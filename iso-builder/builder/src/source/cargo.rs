//! Builds programs of this workspace so that the bytes do not depend on where it lies.
//!
//! Uses a target directory of its own in the cache: the developer's may hold incremental
//! results, which are not reproducible.

pub mod made_of;

use crate::cache;
use crate::catalog::CargoSpec;
use crate::process::{self, ProcessError};
use ingot_bundle::Digest;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use thiserror::Error;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Cargo locks its target directory; taking turns keeps its waiting out of our times.
static TURN: Mutex<()> = Mutex::new(());

/// Why a crate was not built.
#[derive(Debug, Error)]
pub enum CargoError {
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A source cannot be read.
    #[error("cannot read the source file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its digest does not cover all that it is made of.
    #[error(
        "the programs of {package} are made of files that their `inputs` do not name, so that a change of them would not be noticed: {files}; add these, or their folders, to the `inputs` in component.yaml"
    )]
    Unlisted {
        /// The package.
        package: String,
        /// The files, relative to the workspace.
        files: String,
    },
}

/// Digest over the names and contents of all files that can shape the package: its inputs, and what the
/// workspace has in common. [`made_of::check`] shows that they are all.
///
/// # Errors
/// When the workspace is no git work tree or a file cannot be read.
pub fn source_digest(workspace: &Path, spec: &CargoSpec) -> Result<Digest, CargoError> {
    let listing = list(workspace, spec)?;
    let mut parts = Vec::new();
    for name in listing {
        let path = workspace.join(&name);
        let digest = match ingot_bundle::digest_of_file(&path) {
            Ok((digest, _)) => digest.to_string(),
            // Removed from the work tree, not yet from the index.
            Err(_) if !path.exists() => continue,
            Err(_) => {
                let source = std::io::Error::other("reading it failed");
                return Err(CargoError::Read { path, source });
            }
        };
        parts.push(name);
        parts.push(digest);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(cache::key(&parts))
}

/// Files that can shape the package, relative to the workspace, sorted: what git tracks or
/// would track, or all there is where the sources came without git.
fn list(workspace: &Path, spec: &CargoSpec) -> Result<Vec<String>, CargoError> {
    let roots = ["Cargo.toml", "Cargo.lock", ".cargo"].map(PathBuf::from);
    let mut names: Vec<String> = if workspace.join(".git").exists() {
        let mut command = Command::new("git");
        command
            .current_dir(workspace)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
                "--",
            ])
            .args(&roots)
            .args(&spec.inputs);
        let listing = process::run(&mut command)?;
        let listing = String::from_utf8_lossy(&listing);
        listing
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        roots
            .iter()
            .chain(&spec.inputs)
            .flat_map(|place| walkdir::WalkDir::new(workspace.join(place)))
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .filter_map(|entry| {
                let name = entry.path().strip_prefix(workspace).ok()?;
                Some(name.to_string_lossy().into_owned())
            })
            .collect()
    };
    names.sort();
    names.dedup();
    Ok(names)
}

/// Version of the compiler, for cache keys.
///
/// # Errors
/// When Rust is not installed.
pub fn toolchain() -> Result<String, ProcessError> {
    process::run_text(Command::new("rustc").arg("-vV"))
}

/// Builds the package; returns the directory that holds its programs.
///
/// # Errors
/// What cargo said.
pub fn build(workspace: &Path, spec: &CargoSpec, target: &Path) -> Result<PathBuf, CargoError> {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| {
        format!(
            "{}/.cargo",
            std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned())
        )
    });
    let remap = [
        format!("{}=/cargo", home),
        format!("{}=/ingot", workspace.display()),
        format!("{}=/target", target.display()),
    ];
    let rust: Vec<String> = ["-C".to_owned(), "target-feature=+crt-static".to_owned()]
        .into_iter()
        .chain(remap.iter().map(|map| format!("--remap-path-prefix={map}")))
        .collect();
    let c: Vec<String> = remap
        .iter()
        .map(|map| format!("-ffile-prefix-map={map}"))
        .collect();
    let mut command = Command::new("cargo");
    command
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--package",
            &spec.package,
        ])
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_INCREMENTAL", "0")
        // Takes the place of the flags in .cargo/config.toml, so it repeats them.
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"))
        .env("CFLAGS", c.join(" "))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR");
    process::run(&mut command)?;
    Ok(programs(target))
}

fn programs(target: &Path) -> PathBuf {
    target.join(TARGET).join("release")
}

/// The crates linked into a package, as `cargo tree` prints them: name, version per line.
///
/// # Errors
/// What cargo said.
pub fn dependencies(workspace: &Path, package: &str) -> Result<String, CargoError> {
    let mut command = Command::new("cargo");
    command.current_dir(workspace).args([
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal",
        "--target",
        TARGET,
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{l}",
    ]);
    Ok(process::run_text(&mut command)?)
}
