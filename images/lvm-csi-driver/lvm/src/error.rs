//! What can go wrong, as far as callers must tell it apart.

use crate::device::Device;
use ingot_volume_brain::{Bytes, LvName, VgName};

/// A command that was not carried out, or whose outcome is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LvmError {
    /// It does not fit.
    #[error("volume group {vg} has no room for {wanted}: {reason}")]
    NoSpace {
        /// The group.
        vg: VgName,
        /// What was asked for.
        wanted: Bytes,
        /// What LVM says.
        reason: String,
    },
    /// What it is to be done to does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// The missing thing.
        what: String,
    },
    /// What it is to make exists.
    #[error("{what} exists")]
    Exists {
        /// The present thing.
        what: String,
    },
    /// Somebody has it open.
    #[error("{what} is in use")]
    InUse {
        /// The busy thing.
        what: String,
    },
    /// It can never be done.
    #[error("{what}; {remedy}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// None of the group's devices shows it.
    #[error(
        "volume group {vg} is not on its devices; look at `lsblk -o NAME,SERIAL,FSTYPE` there: a disk may be missing or have another name"
    )]
    GroupMissing {
        /// The group.
        vg: VgName,
    },
    /// The key opens nothing.
    #[error("the key does not open {device}; give the Secret that the volume was made with")]
    WrongKey {
        /// The encrypted device.
        device: Device,
    },
    /// The program failed.
    #[error("{command} failed: {reason}")]
    Failed {
        /// What was run, as text.
        command: String,
        /// Its last words.
        reason: String,
    },
    /// It did not end in its time; nothing else is tried in its line until it does.
    #[error(
        "{lane} is held up: {command} has not ended within {seconds} s; look for a failed disk with `dmesg`"
    )]
    Hung {
        /// The line of commands.
        lane: String,
        /// What hangs.
        command: String,
        /// For how long it was waited.
        seconds: u64,
    },
    /// The simulator was told to die here.
    #[error("the simulated crash")]
    Crashed,
}

impl LvmError {
    /// LVM gives a RAID with integrity no device while a disk of it is missing.
    pub(crate) fn checked_and_incomplete(vg: &VgName, lv: &LvName) -> Self {
        Self::Invalid {
            what: format!(
                "a disk of {vg}/{lv} is missing, and LVM activates a RAID with checksums only whole"
            ),
            remedy: format!(
                "reconnect it; if it is gone for good, run `lvconvert --raidintegrity n {vg}/{lv}`, which gives the checksums up"
            ),
        }
    }

    /// LVM makes and enlarges nothing in a group of which a disk is missing.
    pub(crate) fn incomplete(vg: &VgName) -> Self {
        Self::Invalid {
            what: format!(
                "a disk of volume group {vg} is missing, so LVM makes and enlarges nothing there"
            ),
            remedy: "reconnect it; what to do if it is gone for good stands in the NodePool".into(),
        }
    }
}
