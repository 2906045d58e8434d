//! The disks of a pool: one that the configuration names joins the volume group, one that it does not
//! name any more is told. Nothing is ever taken out of a group here.
//!
//! What is wrong with one disk is that disk's trouble: it is logged once and stands on its object, and
//! the pool goes on with the others.

use super::Agent;
use crate::config::PoolConfig;
use ingot_lvm::{Command, Group, LvmError, Pv};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Pool, and disk as its configuration names it.
type Named = (String, String);

/// What was found out about disks, for those who report it.
#[derive(Debug, Default)]
pub(super) struct Members {
    troubles: Mutex<BTreeMap<Named, String>>,
    changed: Notify,
}

/// What is to be said of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskNote {
    /// The disk, by all that it is called.
    pub names: Vec<String>,
    /// Why it is not used, or not for long.
    pub text: String,
}

impl Members {
    fn troubles(&self) -> MutexGuard<'_, BTreeMap<Named, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is to be said anew.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Keeps what is wrong with a disk, or that nothing is; logs what was not known.
    pub(super) fn found(&self, pool: &str, disk: &str, trouble: Option<String>) {
        let key = (pool.to_owned(), disk.to_owned());
        let before = match &trouble {
            Some(text) => self.troubles().insert(key, text.clone()),
            None => self.troubles().remove(&key),
        };
        if before != trouble {
            if let Some(text) = &trouble {
                eprintln!("pool {pool}: {disk}: {text}; the pool goes on without it");
            }
            self.changed();
        }
    }
}

/// The disks that a pool is configured with.
fn configured(pool: &PoolConfig) -> impl Iterator<Item = &String> {
    pool.devices.iter().chain(&pool.serials)
}

/// The disks that the group has and the configuration does not name.
fn strays<'a>(pool: &'a PoolConfig, group: &'a Group) -> impl Iterator<Item = &'a Pv> {
    let named =
        |pv: &Pv| configured(pool).any(|name| *name == pv.device || pv.names.contains(name));
    // One that is not there has no names to tell it by; that it is missing is told of the pool.
    group.pvs.iter().filter(move |pv| !pv.missing && !named(pv))
}

/// What the disks are called that a group lacks: LVM knows no more than its own identity of them.
pub(crate) fn missing(pool: &PoolConfig, group: &Group) -> Vec<String> {
    let lacking: Vec<&Pv> = group.pvs.iter().filter(|pv| pv.missing).collect();
    let unseen: Vec<&String> = configured(pool)
        .filter(|name| group.pv(name).is_none())
        .collect();
    match unseen.len() == lacking.len() {
        true => unseen.into_iter().cloned().collect(),
        false => lacking.into_iter().map(|pv| pv.uuid.clone()).collect(),
    }
}

/// Why nothing can be written to a group.
pub(crate) fn protected(group: &Group) -> Option<String> {
    let pv = group.pvs.iter().find(|pv| pv.read_only && !pv.missing)?;
    Some(format!(
        "disk {} of volume group {} takes no writes; look at its switch, and at `dmesg` for what the kernel says of it",
        pv.names.first().unwrap_or(&pv.device),
        group.vg
    ))
}

/// Why nothing can be made in a group of which these disks are missing.
pub(super) fn incomplete(pool: &PoolConfig, missing: &[String]) -> Option<String> {
    let vg = &pool.volume_group;
    let disks = match missing {
        [] => return None,
        [one] => format!("disk {one} of volume group {vg} is"),
        more => format!("disks {} of volume group {vg} are", more.join(", ")),
    };
    Some(format!(
        "{disks} missing, and LVM makes and enlarges nothing in the group meanwhile; reconnect what is missing, or if it is gone for good, mend RAID volumes with `lvconvert --repair` and give up what lay on it alone with `vgreduce --removemissing --force {vg}`"
    ))
}

impl Agent {
    /// Makes the configured disks part of the group that are not. Whoever calls holds the gate.
    pub(super) async fn join_disks(&self, pool: &PoolConfig, group: Group) -> Group {
        let vg = &pool.volume_group;
        let mut now = group;
        for disk in configured(pool) {
            let trouble = match now.pv(disk) {
                Some(_) => None,
                None => self.join(pool, disk).await.err(),
            };
            let trouble = trouble.map(|error| error.to_string());
            self.members.found(&pool.name, disk, trouble);
            if let Ok(read) = self.inventory.group(vg).await {
                now = read;
            }
        }
        now
    }

