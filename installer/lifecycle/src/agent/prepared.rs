//! What the site had prepared before the first change to a host: which disks were mounted on directories of
//! ours, and which of these were links to empty directories elsewhere. A reset empties both and leaves mounts and
//! links; whatever was mounted or linked later is not ours.
//!
//! The record is written once, before the first change, and says for which node of which cluster.

use super::reset::files;
use crate::paths;
use ingot_deletion::{Mount, MountTable};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the record's format.
const VERSION: u32 = 1;

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    /// Version of this record.
    pub format_version: u32,
    /// The cluster the host is prepared for.
    pub cluster: String,
    /// The node it is to become.
    pub node: String,
    /// What was mounted on directories of ours, and on those that links led to.
    pub mounts: Vec<PreparedMount>,
    /// Links in place of directories of ours. A record of older programs has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PreparedLink>,
}

/// A link that was there before us and led to an empty directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreparedLink {
    /// The directory of ours.
    pub path: PathBuf,
    /// The directory that it led to, without further links.
    pub directory: PathBuf,
}

/// A mount that was there before us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreparedMount {
    /// The directory of ours.
    pub path: PathBuf,
    /// What was mounted there.
    pub source: String,
    /// The part of the file system, `/` for all of it.
    pub root: PathBuf,
    /// The type of the file system.
    pub filesystem: String,
    /// The UUID of the file system, where it has one: names of disks change between boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

impl Prepared {
    /// Reads the record; `None`, if there is none.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    pub fn read() -> Result<Option<Self>, String> {
        let refuse = |why: String| format!("cannot read {}: {why}", paths::PREPARED);
        match std::fs::read(paths::PREPARED) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refuse(error.to_string())),
            Ok(json) => {
                let record: Self =
                    serde_json::from_slice(&json).map_err(|error| refuse(error.to_string()))?;
                if record.format_version > VERSION {
                    return Err(refuse(format!(
                        "it has format {}, this program knows {VERSION}; use the newer program",
                        record.format_version
                    )));
                }
                Ok(Some(record))
            }
        }
    }

    /// What the site has prepared on a host that was not changed yet; for no node.
    ///
    /// # Errors
    /// In words, when the list of mounts cannot be read.
    pub fn of_now(root: &Path) -> Result<Self, String> {
        let links = files::links(root);
        let table = MountTable::of_this_process()
            .map_err(|error| format!("cannot read the list of mounts: {error}"))?;
        Ok(Self {
            mounts: mounted(&table, &links),
            links,
            ..Self::default()
        })
    }

    /// Writes the record for a node, if there is none yet.
    ///
    /// # Errors
    /// In words, when the host refuses.
    pub fn record(cluster: &str, node: &str) -> Result<(), String> {
        if Self::read()?.is_some() {
            return Ok(());
        }
        // A host that was changed by a program that kept no record: what is there now may have come later.
        let found = match Path::new(paths::JOURNAL).exists() {
            true => Self::default(),
            false => Self::of_now(Path::new("/"))?,
        };
        let record = Self {
            format_version: VERSION,
            cluster: cluster.into(),
            node: node.into(),
            ..found
        };
        let json = serde_json::to_vec_pretty(&record).map_err(|error| error.to_string())?;
        let at = Path::new(paths::PREPARED);
        if let Some(parent) = at.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| format!("cannot create {}: {error}", parent.display()))?;
        }
        ingot_engine::resource::write_atomically(at, |_, file| {
            std::io::Write::write_all(file, &json)
        })
        .map_err(|error| format!("cannot write {}: {error}", paths::PREPARED))
    }

    /// Whether a link in place of our directory `path`, which leads to that directory now, did so before us.
    pub fn linked(&self, path: &Path, leads_to: &Path) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.path == path && link.directory == leads_to)
    }

    /// Whether `mount` on our directory `path` is one that was there before us.
    pub fn holds(&self, path: &Path, mount: &Mount) -> bool {
        let found = described(path, mount);
        self.mounts.iter().any(|known| {
            let same = match (&known.uuid, &found.uuid) {
                (Some(known), Some(found)) => known == found,
                _ => known.source == found.source,
            };
            same && known.path == found.path
                && known.root == found.root
                && known.filesystem == found.filesystem
        })
    }
}

/// What is mounted on directories of ours, and on those that links lead to.
fn mounted(table: &MountTable, links: &[PreparedLink]) -> Vec<PreparedMount> {
    let directories = files::directories();
    let linked = links.iter().map(|link| &link.directory);
    directories
        .iter()
        .chain(linked)
        .filter_map(|path| {
            let resolved = path.parent().and_then(|above| {
                let above = std::fs::canonicalize(above).ok()?;
                Some(above.join(path.file_name()?))
            });
            Some(described(path, table.at(&resolved?)?))
        })
        .collect()
}

fn described(path: &Path, mount: &Mount) -> PreparedMount {
    PreparedMount {
        path: path.into(),
        source: mount.source.clone(),
        root: mount.root.clone(),
        filesystem: mount.filesystem.clone(),
        uuid: uuid(&mount.source),
    }
}

/// The UUID of the file system on a device, as udev has it.
fn uuid(source: &str) -> Option<String> {
    let device = std::fs::canonicalize(source).ok()?;
    let all = std::fs::read_dir("/dev/disk/by-uuid").ok()?;
    all.flatten()
        .find(|entry| std::fs::canonicalize(entry.path()).is_ok_and(|path| path == device))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_known_by_its_place_and_by_what_is_mounted() {
        let table = |source: &str, root: &str| {
            let line = format!("5 1 8:1 {root} /var/lib/etcd rw - ext4 {source} rw\n");
            MountTable::parse(line.as_bytes())
        };
        let etcd = Path::new("/var/lib/etcd");
        let record = Prepared {
            mounts: vec![described(etcd, table("/dev/sdb1", "/").at(etcd).unwrap())],
            ..Prepared::default()
        };
        let holds = |source, root| record.holds(etcd, table(source, root).at(etcd).unwrap());
        assert!(holds("/dev/sdb1", "/"));
        assert!(!holds("/dev/sdc1", "/"), "another disk");
        assert!(!holds("/dev/sdb1", "/other"), "another part of it");
        let elsewhere = Path::new("/var/lib/kubelet");
        assert!(!record.holds(elsewhere, table("/dev/sdb1", "/").at(etcd).unwrap()));
    }
}
