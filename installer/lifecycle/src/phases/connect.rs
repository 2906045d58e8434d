//! Reaches all hosts at once, checks who they are, and starts the agent on each.

use crate::agent::Session;
use crate::driver::{Driver, Machine, Options};
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::facts::Facts;
use ingot_cluster::{Access, Node, Ssh};
use ingot_transport::ssh::{KnownHosts, Sudo};
use ingot_transport::{Host, LocalHost, Secret, SshHost, SshTarget};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const PHASE: &str = "connect";

/// Runs the phase.
///
/// # Errors
/// When no host can be reached.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let chosen: Vec<Node> = driver
        .cluster
        .nodes
        .iter()
        .filter(|node| {
            driver.options.only.is_empty() || driver.options.only.contains(&node.name.to_string())
        })
        .cloned()
        .collect();
    let known_hosts = KnownHosts {
        file: driver.options.known_hosts.clone(),
        accept_new: driver.options.accept_new_host_keys,
    };
    let progress = driver.progress(PHASE);
    let reaching = chosen.into_iter().map(|node| {
        let (known_hosts, progress) = (known_hosts.clone(), progress.clone());
        let (program, digest) = (Arc::clone(&driver.program.0), driver.program.1.clone());
        let options = driver.options.clone();
        async move {
            let session = async {
                let host: Box<dyn Host> = match &node.access {
                    Access::Local => Box::new(LocalHost),
                    Access::Ssh(ssh) => {
                        progress.tell(node.name.as_str(), format!("log in as {}", ssh.user), None);
                        Box::new(SshHost::connect(target(ssh, &options)?, &known_hosts).await?)
                    }
                };
                progress.tell(node.name.as_str(), "start the agent", None);
                let session = Session::open(host.as_ref(), &program, &digest).await?;
                // The connection lives as long as the conversation that runs over it.
                Ok::<_, Failure>(session.keep(host))
            };
            (node.clone(), session.await)
        }
    });
    for (node, session) in futures::future::join_all(reaching).await {
        let name = node.name.to_string();
        match session {
            Ok(session) => {
                driver.tell(Event::NodeFinished {
                    node: name.clone(),
                    phase: PHASE.into(),
                    changed: 0,
                });
                driver.machines.insert(
                    name,
                    Machine {
                        node,
                        session,
                        facts: Facts::default(),
                    },
                );
            }
            Err(failure) => driver.fail(&name, PHASE, failure),
        }
    }
    if driver.machines.is_empty() {
        // Wrong keys or passwords on all hosts are a matter of the input, not of the machines.
        let input = driver
            .failed
            .values()
            .all(|failure| failure.kind == FailureKind::Input);
        let kind = if input {
            FailureKind::Input
        } else {
            FailureKind::Machine
        };
        return Err(Failure::text(kind, "no host can be reached"));
    }
    Ok(())
}

fn target(ssh: &Ssh, options: &Options) -> Result<SshTarget, Failure> {
    let sudo = match &ssh.sudo {
        None => Sudo::No,
        Some(sudo) => match &sudo.password_file {
            None => Sudo::WithoutPassword,
            Some(path) => Sudo::WithPassword(password(path)?),
        },
    };
    Ok(SshTarget {
        host: ssh.host.clone(),
        port: ssh.port,
        user: ssh.user.clone(),
        key_file: ssh.key_file.clone(),
        passphrase: std::env::var("INGOT_SSH_PASSPHRASE").ok().map(Secret::new),
        sudo,
        jump: ssh
            .jump
            .as_ref()
            .map(|jump| target(jump, options).map(Box::new))
            .transpose()?,
        timeout: options.connect_timeout,
        silence: options.silence_timeout,
    })
}

/// The first line of a file that only its owner may read.
fn password(path: &Path) -> Result<Secret, Failure> {
    let refuse = |why: String| {
        Failure::text(
            FailureKind::Input,
            format!("cannot use {}: {why}", path.display()),
        )
    };
    let mode = std::fs::metadata(path)
        .map_err(|error| refuse(error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(refuse(format!(
            "others may read it (mode {:04o}); run chmod 600 on it",
            mode & 0o7777
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(refuse("its first line, the password, is empty".into())),
    }
}
