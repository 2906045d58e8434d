//! Release trains: folders with a go.mod and go.sum that pin Go modules, so that programs
//! that can share versions of their dependencies compile those once.
//!
//! Only reads. Building is the job of the go source.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// One release train.
#[derive(Clone, Debug)]
pub struct Train {
    /// Its folder.
    pub folder: PathBuf,
    /// Linker flags for every program, variables filled in.
    pub ldflags: Vec<String>,
    /// All that decides what its programs are: go.mod, go.sum and the flags.
    pub inputs: String,
    /// Module path to version with `v`.
    versions: BTreeMap<String, String>,
    /// Modules of ours and their folders.
    local: BTreeMap<String, PathBuf>,
    /// Module path and version to the `h1:` hash of its content.
    sums: BTreeMap<(String, String), String>,
}

/// `train.yaml`, optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainFile {
    #[serde(default)]
    ldflags: Vec<String>,
}

/// Why a train cannot be used.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A file cannot be read.
    #[error("cannot read {path}: every train has go.mod and go.sum; is the train's name right?")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// train.yaml has another shape.
    #[error("{path} is not understood; it may only have `ldflags`")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_yaml::Error,
    },
    /// A module is not pinned.
    #[error("{path} does not pin the module {module}; add it with `go get` in that folder")]
    NotPinned {
        /// go.mod or go.sum.
        path: PathBuf,
        /// The module.
        module: String,
    },
    /// A variable is unknown.
    #[error(
        "{path}: unknown variable `{variable}`; there are kubernetes, kubernetes.major, \
         kubernetes.minor, created, version:<module> and sum:<module>"
    )]
    Variable {
        /// train.yaml.
        path: PathBuf,
        /// The variable.
        variable: String,
    },
}

impl Train {
    /// Reads the train in `folder`.
    ///
    /// # Errors
    /// When a file is absent or malformed, or a variable cannot be filled in.
    pub fn load(folder: &Path, kubernetes: &str, created: &str) -> Result<Self, TrainError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| TrainError::Read { path, source })
        };
        let module_file = read("go.mod")?;
        let sum_file = read("go.sum")?;
        let path = folder.join("train.yaml");
        let file: TrainFile = if path.exists() {
            let text = read("train.yaml")?;
            serde_yaml::from_str(&text).map_err(|source| TrainError::Parse {
                path: path.clone(),
                source,
            })?
        } else {
            TrainFile::default()
        };
        let mut train = Self {
            folder: folder.to_owned(),
            ldflags: Vec::new(),
            inputs: String::new(),
            versions: versions(&module_file),
            local: local(&module_file, folder),
            sums: sums(&sum_file),
        };
        for flag in &file.ldflags {
            let flag = train.fill(flag, kubernetes, created, &path)?;
            train.ldflags.push(flag);
        }
        train.inputs = format!("{module_file}\n{sum_file}\n{}", train.ldflags.join("\n"));
        for place in train.local.values() {
            train.inputs.push_str(&sources(place)?);
        }
        Ok(train)
    }

    /// The pinned version of a module, with `v`.
    ///
    /// # Errors
    /// When go.mod does not name it.
    pub fn version(&self, module: &str) -> Result<&str, TrainError> {
        self.versions
            .get(module)
            .map(String::as_str)
            .ok_or_else(|| TrainError::NotPinned {
                path: self.folder.join("go.mod"),
                module: module.to_owned(),
            })
    }

    /// The `h1:` hash of a module at its pinned version.
    ///
    /// # Errors
    /// When go.sum does not have it.
    pub fn sum(&self, module: &str) -> Result<&str, TrainError> {
        let version = self.version(module)?.to_owned();
        self.sums
            .get(&(module.to_owned(), version))
            .map(String::as_str)
            .ok_or_else(|| TrainError::NotPinned {
                path: self.folder.join("go.sum"),
                module: module.to_owned(),
            })
    }

    /// Whether a module is a folder of this repository.
    pub fn is_local(&self, module: &str) -> bool {
        self.local.contains_key(module)
    }

    /// The pinned module that holds a package: the longest whose path is a prefix.
    ///
    /// # Errors
    /// When none does.
    pub fn module_of(&self, package: &str) -> Result<&str, TrainError> {
        let holds = |module: &&String| {
            package
                .strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let module = self
            .versions
            .keys()
            .filter(holds)
            .max_by_key(|module| module.len());
        module
            .map(String::as_str)
            .ok_or_else(|| TrainError::NotPinned {
                path: self.folder.join("go.mod"),
                module: package.to_owned(),
            })
    }

    fn fill(
        &self,
        text: &str,
        kubernetes: &str,
        created: &str,
        path: &Path,
    ) -> Result<String, TrainError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, behind) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            let mut numbers = kubernetes.split('.');
            filled.push_str(match variable.split_once(':') {
                None if variable == "kubernetes" => kubernetes,
                None if variable == "kubernetes.major" => numbers.next().unwrap_or_default(),
                None if variable == "kubernetes.minor" => numbers.nth(1).unwrap_or_default(),
                None if variable == "created" => created,
                Some(("version", module)) => self.version(module)?,
                Some(("sum", module)) => self.sum(module)?,
                _ => {
                    let variable = variable.to_owned();
                    return Err(TrainError::Variable {
                        path: path.to_owned(),
                        variable,
                    });
                }
            });
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The `require` lines of a go.mod (go.dev/ref/mod, section "require directive").
fn versions(text: &str) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["require", "("] => inside = true,
            [")"] => inside = false,
            ["require", module, version] => {
                versions.insert((*module).to_owned(), (*version).to_owned());
            }
            [module, version] if inside => {
                versions.insert((*module).to_owned(), (*version).to_owned());
            }
            _ => {}
        }
    }
    versions
}

/// The `replace` lines of a go.mod that name a folder.
fn local(text: &str, folder: &Path) -> BTreeMap<String, PathBuf> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line
                .split_whitespace()
                .filter(|word| *word != "replace")
                .collect();
            match words.as_slice() {
                [module, "=>", place] if place.starts_with('.') => {
                    Some(((*module).to_owned(), folder.join(place)))
                }
                _ => None,
            }
        })
        .collect()
}

/// All files of a module of ours, names and contents.
fn sources(place: &Path) -> Result<String, TrainError> {
    let failed = |path: &Path, source| TrainError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(place).sort_by_file_name() {
        let entry = entry.map_err(|error| failed(place, std::io::Error::from(error)))?;
        if entry.file_type().is_file() {
            let content =
                std::fs::read_to_string(entry.path()).map_err(|e| failed(entry.path(), e))?;
            text.push_str(&format!(
                "\n{}\n{content}",
                entry.file_name().to_string_lossy()
            ));
        }
    }
    Ok(text)
}

/// The content hashes of a go.sum; those of go.mod files alone are passed over.
fn sums(text: &str) -> BTreeMap<(String, String), String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (module, version, sum) = (words.next()?, words.next()?, words.next()?);
            let key = (module.to_owned(), version.to_owned());
            (!version.ends_with("/go.mod")).then(|| (key, sum.to_owned()))
        })
        .collect()
}
