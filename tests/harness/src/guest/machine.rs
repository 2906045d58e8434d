//! The QEMU process of a guest that is on.
//!
//! Everything is emulated in software: the harness runs where KVM does not.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::json;

use super::directory::{ARGV0, GuestDir};
use super::disk::{self, Disk};
use super::error::GuestError;
use super::image::Image;
use super::monitor::{self, Monitor, MonitorError};
use super::spec::GuestSpec;
use super::wire::Wire;
use crate::state;

/// The root disk's name in QEMU, its file, and its serial number.
pub(super) const ROOT: &str = "root";

/// `noinit_itable`: the disk is new and sparse, and zeroing its inode tables would fill it.
const KERNEL_ARGUMENTS: &str = "root=/dev/vda rw rootfstype=ext4 rootflags=noinit_itable \
     console=ttyS0 quiet systemd.show_status=yes net.ifnames=0 mitigations=off random.trust_cpu=on panic=-1";

/// A QEMU that runs.
#[derive(Debug)]
pub(super) struct Machine {
    qemu: Child,
    pub(super) monitor: Monitor,
    /// Where sshd answers, or will.
    pub(super) ssh: SocketAddr,
}

impl Machine {
    /// Powers on: the guest's firmware runs when this returns.
    pub(super) fn start(
        dir: &GuestDir,
        spec: &GuestSpec,
        image: &Image,
        wire: &Wire,
        disks: &[Disk],
    ) -> Result<Machine, GuestError> {
        let name = dir.name();
        let state = |source| GuestError::state(name, source);
        let socket = dir.path().join(monitor::SOCKET);
        let _ = fs::remove_file(&socket);
        let log_path = dir.path().join("qemu.log");
        let log =
            fs::File::create(&log_path).map_err(|e| state(state::access("write", &log_path, e)))?;
        let ssh = wire
            .choose_ssh_address()
            .map_err(|e| state(state::access("find a free port for", dir.path(), e)))?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .arg0(ARGV0)
            .args(["-name", &name.to_string(), "-S", "-M", "q35"])
            .args(["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"])
            .args([
                "-smp",
                &spec.cpus.to_string(),
                "-m",
                &spec.memory_mib.to_string(),
            ])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-kernel")
            .arg(image.kernel())
            .arg("-initrd")
            .arg(dir.path().join("initrd"))
            .args(["-append", KERNEL_ARGUMENTS])
            .args(["-chardev", "file,id=console,path=console.log,append=on"])
            .args(["-serial", "chardev:console"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", monitor::SOCKET))
            .args([
                "-device",
                "virtio-rng-pci",
                "-device",
                "virtio-scsi-pci,id=scsi",
            ])
            .arg("-blockdev")
            .arg(root_disk())
            .args([
                "-device",
                &format!("virtio-blk-pci,drive={ROOT},serial={ROOT}"),
            ])
            .args(wire.arguments(ssh))
            .current_dir(dir.path())
            // A group of its own: an interrupt typed at the terminal is for us, not for the guest.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        wire.enter(&mut command)
            .map_err(|source| GuestError::network(name, source))?;
        let mut qemu = command.spawn().map_err(|source| {
            let command = "qemu-system-x86_64".to_owned();
            GuestError::program(
                name,
                crate::program::ProgramError::Start { command, source },
            )
        })?;
        let connected = Monitor::connect(dir.path(), || matches!(qemu.try_wait(), Ok(None)));
        let mut machine = match connected {
            Ok(monitor) => Machine { qemu, monitor, ssh },
            Err(source) => {
                // What QEMU says about itself tells more than that it does not answer.
                let _ = qemu.kill();
                return Err(match qemu.wait() {
                    Ok(status) => GuestError::Qemu {
                        guest: name.clone(),
                        status,
                        stderr: fs::read_to_string(&log_path).unwrap_or_default(),
                    },
                    Err(_) => GuestError::monitor(name, source),
                });
            }
        };
        let begun = machine
            .begin(disks)
            .map_err(|source| GuestError::monitor(name, source));
        let begun = begun.and_then(|()| {
            wire.connect()
                .map_err(|source| GuestError::network(name, source))?;
            let resumed = machine.monitor.run("cont", json!({}));
            resumed.map_err(|source| GuestError::monitor(name, source))
        });
        if let Err(error) = begun {
            machine.kill();
            return Err(error);
        }
        Ok(machine)
    }

    /// What a machine has before its firmware starts.
    fn begin(&mut self, disks: &[Disk]) -> Result<(), MonitorError> {
        for disk in disks {
            if let Some(slot) = disk.slot {
                disk.plug(&mut self.monitor, slot)?;
            }
        }
        Ok(())
    }

    /// Whether it has power; how it ended, if it has none any more.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.qemu.try_wait().ok().flatten()
    }

    /// Pulls the power cord.
    pub(super) fn kill(&mut self) {
        // One that has ended by itself is fine.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A layer over the image, with the same properties as a data disk.
fn root_disk() -> String {
    json!({
        "driver": "qcow2", "node-name": ROOT, "discard": "unmap", "cache": disk::cache(),
        "file": {
            "driver": "file", "filename": format!("{ROOT}.qcow2"),
            "discard": "unmap", "cache": disk::cache(),
        },
    })
    .to_string()
}
