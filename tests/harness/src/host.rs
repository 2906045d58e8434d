//! One host of a lab: what it is, and what can be done to it from outside.
//!
//! Everything here acts on the host as a person with their hands on the machine would: power, cable,
//! reinstalling, looking at the disk. What the product does to a host goes through SSH and is no
//! business of this module.

mod error;
mod hands;
mod install;

use std::fs;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use error::HostError;
pub(crate) use install::{install, random_id};

use crate::network::{self, NetworkError, host_address};
use crate::process::ProcessId;
use crate::program::{self, ProgramError};
use crate::ssh_keys::KeyError;
use crate::state::{HostDir, HostRecord, LabRecord, RunRecord, StateError};

/// How long [`Host::power_on`] and [`Host::reboot`] wait for sshd. A boot takes a second; the rest is
/// for machines that are busy with other work.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(120);

const SSH_PORT: u16 = 22;

/// A host. Cheap to clone; all state is on disk, so clones and other processes see the same.
#[derive(Debug, Clone)]
pub struct Host {
    dir: HostDir,
    /// What never changes: number, addresses, base.
    index: u8,
    bridges: u8,
}

impl Host {
    pub(crate) fn new(dir: HostDir, record: &HostRecord, lab: &LabRecord) -> Host {
        Host {
            dir,
            index: record.index,
            bridges: lab.bridges,
        }
    }

    /// The host's name, which is also its host name.
    pub fn name(&self) -> &str {
        self.dir.name().as_str()
    }

    /// Its address on the first bridge.
    pub fn address(&self) -> IpAddr {
        host_address(0, self.index)
    }

    /// Its addresses, one per bridge in order; inside the host they are on eth0, eth1, ...
    pub fn addresses(&self) -> Vec<IpAddr> {
        (0..self.bridges)
            .map(|bridge| host_address(bridge, self.index))
            .collect()
    }

    /// The port sshd listens on.
    pub fn ssh_port(&self) -> u16 {
        SSH_PORT
    }

    /// The public host key that sshd shows: type and base64, as in known_hosts.
    pub fn host_key(&self) -> Result<String, HostError> {
        Ok(self.record()?.host_key)
    }

    /// The whole root file system of a running host, as seen from outside (mounts included).
    ///
    /// The path goes through /proc, so it ends with this boot. Absolute symlinks below it lead to the
    /// machine's files, not the host's.
    pub fn root_dir(&self) -> Result<PathBuf, HostError> {
        Ok(format!("/proc/{}/root", self.running_init()?.pid()).into())
    }

    /// What the host has changed on its root since it was bare, without /var/lib: files as they
    /// are now, deleted ones as character devices 0:0 (overlayfs). Also there when the host is off.
    pub fn changes_dir(&self) -> PathBuf {
        self.dir.upper()
    }

    /// The host's /var/lib, a plain directory of the machine. Also there when the host is off.
    pub fn var_lib_dir(&self) -> PathBuf {
        self.dir.var_lib()
    }

    /// What PID 1 printed before and after systemd took over, over all boots.
    pub fn console_log(&self) -> PathBuf {
        self.dir.console()
    }

    /// Whether the host is powered on.
    pub fn is_running(&self) -> bool {
        self.dir
            .run()
            .is_ok_and(|run| run.init.is_some_and(|init| init.is_alive()))
    }

    /// How often the host has booted.
    pub fn boots(&self) -> Result<u64, HostError> {
        Ok(self.run()?.boots)
    }

    /// A command that runs inside the host as root, without SSH and whatever its network does.
    ///
    /// It joins the host's namespaces but not its cgroups.
    pub fn command(&self, program: &str) -> Result<Command, HostError> {
        let init = self.running_init()?.pid().to_string();
        let mut command = Command::new("nsenter");
        command
            .args([
                "-t", &init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
            ])
            .arg(program)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8");
        Ok(command)
    }

    /// Runs a command inside the host and returns what it printed, whatever its exit status.
    pub fn exec(&self, command: &[&str]) -> Result<Output, HostError> {
        let (program, args) = command.split_first().ok_or(HostError::EmptyCommand)?;
        let mut inside = self.command(program)?;
        inside.args(args);
        // Not `program::run`: a failing command is an answer here, not an error.
        inside.stdin(Stdio::null()).output().map_err(|source| {
            self.program(ProgramError::Start {
                command: command.join(" "),
                source,
            })
        })
    }

