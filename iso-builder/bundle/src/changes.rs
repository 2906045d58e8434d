//! What differs between two bundles, from their tables of contents. Pure.

use crate::manifest::{Component, Manifest};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The difference between two bundles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Components that differ, sorted by name.
    pub components: Vec<Change>,
    /// Number of components that are the same.
    pub unchanged: usize,
    /// Bytes of blobs that only the new bundle has: what a delta bundle would carry.
    pub new_bytes: u64,
    /// Bytes of all blobs of the new bundle.
    pub total_bytes: u64,
}

/// How one component differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum Change {
    /// Only the new bundle has it.
    #[serde(rename_all = "camelCase")]
    Added {
        /// The component.
        name: String,
        /// Its version.
        version: String,
        /// Bytes to carry.
        new_bytes: u64,
    },
    /// Only the old bundle has it.
    #[serde(rename_all = "camelCase")]
    Removed {
        /// The component.
        name: String,
        /// Its version.
        version: String,
    },
    /// Both have it, with other content.
    #[serde(rename_all = "camelCase")]
    Changed {
        /// The component.
        name: String,
        /// Version in the old bundle.
        from: String,
        /// Version in the new bundle; the same if it was only built differently.
        to: String,
        /// Bytes to carry.
        new_bytes: u64,
    },
}

/// Compares `old` with `new`.
pub fn changes(old: &Manifest, new: &Manifest) -> Changes {
    let known: BTreeSet<_> = old
        .components
        .iter()
        .flat_map(Component::all_blobs)
        .map(|blob| blob.digest)
        .collect();
    let before: BTreeMap<&str, &Component> = old
        .components
        .iter()
        .map(|component| (component.name.as_str(), component))
        .collect();
    let after: BTreeMap<&str, &Component> = new
        .components
        .iter()
        .map(|component| (component.name.as_str(), component))
        .collect();
    let fresh = |component: &Component| {
        let blobs: BTreeMap<_, _> = component
            .all_blobs()
            .map(|blob| (blob.digest, blob.size))
            .collect();
        blobs
            .iter()
            .filter(|(digest, _)| !known.contains(digest))
            .map(|(_, size)| size)
            .sum()
    };

    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut components = Vec::new();
    let mut unchanged = 0;
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old.manifest == new.manifest => unchanged += 1,
            (Some(old), Some(new)) => components.push(Change::Changed {
                name: name.to_owned(),
                from: old.version.clone(),
                to: new.version.clone(),
                new_bytes: fresh(new),
            }),
            (None, Some(new)) => components.push(Change::Added {
                name: name.to_owned(),
                version: new.version.clone(),
                new_bytes: fresh(new),
            }),
            (Some(old), None) => components.push(Change::Removed {
                name: name.to_owned(),
                version: old.version.clone(),
            }),
            (None, None) => {}
        }
    }
    let all: BTreeMap<_, _> = new
        .components
        .iter()
        .flat_map(Component::all_blobs)
        .map(|blob| (blob.digest, blob.size))
        .collect();
    let new_bytes = all
        .iter()
        .filter(|(digest, _)| !known.contains(digest))
        .map(|(_, size)| size)
        .sum();
    Changes {
        components,
        unchanged,
        new_bytes,
        total_bytes: all.values().sum(),
    }
}
