//! `group`: a group of /etc/group. Who belongs to it is said by the users.

use super::{Kind, ResourceError, Status, accounts};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;

/// A group of accounts. One that exists with another id is not changed but refused: files carry the
/// id, not the name.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    #[serde(deserialize_with = "accounts::name")]
    pub name: String,
    /// Its id; the next free one unless given.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Whether the free id is taken from those for programs instead of those for people; yes unless
    /// given.
    #[serde(default = "yes")]
    pub system: bool,
}

pub(super) fn yes() -> bool {
    true
}

impl Kind for Group {
    fn target(&self) -> String {
        format!("group {}", self.name)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        match (accounts::group(system, &self.name)?, self.gid) {
            (None, _) => Ok(Status::Drifted(vec![Change::create(
                "name",
                self.name.as_str(),
            )])),
            (Some(found), Some(gid)) if found.gid != gid => Err(ResourceError::Conflict(format!(
                "the group `{}` has the id {}, and {gid} is wanted; change it by hand together with the files that carry it, or drop `gid`",
                self.name, found.gid
            ))),
            (Some(_), _) => Ok(Status::InSync),
        }
    }

    fn way_back(&self, system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        if accounts::group(system, &self.name)?.is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![UndoStep::RemoveGroup {
            name: self.name.clone(),
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        if accounts::group(system, &self.name)?.is_some() {
            return Ok(());
        }
        let gid = self.gid.map(|gid| gid.to_string());
        let mut args = Vec::new();
        if self.system {
            args.push("--system");
        }
        if let Some(gid) = &gid {
            args.extend(["--gid", gid]);
        }
        args.extend(["--", &self.name]);
        accounts::run(system, "groupadd", &args)
    }
}
