//! What was changed after us stays: before a step back, the host is compared with what our change had left
//! there.
//!
//! Kernel settings and services are not compared: the kubelet and kube-proxy set the former as well, and a
//! service that was stopped by hand is still ours to take back.

use super::{UndoStep, walk::walk};
use crate::journal::Saved;
use crate::resource::{ResourceError, io, write_atomically};
use crate::system::System;
use sha2::{Digest, Sha256};
use similar::{ChangeTag, TextDiff};
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Something that was changed after us and therefore not put back, or only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// What was done.
    pub how: How,
}

/// What was done with something that was changed after us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Our lines were taken back; all other lines stay as they are now.
    Merged,
    /// It stays as it is now; what it was before us is beside it, under this path.
    OldBeside(PathBuf),
    /// It was ours and was removed; what it contained last is under this path.
    MovedTo(PathBuf),
    /// It stays as it is now.
    Untouched,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{path} was changed after this program had changed it: ")?;
        match &self.how {
            How::Merged => f.write_str("only the lines of this program were taken back"),
            How::OldBeside(old) => write!(
                f,
                "it was left as it is; its former content is in {}",
                old.display()
            ),
            How::MovedTo(new) => write!(f, "its last content is in {}", new.display()),
            How::Untouched => f.write_str("it was left as it is"),
        }
    }
}

/// What lies now where `step` leads back, in a form that can be compared; `None` where it is not compared.
/// The content of files that existed before is kept, so that edits can be told from ours later.
pub(crate) fn observe(
    step: &UndoStep,
    system: &System,
    saved: &Saved,
) -> Result<Option<String>, ResourceError> {
    if let UndoStep::RestoreFile { path, .. } = step {
        // Under its digest.
        saved.keep(system, path)?;
    }
    present(step, system)
}

/// The same without keeping anything.
fn present(step: &UndoStep, system: &System) -> Result<Option<String>, ResourceError> {
    match step {
        UndoStep::RestoreFile { path, .. }
        | UndoStep::RemoveFile { path }
        | UndoStep::RestoreSymlink { path, .. } => state(system, path).map(Some),
        UndoStep::SetOwnership { path, .. } => Ok(ownership(system, path)),
        _ => Ok(None),
    }
}

/// What lay where `step` leads back when the way back was recorded, in the same form.
pub(super) fn before(step: &UndoStep) -> Option<String> {
    match step {
        UndoStep::RestoreFile { saved, .. } => Some(format!("file:{saved}")),
        UndoStep::RemoveFile { .. } => Some("absent".into()),
        UndoStep::RestoreSymlink { target, .. } => Some(format!("link:{}", target.display())),
        UndoStep::SetOwnership { mode, uid, gid, .. } => Some(format!("{mode:04o} {uid} {gid}")),
        _ => None,
    }
}

fn state(system: &System, path: &Path) -> Result<String, ResourceError> {
    let at = system.path(path);
    let meta = match std::fs::symlink_metadata(&at) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok("absent".into());
        }
        other => other.map_err(io("read", path))?,
    };
    if meta.is_symlink() {
        let target = std::fs::read_link(&at).map_err(io("read", path))?;
        return Ok(format!("link:{}", target.display()));
    }
    if !meta.is_file() {
        return Ok("other".into());
    }
    let content = std::fs::read(&at).map_err(io("read", path))?;
    let digest = Sha256::digest(&content);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("file:{hex}"))
}

fn ownership(system: &System, path: &Path) -> Option<String> {
    let meta = std::fs::metadata(system.path(path)).ok()?;
    Some(format!(
        "{:04o} {} {}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid()
    ))
}

