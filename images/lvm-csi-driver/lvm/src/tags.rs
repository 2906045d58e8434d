//! The tags of a logical volume: what it is and how far it has come, on the disk itself.

use ingot_volume_brain::{FilesystemTag, LvState, NameHash, VolumeUid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Begins each tag of ours; the number is the version of the format.
const PREFIX: &str = "ingot1.";

/// What a logical volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Handed out to pods.
    Volume,
    /// A picture of a volume at one time.
    Snapshot,
}

/// All of our tags on one logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tags {
    /// Life of the volume.
    pub uid: VolumeUid,
    /// Stands for its CSI name.
    pub name: NameHash,
    /// What it is for.
    pub kind: Kind,
    /// How far it has come.
    pub state: LvState,
    /// How far its filesystem has come.
    pub filesystem: FilesystemTag,
    /// Whether it began as a copy: its XFS has the UUID of another.
    pub copied: bool,
    /// Whether its content is encrypted by us.
    pub encrypted: bool,
    /// What it was copied from.
    pub parent: Option<VolumeUid>,
}

/// Tags that name us and cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tags {tags:?}: {reason}")]
pub struct TagsError {
    tags: Vec<String>,
    reason: String,
}

const STATES: [(&str, LvState); 4] = [
    ("new", LvState::New),
    ("ready", LvState::Ready),
    ("deleting", LvState::Deleting),
    ("quarantined", LvState::Quarantined),
];
const FILESYSTEMS: [(&str, FilesystemTag); 3] = [
    ("none", FilesystemTag::Unformatted),
    ("formatting", FilesystemTag::Formatting),
    ("formatted", FilesystemTag::Formatted),
];
const KINDS: [(&str, Kind); 2] = [("volume", Kind::Volume), ("snapshot", Kind::Snapshot)];

fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map_or("unknown", |(word, _)| word)
}

impl Tags {
    /// The tags as LVM stores them, sorted.
    pub fn encode(&self) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        let mut put = |key: &str, value: &str| tags.insert(format!("{PREFIX}{key}={value}"));
        put("uid", &self.uid.to_string());
        put("name", &self.name.to_string());
        put("kind", word(&KINDS, &self.kind));
        put("state", word(&STATES, &self.state));
        put("fs", word(&FILESYSTEMS, &self.filesystem));
        if self.copied {
            put("copied", "yes");
        }
        if self.encrypted {
            put("luks", "yes");
        }
        if let Some(parent) = self.parent {
            put("parent", &parent.to_string());
        }
        tags
    }

    /// Reads the tags of a logical volume; nothing, if none of them is ours.
    pub fn decode<'a>(
        tags: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<Option<Self>, TagsError> {
        let all = || tags.clone().into_iter().map(str::to_owned).collect();
        let refuse = |reason: String| TagsError {
            tags: all(),
            reason,
        };
        let ours = || {
            tags.clone()
                .into_iter()
                .filter_map(|tag| tag.strip_prefix(PREFIX))
        };
        if ours().next().is_none() {
            return Ok(None);
        }
        let find = |key: &str| {
            ours().find_map(|tag| {
                tag.split_once('=')
                    .filter(|(k, _)| *k == key)
                    .map(|(_, v)| v)
            })
        };
        let need = |key: &str| find(key).ok_or_else(|| refuse(format!("no {PREFIX}{key}")));
        fn known<T: Copy>(table: &[(&str, T)], word: &str) -> Result<T, String> {
            let found = table.iter().find(|(known, _)| *known == word);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("{word:?} is not known to this version"))
        }
        Ok(Some(Self {
            uid: need("uid")?.parse().map_err(|e| refuse(format!("{e}")))?,
            name: need("name")?.parse().map_err(|e| refuse(format!("{e}")))?,
            kind: known(&KINDS, need("kind")?).map_err(refuse)?,
            state: known(&STATES, need("state")?).map_err(refuse)?,
            filesystem: known(&FILESYSTEMS, need("fs")?).map_err(refuse)?,
            copied: find("copied").is_some(),
            encrypted: find("luks").is_some(),
            parent: match find("parent") {
                Some(parent) => Some(parent.parse().map_err(|e| refuse(format!("{e}")))?),
                None => None,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        Tags {
            uid: VolumeUid(1),
            name: NameHash::of("pvc-1"),
            kind: Kind::Snapshot,
            state: LvState::Quarantined,
            filesystem: FilesystemTag::Formatting,
            copied: true,
            encrypted: true,
            parent: Some(VolumeUid(2)),
        }
    }

    #[test]
    fn every_tag_survives_the_disk() {
        let encoded = tags().encode();
        let read = Tags::decode(encoded.iter().map(String::as_str)).expect("ours");
        assert_eq!(read, Some(tags()));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+.-/=!:&#".contains(c);
        assert!(encoded.iter().all(|tag| tag.chars().all(allowed)));
    }

    #[test]
    fn other_peoples_tags_are_not_ours_and_newer_words_are_refused() {
        assert_eq!(Tags::decode(["backup", "k8s"]), Ok(None));
        let mut newer: Vec<_> = tags().encode().into_iter().collect();
        for tag in &mut newer {
            *tag = tag.replace("quarantined", "migrating");
        }
        let error = Tags::decode(newer.iter().map(String::as_str)).expect_err("newer");
        assert!(error.to_string().contains("\"migrating\" is not known"));
    }
}
