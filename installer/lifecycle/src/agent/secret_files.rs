//! Certificates, keys and authorities on this host, written through the journal. It knows nothing of what is in them.

use super::blobs::BlobStore;
use super::states::lines;
use crate::paths;
use ingot_engine::document::Origin;
use ingot_engine::resource::{Directory, File, Mode, Resource};
use ingot_engine::{Declared, Graph, Journal, System, apply, plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that shall be on the host: its absolute path, its content, its permission bits.
pub type Wanted = (String, String, u32);

/// Reads and writes such files.
pub struct SecretFiles {
    system: System,
    journal: PathBuf,
    /// Who owns them: `root`, but in tests that are run by others.
    owner: String,
    group: String,
}

impl SecretFiles {
    /// Those of the host that this process runs on.
    pub fn of_host() -> Self {
        Self {
            system: System::this_host(Arc::new(BlobStore::of_host())),
            journal: paths::JOURNAL.into(),
            owner: "root".into(),
            group: "root".into(),
        }
    }

    /// The content of a file.
    ///
    /// # Errors
    /// As [`std::fs::read_to_string`].
    pub fn read(&self, path: &str) -> std::io::Result<String> {
        std::fs::read_to_string(self.system.path(Path::new(path)))
    }

    /// Removes a file that the journal knows; it need not be there.
    pub fn remove(&self, path: &str) {
        let _ = std::fs::remove_file(self.system.path(Path::new(path)));
    }

    /// Keeps no longer what those files, once ours, contained before they were replaced.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn forget(&self, which: impl Fn(&Path) -> bool) -> Result<(), String> {
        let forgotten = self.journal()?.forget(which);
        forgotten.map_err(|error| crate::error::chain(&error))
    }

    /// Writes files below the directories they need, through the journal, with mode and owner as they shall be;
    /// returns how many things were changed.
    ///
    /// # Errors
    /// Everything that could not be written, one per line.
    pub fn write(&self, files: &[Wanted]) -> Result<usize, String> {
        if files.is_empty() {
            return Ok(0);
        }
        let graph = Graph::resolve(self.declared(files)).map_err(lines)?;
        let journal = self.journal()?;
        let plan = plan(&self.system, &graph, Some(&journal)).map_err(lines)?;
        let report = apply(&self.system, &graph, &plan, &journal, &|_| {})
            .map_err(|error| crate::error::chain(&error))?;
        let failures = report.failures();
        if failures.is_empty() {
            return Ok(report.changed());
        }
        Err(failures
            .iter()
            .map(|(target, reason)| format!("{target}: {reason}"))
            .collect::<Vec<_>>()
            .join("\n"))
    }

    fn journal(&self) -> Result<Journal, String> {
        Journal::open(&self.journal).map_err(|error| crate::error::chain(&error))
    }

    /// The resources that make the files and the directories above them.
    fn declared(&self, files: &[Wanted]) -> Vec<Declared> {
        let declare = |id: String, resource, require| Declared {
            id,
            origin: Origin {
                file: "(certificates)".into(),
                line: 0,
            },
            resource,
            require,
            watch: Vec::new(),
            onchanges: Vec::new(),
        };
        let mut declared: Vec<Declared> = Vec::new();
        for (path, content, mode) in files {
            let path = Path::new(path);
            let parent = path.parent().unwrap_or(path);
            let directory = format!("directory {}", parent.display());
            if !declared.iter().any(|d| d.id == directory) {
                // A parent directory is made before those below it.
                let require = parent
                    .ancestors()
                    .skip(1)
                    .map(|above| format!("directory {}", above.display()))
                    .filter(|id| declared.iter().any(|d| d.id == *id))
                    .collect();
                let resource = Directory {
                    path: parent.into(),
                    mode: Mode(0o755),
                    owner: self.owner.clone(),
                    group: self.group.clone(),
                    exclusive: false,
                    entries: None,
                };
                declared.push(declare(
                    directory.clone(),
                    Resource::Directory(resource),
                    require,
                ));
            }
            let resource = File {
                path: path.into(),
                content: content.clone(),
                mode: Mode(*mode),
                owner: self.owner.clone(),
                group: self.group.clone(),
                secret: true,
            };
            declared.push(declare(
                format!("file {}", path.display()),
                Resource::File(resource),
                vec![directory],
            ));
        }
        declared
    }
}

/// A host below a directory, for tests that need no root.
#[cfg(test)]
pub mod testing {
    use super::*;
    use ingot_engine::system::{HostCommands, NoBlobs};
    use std::os::unix::fs::PermissionsExt;

    impl SecretFiles {
        /// Those below `root`, owned by whoever runs the test.
        pub fn below(root: &Path) -> Self {
            let pki = root.join(paths::PKI.trim_start_matches('/'));
            std::fs::create_dir_all(pki.join("etcd")).unwrap();
            Self {
                system: System::below(root, Arc::new(HostCommands::default()), Arc::new(NoBlobs)),
                journal: root.join("journal"),
                owner: nix::unistd::Uid::effective().to_string(),
                group: nix::unistd::Gid::effective().to_string(),
            }
        }

        /// The permission bits of a file.
        pub fn mode(&self, path: &str) -> u32 {
            let meta = std::fs::metadata(self.system.path(Path::new(path))).unwrap();
            meta.permissions().mode() & 0o7777
        }

        /// Somebody changes the permission bits of a file.
        pub fn chmod(&self, path: &str, mode: u32) {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(self.system.path(Path::new(path)), mode).unwrap();
        }

        /// Whether a file of the journal, or one that it keeps for the way back, has `text`.
        pub fn journal_has(&self, text: &str) -> bool {
            fn has(directory: &Path, text: &str) -> bool {
                let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
                entries.into_iter().any(|entry| {
                    let path = entry.path();
                    match path.is_dir() {
                        true => has(&path, text),
                        false => std::fs::read(&path)
                            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)),
                    }
                })
            }
            has(&self.journal, text)
        }
    }
}
