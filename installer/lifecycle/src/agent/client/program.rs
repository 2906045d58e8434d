//! The installer's program on a host. Whoever looks puts it there under its digest and changes nothing else;
//! whoever holds the lease makes it the installed one. So a look with another version is without
//! consequences for what the host runs.

use super::Session;
use crate::error::Failure;
use crate::paths;
use ingot_transport::{Exit, Host, TransportError, must, quote, run, write_file};

mod not_startable;

/// The name of a program: enough of its digest to tell versions apart. All of it is compared.
fn name(digest: &str) -> String {
    format!("ingot-{}", digest.get(..16).unwrap_or(digest))
}

/// Makes sure that `directory` of the host has this `program`; returns its path, and, if it was there
/// already, how a trial of it ended.
async fn put(
    host: &dyn Host,
    directory: &str,
    program: &[u8],
    digest: &str,
) -> Result<(String, Option<Exit>), TransportError> {
    let path = format!("{directory}/{}", name(digest));
    let quoted = quote(&path);
    let look = format!(
        "sha256sum {quoted} 2>/dev/null | cut -c1-64; {}",
        trial(&path)
    );
    let found = run(host, &look, b"").await?;
    if found.stdout.trim_ascii() == digest.as_bytes() {
        return Ok((path, Some(found.exit)));
    }
    write_file(host, &path, 0o755, program, digest).await?;
    Ok((path, None))
}

/// Starts the program for nothing: whether it runs is known before anything depends on it.
fn trial(path: &str) -> String {
    format!("{} --version >/dev/null", quote(path))
}

/// Makes sure that the program at `path` of the host can be started there.
async fn starts(host: &dyn Host, path: &str, tried: Option<Exit>) -> Result<(), Failure> {
    let exit = match tried {
        Some(exit) => exit,
        None => run(host, &trial(path), b"").await?.exit,
    };
    match exit.status {
        Some(0) => Ok(()),
        _ => Err(not_startable::why(host, path, &exit).await?),
    }
}

/// Makes the program of this digest the installed one, and removes those of others. One that has just
/// arrived stays: its installer is about to start it.
async fn install(host: &dyn Host, directory: &str, digest: &str) -> Result<(), TransportError> {
    let (directory, own) = (quote(directory), name(digest));
    let command = format!(
        "set -e; cd {directory}; rm -f ingot.new.*; \
         if ! [ ingot -ef {own} ]; then \
         fresh=ingot.new.$$; ln -f {own} \"$fresh\" 2>/dev/null || cp -p {own} \"$fresh\"; \
         mv -f \"$fresh\" ingot; fi; \
         find . -name 'ingot-*' ! -name {own} -mmin +60 -exec rm -f {{}} + || true"
    );
    let what = format!("make {own} the installed program");
    must(host, &what, &command, b"").await
}

impl Session {
    /// Makes sure that the host has this `program` (by its SHA-256 `digest`), and starts its agent.
    ///
    /// # Errors
    /// When the host refuses the program or it does not run there.
    pub async fn open(host: &dyn Host, program: &[u8], digest: &str) -> Result<Self, Failure> {
        let (path, tried) = put(host, paths::PROGRAMS, program, digest).await?;
        starts(host, &path, tried).await?;
        let process = host.start(&format!("exec {} agent", quote(&path))).await?;
        Ok(Self {
            address: host.address(),
            program: digest.into(),
            process,
            host: None,
            ended: None,
        })
    }

    /// Makes the program of this session the one that services of the host run; only for who holds the
    /// lease.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn install_program(&mut self) -> Result<(), Failure> {
        if let Some(host) = &self.host {
            install(host.as_ref(), paths::PROGRAMS, &self.program).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_bundle::Digest;
    use ingot_transport::LocalHost;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    const OLD: &[u8] = b"of before";
    const NEW: &[u8] = b"of today";

    async fn put_in(directory: &Path, program: &[u8]) -> String {
        let digest = Digest::of(program).hex();
        let directory = directory.to_str().unwrap();
        let put = put(&LocalHost, directory, program, &digest).await;
        put.unwrap().0
    }

    async fn install_in(directory: &Path, program: &[u8]) -> Result<(), TransportError> {
        let digest = Digest::of(program).hex();
        install(&LocalHost, directory.to_str().unwrap(), &digest).await
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_look_leaves_the_installed_program_alone() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        let old = put_in(&bin, OLD).await;
        install_in(&bin, OLD).await.unwrap();
        let new = put_in(&bin, NEW).await;
        assert_ne!(old, new);
        assert_eq!(std::fs::read(bin.join("ingot")).unwrap(), OLD);
        assert_eq!(std::fs::read(&new).unwrap(), NEW);
        install_in(&bin, NEW).await.unwrap();
        assert_eq!(std::fs::read(bin.join("ingot")).unwrap(), NEW);
        let mode = std::fs::metadata(bin.join("ingot")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o755);
        // Again, and nothing is left beside them.
        install_in(&bin, NEW).await.unwrap();
        assert_eq!(names(&bin).len(), 3, "{:?}", names(&bin));
    }

    #[tokio::test]
    async fn a_damaged_program_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = put_in(dir.path(), NEW).await;
        std::fs::write(&path, "of tod").unwrap();
        assert_eq!(put_in(dir.path(), NEW).await, path);
        assert_eq!(std::fs::read(&path).unwrap(), NEW);
    }

    #[tokio::test]
    async fn programs_of_before_and_torn_ones_are_removed_by_the_next_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let old = put_in(dir.path(), OLD).await;
        let torn = dir.path().join("ingot-0123456789abcdef.new.7");
        std::fs::write(&torn, "of to").unwrap();
        let touched = Command::new("touch")
            .args(["-d", "2 hours ago"])
            .args([Path::new(&old), &torn])
            .status();
        assert!(touched.unwrap().success());
        put_in(dir.path(), b"just arrived").await;
        put_in(dir.path(), NEW).await;
        install_in(dir.path(), NEW).await.unwrap();
        assert!(!Path::new(&old).exists() && !torn.exists());
        assert_eq!(names(dir.path()).len(), 3, "{:?}", names(dir.path()));
    }

    #[tokio::test]
    async fn a_program_that_is_gone_cannot_be_installed() {
        let dir = tempfile::tempdir().unwrap();
        let error = install_in(dir.path(), NEW).await.unwrap_err().to_string();
        assert!(
            error.starts_with("`make ingot-") && error.contains("failed on this machine"),
            "{error}"
        );
        assert!(names(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn a_program_that_does_not_start_is_told_by_the_host_and_before_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let good = b"#!/bin/sh\necho ingot 1\n";
        let bad = b"#!/bin/sh\necho no >&2; exit 3\n";
        let digest = |program: &[u8]| Digest::of(program).hex();
        let directory = dir.path().to_str().unwrap();
        for _ in 0..2 {
            let (path, tried) = put(&LocalHost, directory, good, &digest(good))
                .await
                .unwrap();
            starts(&LocalHost, &path, tried).await.unwrap();
            let (path, tried) = put(&LocalHost, directory, bad, &digest(bad)).await.unwrap();
            let failure = starts(&LocalHost, &path, tried).await.unwrap_err();
            assert!(
                failure.message.starts_with(&format!(
                    "the program {path} cannot be started on this machine: no (status 3)"
                )),
                "{failure}"
            );
        }
    }
}
