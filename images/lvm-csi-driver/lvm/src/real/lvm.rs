//! Runs LVM and reads what it says when it refuses.

use super::program::{Answer, End, Program};
use super::report;
use super::tool::Tool;
use super::{Real, arguments};
use crate::backend::Reply;
use crate::command::Command;
use crate::error::LvmError;
use crate::group::Group;
use ingot_volume_brain::{Bytes, VgName};

impl Real {
    pub(super) fn start(&self, vg: &VgName, command: &Command) -> Result<Answer, LvmError> {
        self.start_with(vg, command, &[])
    }

    fn start_with(
        &self,
        vg: &VgName,
        command: &Command,
        further: &[String],
    ) -> Result<Answer, LvmError> {
        let hold = &self.group(vg)?.hold;
        let devices = self.devices(vg)?;
        // A device that is gone is left out: naming it would be an error, and the group is to be
        // seen as far as it is there.
        let strays = self.group(vg)?.strays().clone();
        let there: Vec<&str> = devices
            .iter()
            .chain(&strays)
            .map(String::as_str)
            .filter(|device| std::fs::metadata(device).is_ok())
            .collect();
        if there.is_empty() {
            return Err(LvmError::GroupMissing { vg: vg.clone() });
        }
        let words = arguments(command).unwrap_or_default();
        let mut program = Program::new(Tool::Lvm)
            .args(words)
            .args(further)
            .sharing(hold.share()?)
            .when_orphaned(End::Asked);
        if matches!(command, Command::CreateGroup { .. }) {
            program = program.args(&devices);
        }
        program.arg("--devices").arg(there.join(",")).output()
    }

    pub(super) fn lvm(&self, vg: &VgName, command: &Command) -> Result<Reply, LvmError> {
        self.lvm_with(vg, command, &[])
    }

    /// The same with further words, such as the disks to use.
    pub(super) fn lvm_with(
        &self,
        vg: &VgName,
        command: &Command,
        further: &[String],
    ) -> Result<Reply, LvmError> {
        let answer = self.start_with(vg, command, further)?;
        match answer.code {
            Some(0) => Ok(Reply::Done),
            _ => Err(refusal(vg, command, &answer)),
        }
    }

    /// A group as LVM tells of it.
    pub(super) fn report(&self, vg: &VgName) -> Result<Group, LvmError> {
        let command = Command::Scan(vg.clone());
        let answer = self.start(vg, &command)?;
        if answer.code != Some(0) {
            return Err(refusal(vg, &command, &answer));
        }
        report::group(vg, &answer.stdout)
    }

    pub(super) fn create_group(&self, vg: &VgName, tag: &str) -> Result<Reply, LvmError> {
        self.empty_disks(vg)?;
        let command = Command::CreateGroup {
            vg: vg.clone(),
            tag: tag.to_owned(),
        };
        self.lvm(vg, &command)
    }
}

/// What LVM's words mean. It has one exit code for all of it.
pub(super) fn refusal(vg: &VgName, command: &Command, answer: &Answer) -> LvmError {
    let text = &answer.stderr;
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let wanted = match command {
        Command::Create(new) => new.size,
        Command::CreatePool { size, .. }
        | Command::Extend { size, .. }
        | Command::ExtendMetadata { size, .. } => *size,
        _ => Bytes::ZERO,
    };
    // What is free is in pieces that are too small for the checksums of an image, which lie in one.
    if says(&["Integrity metadata uses more than one segment"]) {
        return LvmError::NoSpace {
            vg: vg.clone(),
            wanted,
            reason: "what is free lies in pieces that are too small for its checksums; ask for less, add a disk, or take a class without integrity".into(),
        };
    }
    if says(&[
        "nsufficient free space",
        "nsufficient suitable",
        "nsufficient extents",
    ]) {
        return LvmError::NoSpace {
            vg: vg.clone(),
            wanted,
            reason: text.trim().to_owned(),
        };
    }
    if says(&["Volume group \"", "Cannot process volume group"]) && text.contains("not found") {
        return LvmError::GroupMissing { vg: vg.clone() };
    }
    if let Command::Activate { vg, lv } = command
        && says(&["Integrity must be removed before"])
    {
        return LvmError::checked_and_incomplete(vg, lv);
    }
    if says(&["while PVs are missing"]) {
        return LvmError::incomplete(vg);
    }
    if says(&["already exists"]) {
        return LvmError::Exists {
            what: command.name(),
        };
    }
    if says(&["Failed to find logical volume", "not found"]) {
        return LvmError::NotFound {
            what: format!("what {} is about", command.name()),
        };
    }
    if says(&[
        "in use",
        "is used by another device",
        "contains a filesystem in use",
    ]) {
        return LvmError::InUse {
            what: command.name(),
        };
    }
    answer.failed()
}
