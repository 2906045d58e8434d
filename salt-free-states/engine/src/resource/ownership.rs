//! Owner, group and permission bits of files and directories.

use super::{ResourceError, io};
use crate::change::Change;
use crate::system::System;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Deserializer};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Permission bits, written in octal as text: `"0644"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mode(#[cfg_attr(test, schemars(with = "String"))] pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            Ok(bits) if bits <= 0o7777 && text.len() >= 3 => Ok(Self(bits)),
            _ => Err(serde::de::Error::custom(format!(
                "`{text}` is not a mode; write octal text such as \"0644\""
            ))),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// The numeric id of a name in `/etc/passwd` (`table` = "passwd") or `/etc/group` of the host.
fn id_of(system: &System, table: &'static str, name: &str) -> Result<u32, ResourceError> {
    known_id(system, table, name)?.ok_or_else(|| {
        ResourceError::Conflict(format!("`{name}` is not in /etc/{table} of this host"))
    })
}

/// The same; `None` when the host does not know the name.
fn known_id(
    system: &System,
    table: &'static str,
    name: &str,
) -> Result<Option<u32>, ResourceError> {
    if name == "root" {
        return Ok(Some(0));
    }
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let path = Path::new("/etc").join(table);
    let text = std::fs::read_to_string(system.path(&path)).map_err(io("read", &path))?;
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    }))
}

/// What differs between the ownership of the existing `path` and the wanted one.
pub(super) fn compare(
    system: &System,
    path: &Path,
    mode: Mode,
    owner: &str,
    group: &str,
) -> Result<Vec<Change>, ResourceError> {
    let meta = std::fs::symlink_metadata(system.path(path)).map_err(io("read", path))?;
    let mut changes = Vec::new();
    let found = Mode(meta.permissions().mode() & 0o7777);
    if found != mode {
        changes.push(Change::new("mode", found.to_string(), mode.to_string()));
    }
    // A name the host does not know yet may be that of a user who is made before the file is changed.
    if known_id(system, "passwd", owner)? != Some(meta.uid()) {
        changes.push(Change::new("owner", meta.uid().to_string(), owner));
    }
    if known_id(system, "group", group)? != Some(meta.gid()) {
        changes.push(Change::new("group", meta.gid().to_string(), group));
    }
    Ok(changes)
}

/// Sets the ownership of an existing path, owner first: chown clears set-id bits.
pub(super) fn set(
    system: &System,
    path: &Path,
    at: &Path,
    mode: Mode,
    owner: &str,
    group: &str,
) -> Result<(), ResourceError> {
    let uid = Uid::from_raw(id_of(system, "passwd", owner)?);
    let gid = Gid::from_raw(id_of(system, "group", group)?);
    nix::unistd::chown(at, Some(uid), Some(gid))
        .map_err(|e| io("change the owner of", path)(e.into()))?;
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode.0))
        .map_err(io("change the mode of", path))
}

pub(super) fn root() -> String {
    "root".into()
}
