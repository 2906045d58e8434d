//! Which host keys are trusted (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! The file is read here: russh gives up at the first line it cannot read, and a host whose record is not
//! seen must never pass for a new one.

mod certificate;
mod line;

use super::algorithms;
use crate::TransportError;
use line::Said;
pub(super) use line::fits;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file of trusted host keys, and what to do about hosts it does not have.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    /// The file; new keys are recorded in it.
    pub file: PathBuf,
    /// Files that are read besides, as that of the system.
    pub also: Vec<PathBuf>,
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
    Certified(usize, String),
}

/// What the files say about one host.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The host, as the files name it.
    name: String,
    /// In the order of the files; lines count on from one file to the next.
    lines: Vec<(usize, Said)>,
    /// The files, and how many lines come before each.
    files: Vec<(PathBuf, usize)>,
    /// How many lines there are.
    count: usize,
}

impl Record {
    #[cfg(test)]
    fn of(name: String, text: &[u8]) -> Self {
        let mut record = Self {
            name,
            ..Self::default()
        };
        record.add(PathBuf::new(), text);
        record
    }

    fn add(&mut self, file: PathBuf, text: &[u8]) {
        let before = self.count;
        self.files.push((file, before));
        for line in text.split(|byte| *byte == b'\n') {
            self.count += 1;
            if let Some(said) = line::about(&self.name, line) {
                self.lines.push((self.count, said));
            }
        }
    }

    /// The file that a line is in, and its number there.
    fn place(&self, line: usize) -> (String, usize) {
        let file = self.files.iter().rfind(|(_, before)| *before < line);
        match file {
            Some((file, before)) => (file.display().to_string(), line - before),
            None => (String::new(), line),
        }
    }

    fn keys(&self) -> impl Iterator<Item = (usize, &PublicKey)> {
        self.lines.iter().filter_map(|(line, said)| match said {
            Said::Key(key) => Some((*line, key)),
            _ => None,
        })
    }

    /// The host is asked for a key of a recorded type first: it may have others, and those are not known.
    pub(super) fn preferred(&self) -> Vec<Algorithm> {
        let mut kinds = algorithms::host_keys();
        kinds.sort_by_key(|kind| {
            !self
                .keys()
                .any(|(_, key)| same_kind(&key.algorithm(), kind))
        });
        kinds
    }

    /// Types of certificates that the host is asked for: only when an authority is trusted for it.
    pub(super) fn certified(&self) -> Vec<Algorithm> {
        match self.authorities().next() {
            Some(_) => algorithms::host_keys(),
            None => Vec::new(),
        }
    }

    fn authorities(&self) -> impl Iterator<Item = (usize, &PublicKey)> {
        self.lines.iter().filter_map(|(line, said)| match said {
            Said::Authority(key) => Some((*line, key)),
            _ => None,
        })
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
                Said::Authority(_) if certified.is_none() => {
                    let reason = "the host shows no certificate".into();
                    certified = Some(Verdict::Certified(*line, reason));
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
    /// When a file is there but cannot be read.
    pub(super) fn record(&self, host: &str, port: u16) -> Result<Record, TransportError> {
        self.named(match port {
            22 => host.to_ascii_lowercase(),
            _ => format!("[{}]:{port}", host.to_ascii_lowercase()),
        })
    }

    /// The same under a name that stands for the host and its port.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub(super) fn named(&self, name: String) -> Result<Record, TransportError> {
        let mut record = Record {
            name,
            ..Record::default()
        };
        for file in std::iter::once(&self.file).chain(&self.also) {
            match std::fs::read(file) {
                Ok(text) => record.add(file.clone(), &text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("read", file, source)),
            }
        }
        Ok(record)
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
        match record.judge(shown) {
            Verdict::Unknown if self.accept_new => {
                let (record, verdict) = self
                    .learn(&record.name, shown)
                    .map_err(|source| failed("add to", &self.file, source))?;
                self.told(&record, verdict, address, shown)
            }
            verdict => self.told(record, verdict, address, shown),
        }
    }

    /// Whether the host with this record may show this certificate. ssh trusts the key in it, too, if that
    /// is on record.
    ///
    /// # Errors
    /// Why it is not trusted.
    pub(super) fn check_certificate(
        &self,
        record: &Record,
        address: &str,
        shown: &Certificate,
    ) -> Result<(), TransportError> {
        let key = PublicKey::from(shown.public_key().clone());
        self.told(record, record.judge_certificate(shown, &key), address, &key)
    }

    fn told(
        &self,
        record: &Record,
        verdict: Verdict,
        address: &str,
        shown: &PublicKey,
    ) -> Result<(), TransportError> {
        let (address, fingerprint) = (address.to_owned(), fingerprint(shown));
        Err(match verdict {
            Verdict::Trusted => return Ok(()),
            Verdict::Unknown => TransportError::UnknownKey {
                address,
                fingerprint,
                known_hosts: self.file.display().to_string(),
            },
            Verdict::Changed(line) => {
                let (known_hosts, line) = record.place(line);
                TransportError::ChangedKey {
                    address,
                    fingerprint,
                    known_hosts,
                    line,
                }
            }
            Verdict::Revoked(line) => {
                let (known_hosts, line) = record.place(line);
                TransportError::RevokedKey {
                    address,
                    fingerprint,
                    known_hosts,
                    line,
                }
            }
            Verdict::Unreadable(line, reason) => {
                let (known_hosts, line) = record.place(line);
                TransportError::UnreadableKey {
                    address,
                    known_hosts,
                    line,
                    reason,
                }
            }
            Verdict::Certified(line, reason) => {
                let (known_hosts, line) = record.place(line);
                TransportError::CertifiedKey {
                    reason,
                    address,
                    fingerprint,
                    known_hosts,
                    line,
                }
            }
        })
    }

    /// Records a key, unless there is a record by now: hosts are reached at the same time, and many of
    /// them through the same jump host.
    fn learn(&self, name: &str, shown: &PublicKey) -> io::Result<(Record, Verdict)> {
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
        let mut record = Record {
            name: name.to_owned(),
            ..Record::default()
        };
        record.add(self.file.clone(), &text);
        let verdict = record.judge(shown);
        if verdict != Verdict::Unknown {
            return Ok((record, verdict));
        }
        let torn = text.last().is_some_and(|last| *last != b'\n');
        let key = shown.to_openssh().map_err(io::Error::other)?;
        let start = if torn { "\n" } else { "" };
        file.write_all(format!("{start}{name} {key}\n").as_bytes())?;
        Ok((record, Verdict::Trusted))
    }
}

fn failed(action: &'static str, file: &Path, source: io::Error) -> TransportError {
    TransportError::KnownHosts {
        action,
        path: file.display().to_string(),
        source,
    }
}

/// The fingerprint as ssh-keygen shows it.
fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests;