/// Walks a step if the host is as our change had left it; else keeps what was changed since. `after` is what
/// [`observe`] had found then: nothing for changes that were cut short with no application since, and for journals
/// of old programs.
pub(super) fn walk_unless_edited(
    step: &UndoStep,
    after: Option<&str>,
    system: &System,
    saved: &Saved,
    kept: &mut Vec<Kept>,
) -> Result<(), ResourceError> {
    let Some(after) = after else {
        return walk(step, system, saved);
    };
    // A change that was cut short had not come to this, so what is there now is the site's alone.
    if before(step).as_deref() == Some(after) && present(step, system)?.as_deref() != Some(after) {
        return Ok(());
    }
    let untouched = |path: &PathBuf| Kept {
        path: path.clone(),
        how: How::Untouched,
    };
    match step {
        UndoStep::RestoreFile {
            path,
            saved: old,
            mode,
            uid,
            gid,
        } => {
            let now = state(system, path)?;
            // Put back by an attempt before this one, or by hand.
            if now == after || now == format!("file:{old}") {
                return walk(step, system, saved);
            }
            let former = Former {
                path,
                saved: old,
                mode: *mode,
                uid: *uid,
                gid: *gid,
            };
            kept.push(merge(&former, after, system, saved)?);
            Ok(())
        }
        UndoStep::RemoveFile { path } => {
            let now = state(system, path)?;
            if now == after || now == "absent" {
                return walk(step, system, saved);
            }
            if !now.starts_with("file:") {
                kept.push(untouched(path));
                return Ok(());
            }
            let beside = beside(path, "kept");
            std::fs::rename(system.path(path), system.path(&beside)).map_err(io("keep", path))?;
            kept.push(Kept {
                path: path.clone(),
                how: How::MovedTo(beside),
            });
            Ok(())
        }
        UndoStep::RestoreSymlink { path, target } => {
            let now = state(system, path)?;
            if now != after && now != "absent" && now != format!("link:{}", target.display()) {
                kept.push(untouched(path));
                return Ok(());
            }
            walk(step, system, saved)
        }
        UndoStep::SetOwnership { path, .. } => {
            if ownership(system, path).is_some_and(|now| now != after) {
                // Not told: a mode that somebody set is no surprise to them, and the kubelet sets some, too.
                return Ok(());
            }
            walk(step, system, saved)
        }
        _ => walk(step, system, saved),
    }
}

/// A file as it was before us.
struct Former<'a> {
    path: &'a Path,
    saved: &'a str,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Takes our lines back where each of our edits is found once; keeps the whole file otherwise.
fn merge(
    former: &Former<'_>,
    after: &str,
    system: &System,
    saved: &Saved,
) -> Result<Kept, ResourceError> {
    let path = former.path;
    let at = system.path(path);
    let text = |bytes: std::io::Result<Vec<u8>>| bytes.ok().and_then(|b| String::from_utf8(b).ok());
    let old = text(saved.read(former.saved));
    let ours = after
        .strip_prefix("file:")
        .and_then(|digest| text(saved.read(digest)));
    let now = std::fs::symlink_metadata(&at)
        .is_ok_and(|meta| meta.is_file())
        .then(|| text(std::fs::read(&at)))
        .flatten();
    if let (Some(old), Some(ours), Some(now)) = (&old, &ours, &now)
        && let Some(merged) = without_our_edits(old, ours, now)
    {
        let meta = std::fs::metadata(&at).map_err(io("read", path))?;
        write_atomically(&at, |temporary, file| {
            std::io::Write::write_all(file, merged.as_bytes())?;
            std::os::unix::fs::chown(temporary, Some(meta.uid()), Some(meta.gid()))?;
            std::fs::set_permissions(temporary, meta.permissions())
        })
        .map_err(io("write", path))?;
        return Ok(Kept {
            path: path.into(),
            how: How::Merged,
        });
    }
    let beside = beside(path, "before-ingot");
    let content = saved
        .read(former.saved)
        .map_err(io("find the kept content of", path))?;
    write_atomically(&system.path(&beside), |temporary, file| {
        std::io::Write::write_all(file, &content)?;
        std::os::unix::fs::chown(temporary, Some(former.uid), Some(former.gid))?;
        std::fs::set_permissions(temporary, std::fs::Permissions::from_mode(former.mode))
    })
    .map_err(io("write", &beside))?;
    Ok(Kept {
        path: path.into(),
        how: How::OldBeside(beside),
    })
}

/// `now` with every difference from `former` to `ours` taken back; nothing, if one of them cannot be placed.
fn without_our_edits(former: &str, ours: &str, now: &str) -> Option<String> {
    let diff = TextDiff::from_lines(former, ours);
    let mut merged: Vec<&str> = now.split_inclusive('\n').collect();
    for group in diff.grouped_ops(0) {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            match change.tag() {
                ChangeTag::Delete => removed.push(change.value()),
                ChangeTag::Insert => added.push(change.value()),
                ChangeTag::Equal => {}
            }
        }
        if added.is_empty() {
            // Lines that we removed: where they belong cannot be told any more.
            return None;
        }
        let places: Vec<usize> = (0..(merged.len() + 1).saturating_sub(added.len()))
            .filter(|at| merged[*at..*at + added.len()] == added[..])
            .collect();
        let [place] = places[..] else { return None };
        merged.splice(place..place + added.len(), removed);
    }
    Some(merged.concat())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}
