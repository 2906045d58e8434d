//! Snapshots of several volumes at one instant.
//!
//! All of them are suspended first; from then on none takes a write that another could miss. LVM
//! takes each snapshot and lets its volume go on after it, which is no breach: what is written to a
//! volume then is in no snapshot, since those to come are of volumes that are suspended still.
//!
//! Pods stand still meanwhile, so it is bounded, and no death of ours may leave them so: a guardian,
//! a process of its own, resumes everything when its time is over or when we are gone. Should it be
//! killed as well, the next agent resumes what it finds ([`Real::resume`]).

use super::Real;
use super::program::Program;
use crate::backend::Reply;
use crate::command::{Command, NewCopy};
use crate::device::Device;
use crate::error::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

/// Pods stand still for so long at most. Shorter than the deadline of a command.
const SECONDS: u32 = 20;

/// Waits for the end of its input or of its time. Each volume apart: one that hangs keeps no other.
const GUARD: &str = r#"
trap '' TERM HUP INT
timeout --signal=KILL "$1" cat > /dev/null
ended=$?
shift
for name; do dmsetup resume --noudevsync "$name" & done
wait
exit $ended
"#;

/// Resumes the devices when dropped, or when we die.
struct Guardian {
    child: Child,
}

impl Guardian {
    fn over(names: &[String]) -> Result<Self, LvmError> {
        let child = std::process::Command::new("setsid")
            .args(["sh", "-c", GUARD, "guardian", &SECONDS.to_string()])
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Ok(Self { child }),
            Err(error) => Err(failed(format!("setsid cannot be started: {error}"))),
        }
    }

    /// Lets the devices go on. An error if they went on before.
    fn release(mut self) -> Result<(), LvmError> {
        drop(self.child.stdin.take());
        let ended = self.child.wait();
        let ended = ended.map_err(|error| failed(format!("its guardian is lost: {error}")))?;
        if ended.success() {
            return Ok(());
        }
        Err(failed(format!(
            "it took longer than {SECONDS} s, for which pods stand still at most; take the group apart, or look at `dmesg` for a slow disk"
        )))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn failed(reason: String) -> LvmError {
    LvmError::Failed {
        command: "snapshots at one instant".into(),
        reason,
    }
}

/// The name of a volume for device-mapper, which divides by one hyphen and doubles the others.
fn mapped(vg: &VgName, lv: &LvName) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("{}-{}", doubled(vg.as_str()), doubled(lv.as_str()))
}

impl Real {
    pub(super) fn copy_together(&self, vg: &VgName, copies: &[NewCopy]) -> Result<Reply, LvmError> {
        let views = copies.iter().map(|c| Device::lv(vg, &c.source).mapping());
        let volumes = copies.iter().map(|c| mapped(vg, &c.source));
        // What nobody has open has no device. A decrypted view first: it has the filesystem.
        let names: Vec<String> = views
            .chain(volumes)
            .filter(|name| Path::new("/dev/mapper").join(name).exists())
            .collect();
        let guardian = Guardian::over(&names)?;
        let mut made = Vec::new();
        let mut taken = self.take_all(vg, copies, &names, &mut made);
        let released = guardian.release();
        taken = taken.and(released);
        if taken.is_err() {
            for lv in made {
                // What is left is found by its tags.
                let vg = vg.clone();
                let _ = self.lvm(&vg.clone(), &Command::Remove { vg, lv });
            }
        }
        taken.map(|()| Reply::Done)
    }

    fn take_all(
        &self,
        vg: &VgName,
        copies: &[NewCopy],
        names: &[String],
        made: &mut Vec<LvName>,
    ) -> Result<(), LvmError> {
        for name in names {
            Program::new("dmsetup").args(["suspend", name]).run()?;
        }
        for NewCopy { source, lv, tags } in copies {
            let copy = Command::Copy {
                vg: vg.clone(),
                source: source.clone(),
                lv: lv.clone(),
                read_only: true,
                tags: tags.clone(),
            };
            self.lvm(vg, &copy)?;
            made.push(lv.clone());
        }
        Ok(())
    }

    /// Lets suspended devices of a group go on, by the tables that LVM's metadata says.
    pub(super) fn resume(&self, vg: &VgName) -> Result<Reply, LvmError> {
        let Ok(folder) = fs::read_dir("/sys/block") else {
            return Ok(Reply::Done);
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let suspended: Vec<String> = folder
            .filter_map(|entry| Some(entry.ok()?.path().join("dm")))
            .filter(|dm| read(&dm.join("suspended")).trim() == "1")
            .map(|dm| read(&dm.join("name")).trim().to_owned())
            .collect();
        let ours = format!("{}-", vg.as_str().replace('-', "--"));
        let inside =
            |name: &&String| name.starts_with(&ours) && !name[ours.len()..].starts_with('-');
        if suspended.iter().any(|name| inside(&name)) {
            self.lvm(vg, &Command::Resume(vg.clone()))?;
        }
        // Decrypted and read-only views are not LVM's; which group they are of is no matter.
        for name in suspended.iter().filter(|name| name.starts_with("ingot-")) {
            if !inside(&name) {
                Program::new("dmsetup").args(["resume", name]).run()?;
            }
        }
        Ok(Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_device_mapper_double_their_hyphens() {
        let vg = VgName::new("ingot-thin").expect("a name");
        let lv = LvName::new("a-b").expect("a name");
        assert_eq!(mapped(&vg, &lv), "ingot--thin-a--b");
    }
}
