//! Reads the tree of an ISO 9660 image (ECMA-119) with Rock Ridge names (SUSP 1.12, RRIP 1.12).
//!
//! Only what a bundle needs: directories, regular files, long names. It never mounts, never
//! follows symbolic links, and trusts no number of the image before checking it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use thiserror::Error;

const SECTOR: u64 = 2048;
/// The volume descriptors begin here; the 16 sectors before belong to boot loaders.
const FIRST_DESCRIPTOR: u64 = 16;
/// Deeper trees are no bundle; the limit also ends directory loops.
const MAX_DEPTH: usize = 8;
/// A directory larger than this is no bundle (a million blobs need about 200 MB).
const MAX_DIRECTORY: u64 = 256 << 20;

/// Where the bytes of a file lie in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes from the start of the image.
    pub offset: u64,
    /// Number of bytes.
    pub size: u64,
}

/// Why an image cannot be read.
#[derive(Debug, Error)]
pub(crate) enum IsoError {
    #[error("it has no ISO 9660 volume descriptor")]
    NotIso,
    #[error("it is cut off: {actual} bytes are there, {expected} should be")]
    Truncated { expected: u64, actual: u64 },
    #[error("its directory `{path}` is damaged: {what}")]
    Damaged { path: String, what: &'static str },
    #[error("reading it failed")]
    Io(#[from] std::io::Error),
}

/// Lists every regular file of the image by its path.
pub(crate) fn list(mut file: &File) -> Result<BTreeMap<String, Extent>, IsoError> {
    // A stick or a disc has no length among its metadata, but an end.
    let length = file.seek(SeekFrom::End(0))?;
    let descriptor = primary_descriptor(file, length)?;
    let blocks = u64::from(le32(&descriptor, 80));
    let expected = blocks * SECTOR;
    if length < expected {
        return Err(IsoError::Truncated {
            expected,
            actual: length,
        });
    }
    let mut walk = Walk {
        file,
        length,
        files: BTreeMap::new(),
    };
    let root = extent_of(&descriptor[156..190]);
    walk.directory("", root, 0)?;
    Ok(walk.files)
}

fn primary_descriptor(file: &File, length: u64) -> Result<Vec<u8>, IsoError> {
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 16 {
        if length < (sector + 1) * SECTOR {
            return Err(IsoError::NotIso);
        }
        let mut descriptor = vec![0; SECTOR as usize];
        file.read_exact_at(&mut descriptor, sector * SECTOR)?;
        if &descriptor[1..6] != b"CD001" || descriptor[0] == 255 {
            return Err(IsoError::NotIso);
        }
        // Other block sizes exist on paper only; xorriso and genisoimage write 2048.
        if descriptor[0] == 1 && le16(&descriptor, 128) == 2048 {
            return Ok(descriptor);
        }
    }
    Err(IsoError::NotIso)
}

struct Walk<'a> {
    file: &'a File,
    length: u64,
    files: BTreeMap<String, Extent>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str, extent: Extent, depth: usize) -> Result<(), IsoError> {
        let damaged = |what| IsoError::Damaged {
            path: format!("/{path}"),
            what,
        };
        if depth > MAX_DEPTH {
            return Err(damaged("it is nested too deeply"));
        }
        if extent.size > MAX_DIRECTORY {
            return Err(damaged("it is larger than any bundle's"));
        }
        self.check_inside(extent)?;
        let mut bytes = vec![0; extent.size as usize];
        self.file.read_exact_at(&mut bytes, extent.offset)?;

        let mut at = 0;
        // A file above 4 GiB has several records of one name, each but the last flagged.
        let mut open: Option<(String, Extent)> = None;
        while at < bytes.len() {
            let length = usize::from(bytes[at]);
            if length == 0 {
                // Records do not cross sectors; the rest of this one is padding.
                at = (at / SECTOR as usize + 1) * SECTOR as usize;
                continue;
            }
            let record = bytes
                .get(at..at + length)
                .ok_or_else(|| damaged("a record is cut"))?;
            at += length;
            let name_length = usize::from(*record.get(32).ok_or_else(|| damaged("short record"))?);
            let plain = record
                .get(33..33 + name_length)
                .ok_or_else(|| damaged("a name is cut"))?;
            if plain == [0] || plain == [1] {
                continue; // "." and ".."
            }
            let system_use = record.get(33 + name_length + (name_length + 1) % 2..);
            let name = match self.rock_ridge_name(system_use.unwrap_or_default())? {
                Some(name) => name,
                None => plain_name(plain),
            };
            if name.is_empty() || name.contains('/') {
                return Err(damaged("an entry has no usable name"));
            }
            let full = if path.is_empty() {
                name
            } else {
                format!("{path}/{name}")
            };
            let extent = extent_of(record);
            let flags = record[25];
            if flags & 2 != 0 {
                self.directory(&full, extent, depth + 1)?;
                continue;
            }
            self.check_inside(extent)?;
            let whole = match open.take() {
                Some((name, first)) if name == full => {
                    if first.offset + first.size != extent.offset {
                        return Err(damaged("a large file is scattered"));
                    }
                    Extent {
                        offset: first.offset,
                        size: first.size + extent.size,
                    }
                }
                Some(_) => return Err(damaged("a large file lacks its end")),
                None => extent,
            };
            if flags & 0x80 != 0 {
                open = Some((full, whole));
            } else if self.files.insert(full, whole).is_some() {
                return Err(damaged("two entries have one name"));
            }
        }
        Ok(())
    }

