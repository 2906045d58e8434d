//! The authorities' files on a control-plane host.

use super::protocol::{AuthorityFile, AuthorityFiles};
use super::states;
use crate::paths;
use crate::pki::Authorities;
use std::path::Path;

/// The authorities this host keeps; `None` when it keeps none.
///
/// # Errors
/// When a file is there but cannot be read.
pub fn read() -> Result<Option<AuthorityFiles>, String> {
    let mut files = Vec::new();
    for name in Authorities::names() {
        let path = Path::new(paths::PKI).join(&name);
        match std::fs::read_to_string(&path) {
            Ok(content) => {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::metadata(&path)
                    .map_or(0o600, |meta| meta.permissions().mode() & 0o7777);
                files.push(AuthorityFile {
                    name,
                    content,
                    mode,
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    // A host that was given the public halves only, or was cut off while it was given all, has none.
    let whole = files.len() == Authorities::names().len();
    Ok(whole.then_some(AuthorityFiles { files }))
}

/// Writes authority files through the journal; returns how many were changed.
///
/// # Errors
/// Everything that could not be written.
pub fn write(files: &[AuthorityFile]) -> Result<usize, String> {
    let all: Vec<_> = files
        .iter()
        .map(|file| {
            (
                format!("{}/{}", paths::PKI, file.name),
                file.content.clone(),
                file.mode,
            )
        })
        .collect();
    states::write_files(&all)
}