    /// Waits until sshd greets, or the host turns out to be off, or the time is up.
    pub fn wait_ssh(&self, within: Duration) -> Result<(), HostError> {
        self.wait("answer on the SSH port", within, || {
            self.refuse_if_off()?;
            self.ssh_greets()
        })
    }

    /// The journal of the current boot, or all that is on the disk of a host that is off; without
    /// kernel messages, which are those of the machine and of every host on it.
    pub fn journal(&self) -> Result<String, HostError> {
        let mut command = match self.is_running() {
            true => {
                let mut inside = self.command("journalctl")?;
                inside.arg("-b");
                inside
            }
            false => {
                let mut outside = Command::new("journalctl");
                outside
                    .arg("-D")
                    .arg(self.dir.upper().join("var/log/journal"));
                outside
            }
        };
        command.args(["--no-pager", "-o", "short-monotonic"]);
        command.args([
            "_TRANSPORT=journal",
            "_TRANSPORT=stdout",
            "_TRANSPORT=syslog",
        ]);
        let output = program::run(&mut command).map_err(|e| self.program(e))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn ssh_greets(&self) -> Result<bool, HostError> {
        let address = SocketAddr::new(self.address(), SSH_PORT);
        let greeting = network::inside(&self.dir.lab().network(), || {
            let timeout = Duration::from_millis(500);
            let mut stream = TcpStream::connect_timeout(&address, timeout)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut start = [0; 4];
            stream.read_exact(&mut start)?;
            Ok::<_, std::io::Error>(start == *b"SSH-")
        });
        match greeting {
            Ok(result) => Ok(result.unwrap_or(false)),
            Err(source) => Err(HostError::Network {
                host: self.dir.name().clone(),
                source,
            }),
        }
    }

    /// An error if nothing supplies the host with power.
    fn refuse_if_off(&self) -> Result<(), HostError> {
        match self.supervisor_gone()? {
            true => Err(self.off(self.run()?.failure)),
            false => Ok(()),
        }
    }

    fn supervisor_gone(&self) -> Result<bool, HostError> {
        Ok(self.run()?.supervisor.is_none_or(|s| !s.is_alive()))
    }

    fn wait(
        &self,
        what: &'static str,
        within: Duration,
        mut reached: impl FnMut() -> Result<bool, HostError>,
    ) -> Result<(), HostError> {
        let deadline = Instant::now() + within;
        while !reached()? {
            if Instant::now() >= deadline {
                return Err(HostError::Deadline {
                    host: self.dir.name().clone(),
                    what,
                    waited: within,
                    console: self.dir.console(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn running_init(&self) -> Result<ProcessId, HostError> {
        let run = self.run()?;
        match run.init.filter(ProcessId::is_alive) {
            Some(init) => Ok(init),
            None => Err(self.off(run.failure)),
        }
    }

    /// The lock of the lab, if the host still exists: a lock of a lab that is gone would leave its
    /// file behind.
    fn lock(&self) -> Result<fs::File, HostError> {
        self.record()?;
        let lab = self.dir.lab();
        lab.state().lock(lab.name()).map_err(|e| self.state(e))
    }

    fn record(&self) -> Result<HostRecord, HostError> {
        let record = self.dir.record().map_err(|e| self.state(e))?;
        record.ok_or_else(|| HostError::Gone(self.dir.name().clone()))
    }

    fn run(&self) -> Result<RunRecord, HostError> {
        self.dir.run().map_err(|e| self.state(e))
    }

    fn off(&self, failure: Option<String>) -> HostError {
        HostError::Off {
            host: self.dir.name().clone(),
            failure,
        }
    }

    fn state(&self, source: StateError) -> HostError {
        HostError::State {
            host: self.dir.name().clone(),
            source,
        }
    }

    fn key(&self, source: KeyError) -> HostError {
        HostError::Key {
            host: self.dir.name().clone(),
            source,
        }
    }

    fn network(&self, source: NetworkError) -> HostError {
        HostError::Network {
            host: self.dir.name().clone(),
            source,
        }
    }

    fn program(&self, source: ProgramError) -> HostError {
        HostError::Program {
            host: self.dir.name().clone(),
            source,
        }
    }
}
