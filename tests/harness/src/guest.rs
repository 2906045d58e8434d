//! Guests: machines with a kernel of their own, for what hosts of a lab cannot do.
//!
//! A [`Guest`] is a virtual machine in QEMU, without KVM, that runs Debian with its stock cloud
//! kernel: device mapper, LVM, LUKS, XFS, nftables, cgroup v2, and disks that can be torn out, break
//! and lose what was not flushed. It computes ten to twenty times slower than a host and boots in
//! fifteen seconds to a minute, so deadlines are the caller's. A guest stands alone, reachable
//! through a port of the loopback, or in a lab beside its hosts ([`Lab::add_guest`](crate::Lab::add_guest)). Nothing leads
//! out of either network.
//!
//! A guest belongs to the value that stands for it: it ends when that is dropped, and also when the
//! process is killed. What the machine needs: [`Guest::requirements`].
//!
//! What a power cut loses: [`Guest::power_cut`].

mod create;
mod directory;
mod disk;
mod error;
mod forward;
mod guard;
mod identity;
mod image;
mod machine;
mod monitor;
mod power;
mod requirements;
mod session;
mod slots;
mod spec;
mod transfer;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use directory::{kill_below, lab_guests, members};
pub use disk::{Access, Fault};
pub use error::{GuestError, ImageError};
pub(crate) use guard::run as guard;
pub use monitor::MonitorError;
pub use spec::{DiskSpec, GUEST_DEADLINE, GuestSpec, MAX_DISKS, MAX_SERIAL_LEN};

use crate::requirements::Missing;
use crate::state::StateDir;
use directory::{GuestDir, GuestRecord};
use disk::Disk;
use guard::Guard;
use image::Image;
use machine::Machine;
use session::Session;
use wire::Wire;

/// A virtual machine. It is removed when the value is dropped.
#[derive(Debug)]
pub struct Guest {
    dir: GuestDir,
    record: GuestRecord,
    spec: GuestSpec,
    image: Image,
    wire: Wire,
    now: Mutex<Now>,
    /// Present until the guest is removed.
    guard: Option<Guard>,
}

/// What changes while a guest exists.
#[derive(Debug, Default)]
struct Now {
    disks: Vec<Disk>,
    machine: Option<Machine>,
    session: Option<Session>,
}

impl Guest {
    /// What this machine lacks for guests; empty if nothing.
    pub fn requirements() -> Vec<Missing> {
        requirements::missing()
    }

    /// Makes a guest of its own and boots it; returns when it can be worked with. `progress` is told
    /// about steps that take a while.
    pub fn create(spec: GuestSpec, progress: &dyn Fn(&str)) -> Result<Guest, GuestError> {
        Guest::make(spec, None, progress)
    }

    /// Removes what is left of guests whose creators are gone without their guards having been able
    /// to do it; says which those were. Guests in use are left alone.
    pub fn remove_orphans() -> Result<Vec<String>, crate::TeardownError> {
        directory::remove_orphans(&StateDir::from_env())
    }

    /// The guest's name, which is also its host name.
    pub fn name(&self) -> &str {
        self.dir.name().as_str()
    }

    /// Where sshd answers: on the machine's loopback, at a new port after every time the guest was
    /// off, or on the lab's first bridge.
    pub fn ssh_address(&self) -> Result<SocketAddr, GuestError> {
        let now = self.now();
        let machine = now.machine.as_ref().ok_or_else(|| self.off())?;
        Ok(machine.ssh)
    }

    /// A directory with the private key `id_ed25519`, which root's sshd accepts, and `known_hosts`.
    pub fn driver_dir(&self) -> PathBuf {
        self.dir.driver()
    }

    /// The public host key that sshd shows: type and base64, as in known_hosts.
    pub fn host_key(&self) -> &str {
        &self.record.host_key
    }

    /// What the kernel and systemd printed, over all boots.
    pub fn console_log(&self) -> PathBuf {
        self.dir.console()
    }

    /// A command that runs `words` inside the guest as root. Its working directory on this machine
    /// must stay what it is.
    pub fn command(&self, words: &[&str]) -> Result<Command, GuestError> {
        let ssh = self.ssh_address()?;
        self.ensure_session(self.spec.deadline)?;
        session::command(&self.dir, &self.wire, ssh, words)
    }

    /// Gives the person at this terminal a shell inside the guest; returns when they leave it.
    pub fn shell(&self) -> Result<ExitStatus, GuestError> {
        let ssh = self.ssh_address()?;
        self.ensure_session(self.spec.deadline)?;
        let mut command = session::shell(&self.dir, &self.wire, ssh)?;
        let status = command.status();
        status.map_err(|source| session::start_error(&self.dir, source))
    }

    /// Runs a command inside the guest as root and returns what it printed, whatever its exit
    /// status, except 255: by that ssh says that the connection broke.
    pub fn exec(&self, words: &[&str]) -> Result<Output, GuestError> {
        let mut command = self.command(words)?;
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| session::start_error(&self.dir, source))?;
        self.refuse_lost(words, output.status, &output.stderr)?;
        Ok(output)
    }

    /// Runs a command inside the guest as root, and refuses any exit status but 0.
    pub fn run(&self, words: &[&str]) -> Result<Output, GuestError> {
        let output = self.exec(words)?;
        if output.status.success() {
            return Ok(output);
        }
        Err(GuestError::Command {
            guest: self.dir.name().clone(),
            command: words.join(" "),
            status: output.status,
            stderr: tail(&String::from_utf8_lossy(&output.stderr), 12),
        })
    }

    /// Runs a command inside the guest again and again until it succeeds.
    pub fn wait_until(
        &self,
        what: &'static str,
        words: &[&str],
        within: Duration,
    ) -> Result<(), GuestError> {
        let end = Instant::now() + within;
        while !self.exec(words)?.status.success() {
            if Instant::now() >= end {
                return Err(deadline(&self.dir, what, within));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn refuse_lost(
        &self,
        words: &[&str],
        status: ExitStatus,
        stderr: &[u8],
    ) -> Result<(), GuestError> {
        // A status of 255 is ssh's own, and none at all is that of an ssh that was killed.
        if !matches!(status.code(), Some(255) | None) {
            return Ok(());
        }
        Err(GuestError::Lost {
            guest: self.dir.name().clone(),
            command: words.join(" "),
            stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
        })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // A test that failed in another thread says nothing about the guest.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn off(&self) -> GuestError {
        GuestError::Off {
            guest: self.dir.name().clone(),
            console: self.dir.console(),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let now = self.now.get_mut().unwrap_or_else(PoisonError::into_inner);
        now.session = None;
        if let Some(mut machine) = now.machine.take() {
            machine.kill();
        }
        // If this fails, the guard tries again by itself when its pipe closes.
        if self.dir.remove(&self.record.id).is_ok()
            && let Some(guard) = self.guard.take()
        {
            guard.dismiss();
        }
    }
}

fn deadline(dir: &GuestDir, what: &'static str, waited: Duration) -> GuestError {
    let console = std::fs::read(dir.console()).unwrap_or_default();
    GuestError::Deadline {
        guest: dir.name().clone(),
        what,
        waited,
        console: dir.console(),
        tail: tail(&String::from_utf8_lossy(&console), 15),
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
