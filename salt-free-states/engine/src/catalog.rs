//! The state files and templates, by name.
//!
//! A catalog is a tree of text: `<state>/state.yaml` and `<state>/files/*`. It can be read from a
//! directory or be built into a program. Nothing is rendered here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file or directory of the catalog could not be read.
    #[error("cannot read the states catalog at {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The catalog has no state of that name.
    #[error("there is no state `{name}` in the catalog; it has: {known}")]
    UnknownState {
        /// The name asked for.
        name: String,
        /// The names it has, separated by commas.
        known: String,
    },
    /// A state names a file that its directory lacks.
    #[error(
        "state `{state}` names the file `{file}`, but salt-free-states/catalog/{state}/files has: {known}"
    )]
    UnknownFile {
        /// The state.
        state: String,
        /// The file it names.
        file: String,
        /// The files there are, separated by commas.
        known: String,
    },
}

/// The files of all states: path relative to the catalog -> text.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    files: BTreeMap<String, String>,
}

impl Catalog {
    /// A catalog from (relative path, text) pairs, such as one built into a program.
    pub fn from_files<P: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, text)| (path.into(), text.into()))
                .collect(),
        }
    }

    /// Reads the catalog below `directory`.
    ///
    /// # Errors
    /// [`CatalogError::Read`] for the first file that cannot be read as text.
    pub fn from_directory(directory: &Path) -> Result<Self, CatalogError> {
        let mut files = BTreeMap::new();
        let mut pending = vec![directory.to_path_buf()];
        while let Some(dir) = pending.pop() {
            let read = |source| CatalogError::Read {
                path: dir.clone(),
                source,
            };
            for entry in std::fs::read_dir(&dir).map_err(read)? {
                let path = entry.map_err(read)?.path();
                if path.is_dir() {
                    pending.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).map_err(|source| CatalogError::Read {
                    path: path.clone(),
                    source,
                })?;
                let name = path.strip_prefix(directory).unwrap_or(&path);
                files.insert(name.to_string_lossy().into_owned(), text);
            }
        }
        Ok(Self { files })
    }

    /// The names of all states, sorted.
    pub fn states(&self) -> Vec<&str> {
        self.files
            .keys()
            .filter_map(|path| path.strip_suffix("/state.yaml"))
            .collect()
    }

    /// The document of a state, not yet rendered.
    ///
    /// # Errors
    /// [`CatalogError::UnknownState`].
    pub fn state(&self, name: &str) -> Result<&str, CatalogError> {
        self.files
            .get(&format!("{name}/state.yaml"))
            .map(String::as_str)
            .ok_or_else(|| CatalogError::UnknownState {
                name: name.into(),
                known: self.states().join(", "),
            })
    }

    /// A file of a state, not yet rendered.
    ///
    /// # Errors
    /// [`CatalogError::UnknownFile`].
    pub fn file(&self, state: &str, file: &str) -> Result<&str, CatalogError> {
        self.files
            .get(&format!("{state}/files/{file}"))
            .map(String::as_str)
            .ok_or_else(|| {
                let prefix = format!("{state}/files/");
                let known: Vec<&str> = self
                    .files
                    .keys()
                    .filter_map(|p| p.strip_prefix(&prefix))
                    .collect();
                CatalogError::UnknownFile {
                    state: state.into(),
                    file: file.into(),
                    known: if known.is_empty() {
                        "nothing".into()
                    } else {
                        known.join(", ")
                    },
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_there_is_when_something_is_missing() {
        let catalog = Catalog::from_files([
            ("a/state.yaml", ""),
            ("b/state.yaml", ""),
            ("a/files/x", "1"),
        ]);
        assert_eq!(catalog.states(), ["a", "b"]);
        assert_eq!(
            catalog.state("c").unwrap_err().to_string(),
            "there is no state `c` in the catalog; it has: a, b"
        );
        assert!(
            catalog
                .file("a", "y")
                .unwrap_err()
                .to_string()
                .ends_with("has: x")
        );
        assert!(
            catalog
                .file("b", "y")
                .unwrap_err()
                .to_string()
                .ends_with("has: nothing")
        );
    }
}
