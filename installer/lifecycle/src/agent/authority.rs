//! The authorities' files on a control-plane host. Their modes follow from their names: what a host has is put right,
//! and never passed on to others.

use super::protocol::{AuthorityFile, AuthorityFiles};
use super::secret_files::SecretFiles;
use crate::paths;
use crate::pki::Authorities;

/// The authorities this host keeps; `None` when it keeps none.
///
/// # Errors
/// When a file is there but cannot be read.
pub fn read(host: &SecretFiles) -> Result<Option<AuthorityFiles>, String> {
    let mut files = Vec::new();
    for name in Authorities::names() {
        let path = path(&name);
        match host.read(&path) {
            Ok(content) => files.push(AuthorityFile { name, content }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {path}: {error}")),
        }
    }
    // A host that was given the public halves only, or was cut off while it was given all, has none.
    let whole = files.len() == Authorities::names().len();
    Ok(whole.then_some(AuthorityFiles { files }))
}

/// Writes authority files through the journal; returns how many were changed, in content or in mode.
///
/// # Errors
/// Everything that could not be written.
pub fn write(host: &SecretFiles, files: &[AuthorityFile]) -> Result<usize, String> {
    let all: Vec<_> = files
        .iter()
        .map(|file| (path(&file.name), file.content.clone(), mode(&file.name)))
        .collect();
    host.write(&all)
}

fn path(name: &str) -> String {
    format!("{}/{name}", paths::PKI)
}

/// The permission bits of a file of the authorities: whatever is not public by its name is secret.
fn mode(name: &str) -> u32 {
    match name.ends_with(".crt") || name.ends_with(".pub") {
        true => 0o644,
        false => 0o600,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_key_is_closed_again_and_not_opened_on_other_hosts() {
        let directory = tempfile::tempdir().unwrap();
        let open = SecretFiles::below(&directory.path().join("cp-1"));
        let other = SecretFiles::below(&directory.path().join("cp-2"));
        let made = Authorities::generate().unwrap().files();
        let count = made.files.len();
        assert!(write(&open, &made.files).unwrap() >= count);
        assert_eq!(write(&open, &made.files), Ok(0), "twice changes nothing");
        open.chmod(&path("ca.key"), 0o644);
        open.chmod(&path("ca.crt"), 0o600);

        let found = read(&open).unwrap().unwrap();
        assert!(found.same_content(&made), "another mode, another cluster?");
        write(&other, &found.files).unwrap();
        assert_eq!(write(&open, &found.files), Ok(2));
        for host in [&open, &other] {
            for name in Authorities::names() {
                let public = name.ends_with(".crt") || name == "sa.pub";
                let wanted = if public { 0o644 } else { 0o600 };
                assert_eq!(host.mode(&path(&name)), wanted, "{name}");
            }
        }
    }

    #[test]
    fn a_host_with_some_of_the_files_has_no_authority() {
        let directory = tempfile::tempdir().unwrap();
        let host = SecretFiles::below(directory.path());
        assert!(read(&host).unwrap().is_none());
        let made = Authorities::generate().unwrap();
        write(&host, &made.public_files(&["ca.crt", "etcd/ca.crt"])).unwrap();
        assert!(read(&host).unwrap().is_none());
    }
}
