//! Where the files of a bundle come from: an ISO image, or a directory (a mounted one).
//!
//! Reads at offsets, so that any number of threads can share it. Never writes.

use crate::iso9660::{self, Extent, IsoError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a bundle by their path relative to its root.
#[derive(Debug)]
pub(crate) enum Source {
    Iso {
        image: Arc<File>,
        files: BTreeMap<String, Extent>,
    },
    Directory {
        root: PathBuf,
    },
}

/// One file of a bundle, open for reading.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    file: Arc<File>,
    extent: Extent,
}

impl Source {
    pub(crate) fn open_iso(path: &Path) -> Result<Self, IsoError> {
        let image = File::open(path)?;
        let files = iso9660::list(&image)?;
        Ok(Self::Iso {
            image: Arc::new(image),
            files,
        })
    }

    /// Opens a file; `None` when there is no such file.
    pub(crate) fn open(&self, path: &str) -> io::Result<Option<SourceFile>> {
        match self {
            Self::Iso { image, files } => Ok(files.get(path).map(|extent| SourceFile {
                file: Arc::clone(image),
                extent: *extent,
            })),
            Self::Directory { root } => {
                let file = match File::open(root.join(path)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                };
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Ok(None);
                }
                let extent = Extent {
                    offset: 0,
                    size: metadata.len(),
                };
                Ok(Some(SourceFile {
                    file: Arc::new(file),
                    extent,
                }))
            }
        }
    }

    /// Every file, sorted by path.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Iso { files, .. } => Ok(files.keys().cloned().collect()),
            Self::Directory { root } => {
                let mut found = Vec::new();
                list_directory(root, "", &mut found)?;
                found.sort();
                Ok(found)
            }
        }
    }
}

fn list_directory(root: &Path, below: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if below.is_empty() {
            name.into_owned()
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type()?.is_dir() {
            list_directory(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

impl SourceFile {
    pub(crate) fn size(&self) -> u64 {
        self.extent.size
    }

    /// Reads up to the end of `buffer` or of the file, whichever comes first. Returns less
    /// than could be read only at the end, even when the system call is interrupted.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.extent.size.saturating_sub(offset);
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < wanted {
            let position = self.extent.offset + offset + done as u64;
            match self.file.read_at(&mut buffer[done..wanted], position) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// The whole content. The caller has bounded the size.
    pub(crate) fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.extent.size).unwrap_or(usize::MAX)];
        let count = self.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}