    async fn join(&self, pool: &PoolConfig, disk: &str) -> Result<(), LvmError> {
        let vg = &pool.volume_group;
        let extend = Command::ExtendGroup {
            vg: vg.clone(),
            disk: disk.to_owned(),
        };
        match self.inventory.change_and_read(vg, extend).await {
            Ok(()) => {
                eprintln!(
                    "pool {}: {disk} is part of volume group {vg} now",
                    pool.name
                );
                self.members.changed();
                Ok(())
            }
            // LVM knows it by another name.
            Err(LvmError::Exists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Logs which disks the group has that nobody has configured.
    pub(super) fn log_strays(pool: &PoolConfig, group: &Group) {
        for pv in strays(pool, group) {
            let name = pv.names.first().unwrap_or(&pv.device);
            eprintln!("{name}: {}", stray(pool, pv));
        }
    }

    /// What is to be said of disks beside what the kernel knows. Reads no disk.
    pub async fn disk_notes(&self) -> Vec<DiskNote> {
        let mut notes = Vec::new();
        for pool in &self.config.pools {
            let Ok(group) = self.inventory.group(&pool.volume_group).await else {
                continue;
            };
            let group_of = (pool.name.clone(), pool.volume_group.to_string());
            let trouble = self.members.troubles().get(&group_of).cloned();
            for (pv, lv) in group.reserves() {
                let done = 100 - lv.size.0.saturating_mul(100) / pv.size.0.max(1);
                let progress = || {
                    format!(
                        "what it held is being overwritten before pool {} uses it: {done} % done",
                        pool.name
                    )
                };
                notes.push(DiskNote {
                    names: names(pv),
                    text: trouble.clone().unwrap_or_else(progress),
                });
            }
            for pv in strays(pool, &group) {
                notes.push(DiskNote {
                    names: names(pv),
                    text: stray(pool, pv),
                });
            }
        }
        let group = |name: &str| {
            self.config
                .pools
                .iter()
                .any(|p| p.volume_group.as_str() == name)
        };
        for ((_, disk), text) in &*self.members.troubles() {
            if group(disk) {
                continue;
            }
            notes.push(DiskNote {
                names: vec![disk.clone()],
                text: text.clone(),
            });
        }
        notes
    }

    /// Waits until there may be something new to be said of a disk.
    pub async fn disk_notes_changed(&self) {
        self.members.changed.notified().await;
    }
}

fn names(pv: &Pv) -> Vec<String> {
    let device = std::iter::once(pv.device.clone());
    device.chain(pv.names.iter().cloned()).collect()
}

fn stray(pool: &PoolConfig, pv: &Pv) -> String {
    let (vg, device) = (&pool.volume_group, &pv.device);
    format!(
        "pool {} does not name it any more, but volume group {vg} has it and uses it; name it again, or take it out with `pvmove {device}` and `vgreduce {vg} {device}`",
        pool.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_volume_brain::{Bytes, VgName};

    fn pool() -> PoolConfig {
        PoolConfig {
            name: "data".into(),
            volume_group: VgName::new("vg").expect("a name"),
            devices: vec!["/dev/disk/by-id/a".into(), "/dev/disk/by-id/b".into()],
            serials: vec!["S3".into()],
            unstable_names: false,
            thin: None,
            erase: true,
        }
    }

    fn pv(device: &str, names: &[&str], missing: bool) -> Pv {
        Pv {
            device: device.into(),
            uuid: device.into(),
            names: names.iter().map(ToString::to_string).collect(),
            size: Bytes::gib(1),
            free: Bytes::gib(1),
            pieces: 1,
            missing,
            read_only: false,
            erased: true,
        }
    }

    #[test]
    fn disks_are_compared_by_all_their_names() {
        let group = Group {
            vg: VgName::new("vg").expect("a name"),
            tags: Vec::new(),
            extent: Bytes::mib(4),
            pvs: vec![
                pv("/dev/sda", &["/dev/disk/by-id/a", "S1"], false),
                pv("/dev/sdc", &["S3"], false),
                pv("/dev/sdd", &["/dev/disk/by-id/d", "S4"], false),
                pv("[unknown]", &[], true),
            ],
            lvs: Vec::new(),
        };
        let pool = pool();
        let lacking = configured(&pool).filter(|name| group.pv(name).is_none());
        assert_eq!(lacking.collect::<Vec<_>>(), ["/dev/disk/by-id/b"]);
        let strays: Vec<&str> = strays(&pool, &group).map(|pv| pv.device.as_str()).collect();
        assert_eq!(strays, ["/dev/sdd"]);
    }

    #[test]
    fn missing_disks_are_called_what_the_configuration_calls_them() {
        let group = |pvs| Group {
            vg: VgName::new("vg").expect("a name"),
            tags: Vec::new(),
            extent: Bytes::mib(4),
            pvs,
            lvs: Vec::new(),
        };
        let (a, gone) = (
            pv("/dev/sda", &["/dev/disk/by-id/a", "S3"], false),
            pv("[unknown]", &[], true),
        );
        let whole = group(vec![
            a.clone(),
            pv("/dev/sdb", &["/dev/disk/by-id/b"], false),
        ]);
        assert_eq!(incomplete(&pool(), &missing(&pool(), &whole)), None);
        let one = group(vec![a.clone(), gone.clone()]);
        assert_eq!(missing(&pool(), &one), ["/dev/disk/by-id/b"]);
        let text = incomplete(&pool(), &missing(&pool(), &one)).expect("a trouble");
        assert!(
            text.starts_with("disk /dev/disk/by-id/b of volume group vg is missing, and LVM"),
            "{text}"
        );
        // One of those that are not there may never have been part of the group.
        let either = group(vec![pv("/dev/sda", &["/dev/disk/by-id/a"], false), gone]);
        assert_eq!(missing(&pool(), &either), ["[unknown]"]);
    }
}
