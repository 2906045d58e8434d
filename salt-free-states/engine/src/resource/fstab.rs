//! /etc/fstab (fstab(5)): read, and changed. Who changes it says so by
//! [`Kind::shares_a_file`](super::Kind::shares_a_file), so that there is one writer at a time.

use super::{ResourceError, io, write_atomically};
use crate::system::System;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where it lies.
pub(super) const FSTAB: &str = "/etc/fstab";

/// Its text; a host without one mounts nothing by it.
pub(super) fn read(system: &System) -> Result<String, ResourceError> {
    let path = Path::new(FSTAB);
    match std::fs::read_to_string(system.path(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(io("read", path)),
    }
}

/// Replaces its text by what `edit` makes of it; `None` leaves it.
pub(super) fn edit(
    system: &System,
    edit: impl FnOnce(&str) -> Option<String>,
) -> Result<(), ResourceError> {
    let path = Path::new(FSTAB);
    let Some(text) = edit(&read(system)?) else {
        return Ok(());
    };
    write_atomically(&system.path(path), |_, file| {
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())
    })
    .map_err(io("write", path))
}
