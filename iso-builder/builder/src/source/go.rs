//! Compiles programs from pinned Go modules, all programs of a train in one go.
//!
//! Never changes go.mod or go.sum, and never turns the checksum database off.

use crate::catalog::{Cgo, GoSpec};
use crate::process::{self, ProcessError};
use crate::train::Train;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that one call of `go build` makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The train.
    pub train: String,
    /// With or without C.
    pub cgo: Cgo,
    /// Build tags, sorted.
    pub tags: Vec<String>,
}

impl Group {
    /// The group that a source belongs to.
    pub fn of(spec: &GoSpec) -> Self {
        let mut tags: BTreeSet<String> = spec.tags.iter().cloned().collect();
        if spec.cgo == Cgo::Static {
            // The C library's resolver and user database need shared libraries at run time.
            tags.extend(["netgo".to_owned(), "osusergo".to_owned()]);
        }
        Self {
            train: spec.train.clone(),
            cgo: spec.cgo,
            tags: tags.into_iter().collect(),
        }
    }

    /// What identifies it in a cache key.
    pub fn identity(&self) -> String {
        format!("{:?}", self)
    }
}

/// Compiles `packages` into `to`; returns the program of each package.
///
/// # Errors
/// What the go command said.
pub fn build(
    train: &Train,
    group: &Group,
    packages: &BTreeSet<String>,
    to: &Path,
) -> Result<BTreeMap<String, PathBuf>, ProcessError> {
    let mut ldflags = vec!["-s -w -buildid=".to_owned()];
    if group.cgo == Cgo::Static {
        ldflags.push("-linkmode=external -extldflags=-static".to_owned());
    }
    ldflags.extend(train.ldflags.iter().cloned());
    let mut command = go(&train.folder);
    command
        .env(
            "CGO_ENABLED",
            if group.cgo == Cgo::Static { "1" } else { "0" },
        )
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &ldflags.join(" "),
        ])
        .args(["-tags", &group.tags.join(",")])
        .arg("-o")
        // The slash makes go treat it as a directory even for a single program.
        .arg(format!("{}/", to.display()))
        .args(packages);
    process::run(&mut command)?;
    Ok(packages
        .iter()
        .map(|package| (package.clone(), to.join(program_name(package))))
        .collect())
}

/// Version of the go command, for cache keys.
///
/// # Errors
/// When go is not installed.
pub fn toolchain() -> Result<String, ProcessError> {
    process::run_text(
        Command::new("go")
            .arg("version")
            .env("GOTOOLCHAIN", "local"),
    )
}

/// Version of the C compiler and of libseccomp, for cache keys of programs with C.
///
/// # Errors
/// When one is not installed.
pub fn c_toolchain() -> Result<String, ProcessError> {
    let compiler = process::run_text(Command::new("gcc").arg("--version"))?;
    let seccomp =
        process::run_text(Command::new("pkg-config").args(["--modversion", "libseccomp"]))?;
    Ok(format!(
        "{}\nlibseccomp {seccomp}",
        compiler.lines().next().unwrap_or_default()
    ))
}

/// The modules compiled into a program, as `go version -m` prints them.
///
/// # Errors
/// When the program was not made by go.
pub fn build_info(program: &Path) -> Result<String, ProcessError> {
    process::run_text(Command::new("go").args(["version", "-m"]).arg(program))
}

fn go(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(folder)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local")
        .env("GOOS", "linux")
        .env("GOARCH", "amd64")
        .env("GOAMD64", "v1")
        .env("GOWORK", "off")
        // Only what is given here may shape a program.
        .env_remove("GOEXPERIMENT")
        .env("CGO_CFLAGS", "-O2")
        .env("CGO_LDFLAGS", "")
        .env("CC", "gcc");
    command
}

/// How go names a program: the last part of its path that is no major version.
fn program_name(package: &str) -> &str {
    let is_major = |part: &str| {
        part.strip_prefix('v').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    package
        .rsplit('/')
        .find(|part| !is_major(part))
        .unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::program_name;

    #[test]
    fn programs_are_named_as_go_names_them() {
        assert_eq!(program_name("k8s.io/kubernetes/cmd/kubelet"), "kubelet");
        assert_eq!(program_name("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(program_name("example.org/video"), "video");
    }
}
