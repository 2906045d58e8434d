//! Commands on a guest, over SSH.
//!
//! One ssh process holds a connection that all commands of the guest share, since an emulated
//! processor takes long over the keys of a new one. The only place that runs ssh.

use std::ffi::OsStr;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::setsid;

use super::directory::{ARGV0, GuestDir};
use super::error::GuestError;
use super::wire::Wire;
use crate::program::ProgramError;

/// The shared connection's socket, relative to the guest's directory: a path of a socket may only
/// have 108 bytes.
const SOCKET: &str = "session";

/// How long a command may keep the guest from answering before it counts as lost.
const SILENCE: Duration = Duration::from_secs(120);

/// The ssh that holds the connection.
#[derive(Debug)]
pub(super) struct Session(Child);

impl Session {
    pub(super) fn open(
        dir: &GuestDir,
        wire: &Wire,
        ssh: SocketAddr,
        within: Duration,
    ) -> Result<Session, GuestError> {
        let socket = dir.path().join(SOCKET);
        let _ = std::fs::remove_file(&socket);
        let mut command = ssh_command(dir, wire, ssh)?;
        command
            .args(["-N", "-M"])
            .arg(destination(ssh))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // It reads and writes on behalf of the other ssh processes, on their terminal if they have
        // one. As a background process of that terminal it would be stopped when it reads.
        let own_session = || Ok(setsid().map(drop)?);
        // SAFETY: between fork and exec only setsid(2) is called; it neither allocates nor takes locks.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(own_session);
        }
        let child = command.spawn().map_err(|source| start_error(dir, source))?;
        let mut session = Session(child);
        let deadline = Instant::now() + within;
        // The socket appears when the guest has let us in.
        while !socket.exists() {
            if session.has_ended() {
                let mut stderr = String::new();
                if let Some(mut pipe) = session.0.stderr.take() {
                    let _ = pipe.read_to_string(&mut stderr);
                }
                return Err(GuestError::Lost {
                    guest: dir.name().clone(),
                    command: "ssh".into(),
                    stderr: stderr.trim().to_owned(),
                });
            }
            if Instant::now() >= deadline {
                return Err(super::deadline(dir, "let us log in", within));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(session)
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs `words` on the guest as root.
pub(super) fn command(
    dir: &GuestDir,
    wire: &Wire,
    ssh: SocketAddr,
    words: &[&str],
) -> Result<Command, GuestError> {
    let mut command = ssh_command(dir, wire, ssh)?;
    let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
    command
        .args(["-o", "ControlMaster=no"])
        .arg(destination(ssh))
        .args(["--", &line.join(" ")]);
    Ok(command)
}

/// A command that gives the person at this terminal one in the guest.
pub(super) fn shell(dir: &GuestDir, wire: &Wire, ssh: SocketAddr) -> Result<Command, GuestError> {
    let mut command = ssh_command(dir, wire, ssh)?;
    command
        .args(["-t", "-o", "ControlMaster=no"])
        .arg(destination(ssh));
    Ok(command)
}

/// A command that lets the shared connection listen on the machine for a socket of the guest.
pub(super) fn forward(
    dir: &GuestDir,
    wire: &Wire,
    ssh: SocketAddr,
    socket: &str,
    here: &Path,
) -> Result<Command, GuestError> {
    let mut command = ssh_command(dir, wire, ssh)?;
    let mut both = here.as_os_str().to_owned();
    both.push(":");
    both.push(socket);
    command
        .args(["-O", "forward", "-L"])
        .arg(both)
        .arg(destination(ssh));
    Ok(command)
}

fn ssh_command(dir: &GuestDir, wire: &Wire, ssh: SocketAddr) -> Result<Command, GuestError> {
    let driver = dir.driver();
    let option = |name: &str, value: &OsStr| {
        let mut text = std::ffi::OsString::from(format!("{name}="));
        text.push(value);
        text
    };
    let mut command = Command::new("ssh");
    command
        .arg0(ARGV0)
        .args(["-F", "/dev/null", "-S", SOCKET])
        .arg("-i")
        .arg(driver.join("id_ed25519"))
        .arg("-o")
        .arg(option(
            "UserKnownHostsFile",
            driver.join("known_hosts").as_os_str(),
        ))
        // The guest ignores it; by it the process is found after a crash.
        .arg("-o")
        .arg(option(
            "SetEnv=INGOT_GUEST",
            dir.path().join("").as_os_str(),
        ))
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"])
        .args(["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"])
        .args(["-o", "ServerAliveInterval=10", "-o"])
        .arg(format!("ServerAliveCountMax={}", SILENCE.as_secs() / 10))
        .args(["-p", &ssh.port().to_string()])
        .current_dir(dir.path());
    wire.enter(&mut command)
        .map_err(|source| GuestError::network(dir.name(), source))?;
    Ok(command)
}

fn destination(ssh: SocketAddr) -> String {
    format!("root@{}", ssh.ip())
}

pub(super) fn start_error(dir: &GuestDir, source: std::io::Error) -> GuestError {
    let command = "ssh".to_owned();
    GuestError::program(dir.name(), ProgramError::Start { command, source })
}

/// One word for the guest's shell.
fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_guest_as_they_are() {
        for word in [
            "",
            "a b",
            "it's",
            "$HOME",
            "a\"b",
            "x;y",
            "ü",
            "--name=value",
            "*",
        ] {
            let mut shell = Command::new("sh");
            let output = shell
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
