//! `archive`: the files of an OCI artifact layer (tar, zstd-compressed) unpacked into a directory.
//!
//! The directory belongs to the archive alone. A record beside the files lists what was unpacked, so
//! that drift of any one file is found without unpacking again.

use super::{Kind, ResourceError, Status, absolute, io, removal};
use crate::change::Change;
use crate::journal::Saved;
use crate::resource::write_atomically;
use crate::system::System;
use crate::undo::UndoStep;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An unpacked OCI layer (OCI image spec 1.1, `application/vnd.oci.image.layer.v1.tar+zstd`).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The digest of the compressed layer in the blob store, `sha256:<hex>`.
    pub digest: String,
    /// The directory it fills.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
}

const RECORD: &str = ".ingot-archive.json";

/// What was unpacked.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    version: u32,
    digest: String,
    files: BTreeMap<PathBuf, Entry>,
}

/// The attributes of an unpacked file that show a change without reading it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    mode: u32,
    modified: i64,
}

impl Entry {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            size: meta.size(),
            mode: meta.mode() & 0o7777,
            modified: meta.mtime(),
        }
    }
}

impl Kind for Archive {
    fn target(&self) -> String {
        format!("archive {}", self.path.display())
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let at = system.path(&self.path);
        let wanted = self.digest.clone();
        let record = match std::fs::read(at.join(RECORD)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Status::Drifted(vec![Change::create("digest", wanted)]));
            }
            Err(error) => return Err(io("read", &self.path)(error)),
            Ok(bytes) => serde_json::from_slice::<Record>(&bytes).unwrap_or_default(),
        };
        if record.digest != self.digest {
            return Ok(Status::Drifted(vec![Change::new(
                "digest",
                record.digest,
                wanted,
            )]));
        }
        let mut changes = Vec::new();
        for (name, entry) in &record.files {
            let attribute = name.display().to_string();
            match std::fs::symlink_metadata(at.join(name)) {
                Err(_) => changes.push(Change::create(&attribute, "unpacked")),
                Ok(meta) if Entry::of(&meta) != *entry => {
                    changes.push(Change::new(&attribute, "modified", "as unpacked"))
                }
                Ok(_) => {}
            }
        }
        Ok(Status::from_changes(changes))
    }

    fn way_back(&self, _system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        Ok(vec![UndoStep::RemoveTree {
            path: self.path.clone(),
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let at = system.path(&self.path);
        let blob = system
            .blobs
            .open(&self.digest)
            .map_err(io("open the blob for", &self.path))?;
        // A mount in the old directory would move with it.
        removal::refuse_mounts(system, &self.path)?;
        // Unpacked beside the old directory and then exchanged, so that a reader never sees half of it.
        let fresh = beside(&at, "new");
        remove_tree(&fresh).map_err(io("clean", &self.path))?;
        std::fs::create_dir_all(&fresh).map_err(io("create", &self.path))?;
        let unpacked = unpack(blob, &fresh, &self.digest).and_then(|()| {
            let old = beside(&at, "old");
            remove_tree(&old)?;
            match std::fs::rename(&at, &old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            std::fs::rename(&fresh, &at)?;
            remove_tree(&old)
        });
        if unpacked.is_err() {
            let _ = remove_tree(&fresh);
        }
        unpacked.map_err(io("unpack", &self.path))
    }
}

fn beside(at: &Path, suffix: &str) -> PathBuf {
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    at.with_file_name(format!(".{name}.ingot-{suffix}"))
}

fn remove_tree(path: &Path) -> std::io::Result<()> {
    ingot_deletion::delete_tree(path).complete()
}

fn unpack(blob: Box<dyn std::io::Read>, into: &Path, digest: &str) -> std::io::Result<()> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(blob)?);
    let mut record = Record {
        version: 1,
        digest: digest.into(),
        files: BTreeMap::new(),
    };
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        // `unpack_in` refuses names that lead outside.
        if !entry.unpack_in(into)? {
            return Err(std::io::Error::other(format!(
                "the archive has the unsafe name {}",
                name.display()
            )));
        }
        let meta = std::fs::symlink_metadata(into.join(&name))?;
        if !meta.is_dir() {
            record.files.insert(name, Entry::of(&meta));
        }
    }
    // The blob is verified by its digest when it is read to the end.
    let mut rest = tar.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink())?;
    let json = serde_json::to_vec_pretty(&record)?;
    write_atomically(&into.join(RECORD), |_, file| {
        std::io::Write::write_all(file, &json)
    })
}
