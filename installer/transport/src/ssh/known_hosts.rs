//! Which host keys are trusted (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! The file is read here: russh gives up at the first line it cannot read, and a host whose record is not
//! seen must never pass for a new one.

mod line;

use crate::TransportError;
use line::Said;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file of trusted host keys, and what to do about hosts it does not have.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    /// The file.
    pub file: PathBuf,
    /// Whether a key of a host without an entry is trusted and recorded. A key that differs from the
    /// recorded one is never accepted.
    pub accept_new: bool,
}

/// How a shown key compares with the record. Lines count from 1, all of them.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Trusted,
    Unknown,
    Changed(usize),
    Revoked(usize),
    Unreadable(usize, String),
    Certified(usize),
}

/// What the file says about one host.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The host, as the file names it.
    name: String,
    /// In the order of the file.
    lines: Vec<(usize, Said)>,
}

impl Record {
    fn of(name: String, text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        let lines = lines
            .filter_map(|(at, line)| Some((at + 1, line::about(&name, line)?)))
            .collect();
        Self { name, lines }
    }

    fn keys(&self) -> impl Iterator<Item = (usize, &PublicKey)> {
        self.lines.iter().filter_map(|(line, said)| match said {
            Said::Key(key) => Some((*line, key)),
            _ => None,
        })
    }

    /// The host is asked for a key of a recorded type first: it may have others, and those are not known.
    pub(super) fn preferred(&self, kinds: &[Algorithm]) -> Vec<Algorithm> {
        let mut kinds = kinds.to_vec();
        kinds.sort_by_key(|kind| {
            !self
                .keys()
                .any(|(_, key)| same_kind(&key.algorithm(), kind))
        });
        kinds
    }

    fn judge(&self, shown: &PublicKey) -> Verdict {
        let (mut unreadable, mut certified) = (None, None);
        for (line, said) in &self.lines {
            match said {
                Said::Revoked(key) if key.key_data() == shown.key_data() => {
                    return Verdict::Revoked(*line);
                }
                // It may revoke the very key that another line trusts.
                Said::Unreadable {
                    reason,
                    marked: true,
                } => {
                    return Verdict::Unreadable(*line, reason.clone());
                }
                Said::Unreadable { reason, .. } if unreadable.is_none() => {
                    unreadable = Some(Verdict::Unreadable(*line, reason.clone()));
                }
                Said::Authority if certified.is_none() => {
                    certified = Some(Verdict::Certified(*line));
                }
                _ => {}
            }
        }
        if self
            .keys()
            .any(|(_, key)| key.key_data() == shown.key_data())
        {
            return Verdict::Trusted;
        }
        // Another key on record means the host is known: that it shows a key of another type instead
        // is no reason to trust it.
        let same = |(_, key): &(usize, &PublicKey)| same_kind(&key.algorithm(), &shown.algorithm());
        let changed = self.keys().find(same).or_else(|| self.keys().next());
        unreadable
            .or(changed.map(|(line, _)| Verdict::Changed(line)))
            .or(certified)
            .unwrap_or(Verdict::Unknown)
    }
}

/// An RSA key is of one kind, whatever it signs with.
fn same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    use Algorithm::Rsa;
    one == other || matches!((one, other), (Rsa { .. }, Rsa { .. }))
}

impl KnownHosts {
    /// What is on record of a host.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub(super) fn record(&self, host: &str, port: u16) -> Result<Record, TransportError> {
        let name = match port {
            22 => host.to_ascii_lowercase(),
            _ => format!("[{}]:{port}", host.to_ascii_lowercase()),
        };
        match std::fs::read(&self.file) {
            Ok(text) => Ok(Record::of(name, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::of(name, b"")),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> TransportError {
        TransportError::KnownHosts {
            action,
            path: self.file.display().to_string(),
            source,
        }
    }

    /// Whether the host with this record may show this key; a new one is recorded if that is wanted.
    ///
    /// # Errors
    /// Why the key is not trusted.
    pub(super) fn check(
        &self,
        record: &Record,
        address: &str,
        shown: &PublicKey,
    ) -> Result<(), TransportError> {
        let verdict = match record.judge(shown) {
            Verdict::Unknown if self.accept_new => self
                .learn(&record.name, shown)
                .map_err(|source| self.failed("add to", source))?,
            verdict => verdict,
        };
        let (address, fingerprint) = (address.to_owned(), fingerprint(shown));
        let known_hosts = self.file.display().to_string();
        Err(match verdict {
            Verdict::Trusted => return Ok(()),
            Verdict::Unknown => TransportError::UnknownKey {
                address,
                fingerprint,
                known_hosts,
            },
            Verdict::Changed(line) => TransportError::ChangedKey {
                address,
                fingerprint,
                known_hosts,
                line,
            },
            Verdict::Revoked(line) => TransportError::RevokedKey {
                address,
                fingerprint,
                known_hosts,
                line,
            },
            Verdict::Unreadable(line, reason) => TransportError::UnreadableKey {
                address,
                known_hosts,
                line,
                reason,
            },
            Verdict::Certified(line) => TransportError::CertifiedKey {
                address,
                fingerprint,
                known_hosts,
                line,
            },
        })
    }

    /// Records a key, unless there is a record by now: hosts are reached at the same time, and many of
    /// them through the same jump host.
    fn learn(&self, name: &str, shown: &PublicKey) -> io::Result<Verdict> {
        if let Some(directory) = self.file.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let mut file: File = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)?;
        // A file system without locks only makes it possible that a key is recorded twice.
        let _ = file.lock();
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let verdict = Record::of(name.to_owned(), &text).judge(shown);
        if verdict != Verdict::Unknown {
            return Ok(verdict);
        }
        let torn = text.last().is_some_and(|last| *last != b'\n');
        let key = shown.to_openssh().map_err(io::Error::other)?;
        let start = if torn { "\n" } else { "" };
        file.write_all(format!("{start}{name} {key}\n").as_bytes())?;
        Ok(Verdict::Trusted)
    }
}

/// The fingerprint as ssh-keygen shows it.
fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests;
