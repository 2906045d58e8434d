//! Reads and writes records, directories and locks.

use super::StateError;
use crate::name::Name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Format number of every record. Records live as long as a lab, so a program of another format
/// refuses them and says how to start over.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    format: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(access("read", path, source)),
    };
    let malformed = |source| StateError::Record {
        path: path.to_owned(),
        source,
    };
    let FormatOnly { format } = serde_json::from_slice(&text).map_err(malformed)?;
    if format != FORMAT {
        return Err(StateError::Format {
            path: path.to_owned(),
            found: format,
        });
    }
    let envelope: Envelope<T> = serde_json::from_slice(&text).map_err(malformed)?;
    Ok(Some(envelope.record))
}

pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(&Envelope {
        format: FORMAT,
        record,
    })
    .map_err(|source| StateError::Record {
        path: path.to_owned(),
        source,
    })?;
    // Readers are other processes, so a record appears whole or not at all.
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, text).map_err(|e| access("write", &partial, e))?;
    fs::rename(&partial, path).map_err(|e| access("replace", path, e))
}

pub(crate) fn directory_names(dir: &Path) -> Result<Vec<Name>, StateError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(access("list", dir, source)),
    };
    let mut names: Vec<Name> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| Name::try_from(entry.file_name().to_str()?).ok())
        .collect();
    names.sort();
    Ok(names)
}

pub(crate) fn create_dir(path: &Path) -> Result<(), StateError> {
    fs::create_dir_all(path).map_err(|e| access("create directory", path, e))
}

pub(crate) fn write_file(path: &Path, content: &str) -> Result<(), StateError> {
    fs::write(path, content).map_err(|e| access("write", path, e))
}

/// Removes a tree; one that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StateError> {
    match ingot_deletion::delete_tree(path).complete() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(access("remove", path, error)),
        _ => Ok(()),
    }
}

/// Opens or creates a lock file and waits for its exclusive lock.
pub(crate) fn lock_file(path: &Path) -> Result<File, StateError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| access("open", path, e))?;
    file.lock().map_err(|e| access("lock", path, e))?;
    Ok(file)
}

pub(crate) fn access(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Access {
        action,
        path: path.to_owned(),
        source,
    }
}
