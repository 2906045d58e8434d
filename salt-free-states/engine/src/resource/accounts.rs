//! The account files of a host (passwd(5), group(5)) and the tools that change them.
//!
//! Read here, changed only by the tools of shadow-utils: they keep the shadow files, backups and
//! locks in order. What a user or a group should be is decided by their kinds.

use super::{ResourceError, io};
use crate::system::System;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PasswdEntry {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) shell: String,
}

/// A line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupEntry {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

/// The text of an account file; a host without one has no accounts.
fn read(system: &System, path: &'static str) -> Result<String, ResourceError> {
    let path = Path::new(path);
    match std::fs::read_to_string(system.path(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(io("read", path)),
    }
}

/// The entry of a user.
pub(super) fn user(system: &System, name: &str) -> Result<Option<PasswdEntry>, ResourceError> {
    let text = read(system, "/etc/passwd")?;
    Ok(text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [found, _, uid, gid, _, home, shell] if *found == name => Some(PasswdEntry {
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: (*home).into(),
                shell: (*shell).into(),
            }),
            _ => None,
        }
    }))
}

/// All groups.
pub(super) fn groups(system: &System) -> Result<Vec<GroupEntry>, ResourceError> {
    let text = read(system, "/etc/group")?;
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let gid = fields.nth(1)?.parse().ok()?;
        let members = fields.next().unwrap_or_default();
        let members = members
            .split(',')
            .filter(|m| !m.is_empty())
            .map(str::to_owned);
        Some(GroupEntry {
            name,
            gid,
            members: members.collect(),
        })
    };
    Ok(text.lines().filter_map(entry).collect())
}

/// The entry of a group.
pub(super) fn group(system: &System, name: &str) -> Result<Option<GroupEntry>, ResourceError> {
    Ok(groups(system)?.into_iter().find(|group| group.name == name))
}

/// The tools refuse instead of waiting while another of them holds /etc/passwd.lock or
/// /etc/group.lock, so ours run one at a time.
static TOOLS: Mutex<()> = Mutex::new(());

/// Runs a tool of shadow-utils.
pub(crate) fn run(system: &System, tool: &str, args: &[&str]) -> Result<(), ResourceError> {
    let _held = TOOLS.lock().unwrap_or_else(PoisonError::into_inner);
    system.commands.must(tool, args)?;
    Ok(())
}

/// Removes a user that is there.
pub(crate) fn remove_user(system: &System, name: &str) -> Result<(), ResourceError> {
    if user(system, name)?.is_none() {
        return Ok(());
    }
    run(system, "userdel", &["--", name])
}

/// Removes a group that is there.
pub(crate) fn remove_group(system: &System, name: &str) -> Result<(), ResourceError> {
    if group(system, name)?.is_none() {
        return Ok(());
    }
    run(system, "groupdel", &["--", name])
}

/// Makes a group that is not there.
pub(crate) fn restore_group(system: &System, name: &str, gid: u32) -> Result<(), ResourceError> {
    if group(system, name)?.is_some() {
        return Ok(());
    }
    run(system, "groupadd", &["--gid", &gid.to_string(), "--", name])
}

/// Reads a name that useradd(8) and groupadd(8) take on every distribution.
pub(super) fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    use serde::Deserialize;
    let name = String::deserialize(deserializer)?;
    check_name(&name).map_err(serde::de::Error::custom)?;
    Ok(name)
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let inner = |c: char| first(c) || c.is_ascii_digit() || c == '-';
    if (1..=31).contains(&name.len()) && name.starts_with(first) && name.chars().all(inner) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not the name of an account: use up to 31 lower-case letters, digits, `-` and `_`, beginning with a letter or `_`"
    ))
}