    fn check_inside(&self, extent: Extent) -> Result<(), IsoError> {
        let end = extent.offset.saturating_add(extent.size);
        if end > self.length {
            return Err(IsoError::Truncated {
                expected: end,
                actual: self.length,
            });
        }
        Ok(())
    }

    /// Collects the `NM` entries of a record, also from its continuation areas (`CE`).
    fn rock_ridge_name(&self, system_use: &[u8]) -> Result<Option<String>, IsoError> {
        let mut name: Option<Vec<u8>> = None;
        let mut area = system_use.to_vec();
        // Each area names at most one continuation; a handful is already absurd.
        for _ in 0..8 {
            let mut next = None;
            let mut rest = area.as_slice();
            while let [a, b, length, _, ..] = *rest {
                let length = usize::from(length);
                if length < 4 || length > rest.len() {
                    break;
                }
                let entry = &rest[..length];
                match &[a, b] {
                    b"NM" if length >= 5 => {
                        name.get_or_insert_default().extend_from_slice(&entry[5..]);
                    }
                    b"CE" if length >= 28 => {
                        next = Some(Extent {
                            offset: u64::from(le32(entry, 4)) * SECTOR + u64::from(le32(entry, 12)),
                            size: u64::from(le32(entry, 20)).min(SECTOR),
                        });
                    }
                    b"ST" => break,
                    _ => {}
                }
                rest = &rest[length..];
            }
            let Some(extent) = next else { break };
            self.check_inside(extent)?;
            area = vec![0; extent.size as usize];
            self.file.read_exact_at(&mut area, extent.offset)?;
        }
        Ok(name.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// ECMA-119 names carry a version (`;1`) and a dot even without an extension.
fn plain_name(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let name = text.split(';').next().unwrap_or_default();
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn extent_of(record: &[u8]) -> Extent {
    Extent {
        offset: u64::from(le32(record, 2)) * SECTOR,
        size: u64::from(le32(record, 10)),
    }
}

/// Numbers are stored in both byte orders; the little-endian one comes first. Records that
/// are too short for the field read as zero, which no caller accepts as content.
fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |field| {
        u32::from_le_bytes([field[0], field[1], field[2], field[3]])
    })
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |field| u16::from_le_bytes([field[0], field[1]]))
}
