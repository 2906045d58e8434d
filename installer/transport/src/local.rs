//! The machine the installer runs on, as a host (`transport: local`).

use crate::TransportError;
use crate::host::{Exit, Host, Process, tail};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::process::Stdio;

/// This machine; the installer must run as root.
#[derive(Debug, Clone, Copy)]
pub struct LocalHost;

impl Host for LocalHost {
    fn address(&self) -> String {
        "this machine".into()
    }

    fn start<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Process, TransportError>> {
        async move {
            let broken = |reason: String| TransportError::Broken {
                address: self.address(),
                reason,
            };
            let mut child = tokio::process::Command::new("/bin/sh")
                .args(["-c", command])
                // It opens keys of the person, and nothing that runs on a host has a use for it.
                .env_remove("INGOT_SSH_PASSPHRASE")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(|error| broken(format!("cannot start /bin/sh: {error}")))?;
            let missing = || broken("a standard stream is missing".into());
            let stdin = child.stdin.take().ok_or_else(missing)?;
            let stdout = child.stdout.take().ok_or_else(missing)?;
            let stderr = tokio::spawn(tail(child.stderr.take().ok_or_else(missing)?));
            let exit = async move {
                let status = child
                    .wait()
                    .await
                    .ok()
                    .and_then(|s| s.code())
                    .and_then(|c| u32::try_from(c).ok());
                Exit {
                    status,
                    stderr: stderr.await.unwrap_or_default(),
                }
            };
            Ok(Process {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                exit: exit.boxed(),
            })
        }
        .boxed()
    }
}
