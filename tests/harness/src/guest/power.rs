//! A guest's power: on, off, again, and cut.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::json;

use super::machine::Machine;
use super::monitor::Monitor;
use super::session::Session;
use super::{Guest, GuestError, deadline};
use crate::state;

/// The kernel draws a new one at every boot.
const BOOT_ID: &[&str] = &["cat", "/proc/sys/kernel/random/boot_id"];

impl Guest {
    /// Powers on and waits until the guest can be worked with: sshd lets us in and udev has seen all
    /// disks. One that is on already is left alone.
    pub fn power_on(&self) -> Result<(), GuestError> {
        self.start()?;
        self.wait_ssh(self.spec.deadline)
    }

    /// Powers on and returns at once, for a boot that is to be disturbed.
    pub fn start(&self) -> Result<(), GuestError> {
        let mut now = self.now();
        let now = &mut *now;
        if now
            .machine
            .as_mut()
            .is_some_and(|machine| machine.ended().is_none())
        {
            return Ok(());
        }
        now.session = None;
        let machine = Machine::start(&self.dir, &self.spec, &self.image, &self.wire, &now.disks)?;
        let ssh = machine.ssh;
        now.machine = Some(machine);
        if self.dir.lab().is_none() {
            let line = format!("[{}]:{} {}\n", ssh.ip(), ssh.port(), self.record.host_key);
            state::write_file(&self.dir.driver().join("known_hosts"), &line)
                .map_err(|source| GuestError::state(self.dir.name(), source))?;
        }
        Ok(())
    }

    /// Waits until the guest can be worked with, or turns out to be off, or the time is up.
    pub fn wait_ssh(&self, within: Duration) -> Result<(), GuestError> {
        let end = Instant::now() + within;
        while !self.ssh_greets()? {
            if Instant::now() >= end {
                return Err(deadline(&self.dir, "answer on the SSH port", within));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.ensure_session(end.saturating_duration_since(Instant::now()))?;
        self.run(&["udevadm", "settle", "--timeout=120"]).map(drop)
    }

    /// Whether the guest has power.
    pub fn is_running(&self) -> bool {
        let mut now = self.now();
        now.machine
            .as_mut()
            .is_some_and(|machine| machine.ended().is_none())
    }

    /// Identity of the current boot: another one after a reboot.
    pub fn boot_id(&self) -> Result<String, GuestError> {
        let output = self.run(BOOT_ID)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// `systemctl reboot`; waits until the guest can be worked with again.
    pub fn reboot(&self) -> Result<(), GuestError> {
        let end = Instant::now() + self.spec.deadline;
        let before = self.on_monitor(Monitor::resets)?;
        self.systemctl("reboot")?;
        while self.on_monitor(Monitor::resets)? == before {
            if Instant::now() >= end {
                return Err(deadline(&self.dir, "reboot", self.spec.deadline));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Its other end has forgotten the connection.
        self.now().session = None;
        self.wait_ssh(end.saturating_duration_since(Instant::now()))
    }

    /// `systemctl poweroff`; waits until the guest is off. One that is off already is fine.
    pub fn power_off(&self) -> Result<(), GuestError> {
        if !self.is_running() {
            return Ok(());
        }
        self.systemctl("poweroff")?;
        let end = Instant::now() + self.spec.deadline;
        while self.is_running() {
            if Instant::now() >= end {
                return Err(deadline(&self.dir, "power off", self.spec.deadline));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.forget_machine();
        Ok(())
    }

    /// Cuts the power: the guest executes no further instruction, and its peers hear nothing.
    ///
    /// What was in its memory is gone, its page cache included. What it had written to a disk and
    /// then flushed (fsync, FUA, a journal commit) stays. What it had written but not flushed is lost
    /// where the disk had never been written before, in clusters of 64 KiB, and stays where it had:
    /// as with a drive whose cache has no battery, a program may rely on neither. One that is off is
    /// fine.
    pub fn power_cut(&self) -> Result<(), GuestError> {
        self.forget_machine();
        Ok(())
    }

    /// Pulls all network cables. Stays so over reboots, but not over a time without power.
    pub fn unplug(&self) -> Result<(), GuestError> {
        self.set_cables(false)
    }

    /// Plugs all network cables in again.
    pub fn plug(&self) -> Result<(), GuestError> {
        self.set_cables(true)
    }

    fn set_cables(&self, plugged: bool) -> Result<(), GuestError> {
        let cards = self.wire.cards().len();
        self.on_monitor(|monitor| {
            for card in 0..cards {
                let link = json!({"name": format!("card{card}"), "up": plugged});
                monitor.run("set_link", link)?;
            }
            Ok(())
        })
    }

    fn systemctl(&self, verb: &str) -> Result<(), GuestError> {
        // The guest may go down before systemctl has said goodbye.
        match self.run(&["systemctl", "--no-block", verb]) {
            Ok(_) | Err(GuestError::Lost { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The machine before the session: what dies first must not be able to say goodbye.
    fn forget_machine(&self) {
        let mut now = self.now();
        if let Some(mut machine) = now.machine.take() {
            machine.kill();
        }
        now.session = None;
    }

    /// Opens the connection that commands share, unless it is open.
    pub(super) fn ensure_session(&self, within: Duration) -> Result<(), GuestError> {
        let mut now = self.now();
        if now
            .session
            .as_mut()
            .is_some_and(|session| !session.has_ended())
        {
            return Ok(());
        }
        let ssh = now.machine.as_ref().ok_or_else(|| self.off())?.ssh;
        now.session = Some(Session::open(&self.dir, &self.wire, ssh, within)?);
        Ok(())
    }

    fn ssh_greets(&self) -> Result<bool, GuestError> {
        if !self.is_running() {
            return Err(self.off());
        }
        let ssh = self.ssh_address()?;
        let opened = self.wire.open(ssh);
        let opened = opened.map_err(|source| GuestError::network(self.dir.name(), source))?;
        // QEMU's user-mode network accepts before it knows whether the guest does.
        let mut start = [0; 4];
        let read = opened.and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.read_exact(&mut start)
        });
        Ok(read.is_ok() && start == *b"SSH-")
    }
}
