//! `user`: an account of /etc/passwd that programs run as. It gets no password and no home.

use super::group::yes;
use super::{Kind, ResourceError, Status, absolute, accounts};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// An account. One that exists with another id is not changed but refused: files carry the id, not
/// the name.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    #[serde(deserialize_with = "accounts::name")]
    pub name: String,
    /// Its id; the next free one unless given.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Its primary group, a name; require the `group` that makes it.
    #[serde(deserialize_with = "accounts::name")]
    pub group: String,
    /// Groups it belongs to as well. Others it is in already stay.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its home directory, which is not made; `/nonexistent` unless given.
    #[serde(default = "nowhere", deserialize_with = "absolute")]
    pub home: PathBuf,
    /// Its shell; `/usr/sbin/nologin` unless given.
    #[serde(default = "nologin", deserialize_with = "absolute")]
    pub shell: PathBuf,
    /// Whether the free id is taken from those for programs instead of those for people; yes unless
    /// given.
    #[serde(default = "yes")]
    pub system: bool,
}

fn nowhere() -> PathBuf {
    "/nonexistent".into()
}

fn nologin() -> PathBuf {
    "/usr/sbin/nologin".into()
}

impl User {
    /// Groups it should be in and is not.
    fn missing_groups(&self, system: &System) -> Result<Vec<&str>, ResourceError> {
        let groups = accounts::groups(system)?;
        let is_in = |wanted: &str| {
            groups
                .iter()
                .any(|group| group.name == wanted && group.members.contains(&self.name))
        };
        let wanted = self.groups.iter().map(String::as_str);
        Ok(wanted.filter(|group| !is_in(group)).collect())
    }

    fn add(&self, system: &System) -> Result<(), ResourceError> {
        let uid = self.uid.map(|uid| uid.to_string());
        let groups = self.groups.join(",");
        let (home, shell) = (self.home.to_string_lossy(), self.shell.to_string_lossy());
        let mut args = vec!["--no-create-home", "--no-user-group", "--gid", &self.group];
        args.extend(["--home-dir", &home, "--shell", &shell]);
        if self.system {
            args.push("--system");
        }
        if let Some(uid) = &uid {
            args.extend(["--uid", uid]);
        }
        if !groups.is_empty() {
            args.extend(["--groups", &groups]);
        }
        args.extend(["--", &self.name]);
        accounts::run(system, "useradd", &args)
    }
}

impl Kind for User {
    fn target(&self) -> String {
        format!("user {}", self.name)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let Some(found) = accounts::user(system, &self.name)? else {
            return Ok(Status::Drifted(vec![Change::create(
                "name",
                self.name.as_str(),
            )]));
        };
        if let Some(uid) = self.uid.filter(|uid| *uid != found.uid) {
            return Err(ResourceError::Conflict(format!(
                "the user `{}` has the id {}, and {uid} is wanted; change it by hand together with the files that carry it, or drop `uid`",
                self.name, found.uid
            )));
        }
        let mut changes = Vec::new();
        let group = accounts::group(system, &self.group)?;
        if group.is_none_or(|group| group.gid != found.gid) {
            let gid = found.gid.to_string();
            changes.push(Change::new("group", gid, self.group.as_str()));
        }
        let missing = self.missing_groups(system)?;
        if !missing.is_empty() {
            changes.push(Change::create("groups", missing.join(", ")));
        }
        for (attribute, found, wanted) in [
            ("home", found.home, &self.home),
            ("shell", found.shell, &self.shell),
        ] {
            if Path::new(&found) != wanted {
                let wanted = wanted.display().to_string();
                changes.push(Change::new(attribute, found, wanted));
            }
        }
        Ok(Status::from_changes(changes))
    }

    fn way_back(&self, system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        let Some(found) = accounts::user(system, &self.name)? else {
            let mut steps = Vec::new();
            // userdel(8) takes the group of the same name away when nobody else is in it, also one
            // that was there before the user (login.defs(5), USERGROUPS_ENAB).
            if let Some(group) = accounts::group(system, &self.name)? {
                steps.push(UndoStep::RestoreGroup {
                    name: group.name,
                    gid: group.gid,
                });
            }
            steps.push(UndoStep::RemoveUser {
                name: self.name.clone(),
            });
            return Ok(steps);
        };
        let member = |group: &accounts::GroupEntry| group.members.contains(&self.name);
        let groups = accounts::groups(system)?;
        let groups: Vec<&str> = groups
            .iter()
            .filter(|group| member(group))
            .map(|group| group.name.as_str())
            .collect();
        Ok(vec![UndoStep::SetUser {
            name: self.name.clone(),
            gid: found.gid,
            groups: groups.join(","),
            home: found.home,
            shell: found.shell,
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        if accounts::user(system, &self.name)?.is_none() {
            return self.add(system);
        }
        let groups = self.missing_groups(system)?.join(",");
        let (home, shell) = (self.home.to_string_lossy(), self.shell.to_string_lossy());
        let mut args = vec!["--gid", &self.group, "--home", &home, "--shell", &shell];
        if !groups.is_empty() {
            args.extend(["--append", "--groups", &groups]);
        }
        args.push("--");
        args.push(&self.name);
        accounts::run(system, "usermod", &args)
    }
}
