//! The only place in the product that deletes more than one name: trees of directories, and what is
//! mounted below them.
//!
//! Directories are opened by descriptor, never by path, and no symbolic link is followed. A deletion never
//! enters a mount and never leaves the device it began on, so what the site keeps elsewhere cannot be
//! reached from here. What cannot be deleted stays, with every directory above it, and is named.
//!
//! It must never decide *what* is to be deleted, and never change anything but directory entries and mounts:
//! no mode, no content, no attribute.

mod left;
mod mounts;
mod open;
mod tree;
mod unmount;

pub use left::{Deleted, Left, Reason};
pub use mounts::{Mount, MountTable};
pub use tree::{Root, delete};
pub use unmount::unmount_below;

use std::path::Path;

/// Deletes `path` and everything below it. A path that does not exist is fine. A symbolic link is removed
/// itself; what it points to is not touched.
pub fn delete_tree(path: &Path) -> Deleted {
    delete(path, &Root::Remove, &[])
}

/// Refuses if something is mounted at `path` or below it, and names all of it. For callers that must not
/// begin a change that they cannot complete.
///
/// # Errors
/// When the list of mounts cannot be read.
pub fn mounted_in(path: &Path) -> std::io::Result<Vec<Left>> {
    let table = MountTable::of_this_process()?;
    let resolved = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let at = table.at(&resolved).into_iter();
    Ok(at
        .chain(table.below(&resolved))
        .map(|mount| Left::mounted(mount.target.clone(), Some(mount)))
        .collect())
}
