//! Becoming root on a host that somebody is logged in to: found out once, before anything else is done there.
//! What stands in the way is told in the words of the party that said it: the login shell or what runs
//! instead of it, or sudo.

use super::opening::{NotStarted, Way};
use super::{Begun, SshHost, Sudo};
use crate::TransportError;
use crate::host::collect;

/// Finds the way in which commands become root's.
///
/// # Errors
/// What stands in the way.
pub(super) async fn way(host: &SshHost) -> Result<Way, TransportError> {
    let mut way = Way {
        sudo: host.target.sudo.clone(),
        terminal: false,
    };
    let mut demand = None;
    loop {
        match host.begin(&way, "id -u").await? {
            Begun::Runs(process) => {
                let output = collect(host, process, b"").await?;
                let id = String::from_utf8_lossy(output.stdout.trim_ascii()).into_owned();
                return match id.as_str() {
                    "0" => Ok(way),
                    id => Err(not_root(host, id)),
                };
            }
            // Only the controlling terminal is looked at, so sudo can have one without our having it.
            Begun::Not(failure) if wants_terminal(&failure) && !way.terminal => {
                demand = Some(failure.last);
                way.terminal = true;
            }
            Begun::Not(failure) => return Err(refusal(host, &failure, demand.as_deref())),
        }
    }
}

fn wants_terminal(failure: &NotStarted) -> bool {
    failure.sudo && failure.last.contains("must have a tty")
}

fn not_root(host: &SshHost, id: &str) -> TransportError {
    refuse(
        host,
        match host.target.sudo {
            Sudo::No => {
                format!("it has the ID {id}; set `sudo: {{}}` for it, or log in as root")
            }
            _ => format!("sudo makes it a user with the ID {id}; check `runas_default` in sudoers"),
        },
    )
}

fn refuse(host: &SshHost, reason: String) -> TransportError {
    TransportError::Sudo {
        address: host.target.address(),
        user: host.target.user.clone(),
        reason,
    }
}

/// Why a command did not start.
pub(super) fn refusal(
    host: &SshHost,
    failure: &NotStarted,
    demand: Option<&str>,
) -> TransportError {
    if !failure.sudo {
        return no_shell(host, failure);
    }
    let said = &failure.last;
    let says = |what: &str| said.contains(what);
    refuse(
        host,
        match &host.target.sudo {
            Sudo::WithPassword(_) if failure.refused => {
                format!("sudo refused the password ({said}); check the file `passwordFile` names")
            }
            _ if demand.is_some() => format!(
                "sudo demands a terminal ({}), and the one that was made for it with script(1) did not help ({said}); set `Defaults:{} !requiretty` in sudoers",
                demand.unwrap_or_default(),
                host.target.user
            ),
            _ if failure.status == Some(127) => {
                "sudo is not installed there; log in as root".into()
            }
            _ if says("sudoers") || says("not allowed") || says("may not run sudo") => {
                format!("sudo does not allow it ({said}); allow it in sudoers")
            }
            Sudo::WithoutPassword if says("password is required") => format!(
                "sudo wants a password ({said}); give one with `sudo: {{passwordFile: ...}}`, or allow NOPASSWD"
            ),
            _ => match failure.status {
                Some(status) => format!("sudo ended with status {status} ({said})"),
                None => format!("sudo did not answer ({said})"),
            },
        },
    )
}

/// Something else than the user's shell answered, or the shell runs no commands.
fn no_shell(host: &SshHost, failure: &NotStarted) -> TransportError {
    let said = failure.said.clone();
    let says = |what: &str| said.as_deref().is_some_and(|said| said.contains(what));
    let remedy = if says("assword change required") || says("password has expired") {
        "set a new password for it there"
    } else if says("not available") {
        "give it a login shell (`usermod -s /bin/sh`), or log in as another user"
    } else if says("Please login as the user") {
        "log in as that user, with `user:` and `sudo: {}`"
    } else {
        "a forced command (in authorized_keys or sshd_config) or its login shell runs instead; log in as a user who may run commands"
    };
    TransportError::Shell {
        address: host.target.address(),
        user: host.target.user.clone(),
        said,
        status: match failure.status {
            Some(status) => format!(" and ended with status {status}"),
            None => String::new(),
        },
        remedy,
    }
}
