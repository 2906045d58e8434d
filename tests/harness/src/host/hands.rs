//! What a person's hands do to a host: power, cables, a fresh disk.

use super::install::HOST_KEY;
use super::{BOOT_DEADLINE, Host, HostError, install};
use crate::internal::{InternalError, Role, host_process};
use crate::network;
use crate::process::ProcessId;
use crate::program::{self, ProgramError};
use crate::{ssh_keys, state, teardown};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

impl Host {
    /// Powers on and waits until sshd answers. A host that is on already is left alone.
    pub fn power_on(&self) -> Result<(), HostError> {
        self.start()?;
        self.wait_ssh(BOOT_DEADLINE)
    }

    /// Powers on and waits until systemd says that it has booted, whatever the network does.
    pub fn power_on_without_network(&self, within: Duration) -> Result<(), HostError> {
        self.start()?;
        self.wait("finish booting", within, || {
            self.refuse_if_off()?;
            if !self.is_running() {
                return Ok(false);
            }
            // `degraded` is a finished boot as well. PID 1 may not be systemd yet.
            let output = self.exec(&["systemctl", "is-system-running"])?;
            Ok(matches!(
                output.stdout.trim_ascii(),
                b"running" | b"degraded"
            ))
        })
    }

    /// Starts the supervisor, unless there is one; returns once it has left its record.
    fn start(&self) -> Result<(), HostError> {
        let _lock = self.lock()?;
        if !self.supervisor_gone()? {
            return Ok(());
        }
        let start = |source| HostError::Start {
            host: self.dir.name().clone(),
            source: InternalError::Start {
                role: Role::Launch.word(),
                source,
            },
        };
        let console = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.console())
            .map_err(start)?;
        let errors = console.try_clone().map_err(start)?;
        let mut launcher = host_process(Role::Launch, &self.dir);
        launcher
            .stdout(console)
            .stderr(errors)
            .status()
            .map_err(start)?;
        Ok(())
    }

    /// `systemctl reboot`; waits until sshd answers again.
    pub fn reboot(&self) -> Result<(), HostError> {
        let before = self.boots()?;
        self.systemctl("reboot")?;
        self.wait("reboot", BOOT_DEADLINE, || Ok(self.boots()? > before))?;
        self.wait_ssh(BOOT_DEADLINE)
    }

    /// `systemctl poweroff`; waits until the host is off. One that is off already is fine.
    pub fn power_off(&self) -> Result<(), HostError> {
        if self.is_running() {
            self.systemctl("poweroff")?;
        }
        self.wait("power off", BOOT_DEADLINE, || self.supervisor_gone())
    }

    /// Kills everything on the host at one instant, as pulling the power cord does: its peers hear
    /// nothing, not even that their connections end.
    ///
    /// What was in memory and on /run and /tmp is gone. Unlike on a machine, files that were written
    /// but not yet synced survive: the page cache is the machine's. One that is off is fine.
    pub fn power_cut(&self) -> Result<(), HostError> {
        let run = self.run()?;
        if self.is_running() {
            let lab = self.dir.lab();
            network::set_cables(&lab.network(), self.bridges, self.index, false)
                .map_err(|source| self.network(source))?;
        }
        // The kernel kills all processes of a namespace with its PID 1.
        let init: Vec<ProcessId> = run.init.into_iter().collect();
        teardown::kill(init).map_err(|source| HostError::PowerOff {
            host: self.dir.name().clone(),
            source,
        })?;
        self.wait("lose its power", BOOT_DEADLINE, || self.supervisor_gone())
    }

    /// Pulls all network cables. Stays so over reboots.
    pub fn unplug(&self) -> Result<(), HostError> {
        self.set_cables(false)
    }

    /// Plugs all network cables in again.
    pub fn plug(&self) -> Result<(), HostError> {
        self.set_cables(true)
    }

    /// Back to a bare root, as a reinstalled machine: all data gone, new machine-id, new SSH host
    /// key (known_hosts of the lab's driver follows). The host is off afterwards.
    pub fn wipe(&self) -> Result<(), HostError> {
        self.wipe_with(None)
    }

    /// As [`Host::wipe`], but sshd keeps its key, as when a site restores it.
    pub fn wipe_keep_key(&self) -> Result<(), HostError> {
        let key = self.dir.upper().join(HOST_KEY);
        let read = |path: PathBuf| {
            fs::read_to_string(&path).map_err(|e| self.state(state::access("read", &path, e)))
        };
        self.wipe_with(Some((read(key.clone())?, read(key.with_extension("pub"))?)))
    }

    fn wipe_with(&self, key: Option<(String, String)>) -> Result<(), HostError> {
        self.power_cut()?;
        let lab = self.dir.lab();
        let _lock = self.lock()?;
        let mut record = self.record()?;
        record.host_key = install(&self.dir, &record, key)?;
        self.dir.write_record(&record).map_err(|e| self.state(e))?;
        ssh_keys::write_known_hosts(lab, self.bridges).map_err(|e| self.key(e))
    }

    fn set_cables(&self, plugged: bool) -> Result<(), HostError> {
        let lab = self.dir.lab();
        let _lock = self.lock()?;
        let mut record = self.record()?;
        record.unplugged = !plugged;
        self.dir.write_record(&record).map_err(|e| self.state(e))?;
        if !self.is_running() {
            return Ok(());
        }
        network::set_cables(&lab.network(), self.bridges, self.index, plugged)
            .map_err(|source| self.network(source))
    }

    fn systemctl(&self, verb: &str) -> Result<(), HostError> {
        // The host may go down before systemctl has said goodbye, so its status says nothing.
        let mut command = self.command("systemctl")?;
        match program::run(command.args(["--no-block", verb])) {
            Err(error @ ProgramError::Start { .. }) => Err(self.program(error)),
            _ => Ok(()),
        }
    }
}
