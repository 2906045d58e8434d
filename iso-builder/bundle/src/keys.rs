//! Whom a site trusts to sign bundles: minisign public keys, and the check against them.
//!
//! The formats are those of minisign (jedisct1.github.io/minisign, sections "Signature
//! format" and "Public key format"). Never touches secret keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Public keys, any one of which may have signed a bundle.
#[derive(Clone, Debug)]
pub struct TrustedKeys {
    keys: Vec<(KeyId, PublicKey)>,
}

/// The number minisign gives a key pair, printed as minisign prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why trusted keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the public key {path}: name a file made by `iso-builder keygen`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no public key.
    #[error(
        "{place} is not a minisign public key: it should be one line of 56 characters, \
         after an optional comment line, as in the .pub file of `iso-builder keygen`"
    )]
    Parse {
        /// The file or argument.
        place: String,
    },
    /// There is nothing to trust.
    #[error("no trusted key was given: name the public key that signed the bundle with --trust")]
    Empty,
}

/// Why a signature does not hold.
#[derive(Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The signature file is no minisign signature.
    Unreadable,
    /// It was made with a key that is not trusted.
    UnknownKey(KeyId),
    /// It was made with a trusted key, for other bytes.
    Mismatch(KeyId),
}

impl TrustedKeys {
    /// Reads key files (`.pub`).
    ///
    /// # Errors
    /// When a file cannot be read or is no public key, or when none is named.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self, KeyError> {
        let keys = paths
            .iter()
            .map(|path| {
                let text = std::fs::read_to_string(path).map_err(|source| KeyError::Read {
                    path: path.clone(),
                    source,
                })?;
                parse(&text, &path.display().to_string())
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::not_empty(keys)
    }

    /// Reads one key file.
    ///
    /// # Errors
    /// When the file cannot be read or is no public key.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        Self::from_files(&[path.to_owned()])
    }

    /// Takes keys in their one-line form.
    ///
    /// # Errors
    /// When one is no public key, or when none is given.
    pub fn from_base64<S: AsRef<str>>(texts: &[S]) -> Result<Self, KeyError> {
        let keys = texts
            .iter()
            .map(|text| parse(text.as_ref(), &format!("`{}`", text.as_ref())))
            .collect::<Result<Vec<_>, _>>()?;
        Self::not_empty(keys)
    }

    /// The keys' numbers, in the order given.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|(id, _)| *id).collect()
    }

    fn not_empty(keys: Vec<(KeyId, PublicKey)>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            Err(KeyError::Empty)
        } else {
            Ok(Self { keys })
        }
    }

    /// Checks the text of a `.minisig` file over `message`; returns the key that signed.
    ///
    /// # Errors
    /// When the signature cannot be read, is by a stranger, or is for other bytes.
    pub fn check(&self, message: &[u8], signature: &str) -> Result<KeyId, SignatureError> {
        let id = signature_key(signature).ok_or(SignatureError::Unreadable)?;
        let parsed = Signature::decode(signature).map_err(|_| SignatureError::Unreadable)?;
        let (_, key) = self
            .keys
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or(SignatureError::UnknownKey(id))?;
        // Legacy (not prehashed) signatures are never written by us, so they are refused.
        key.verify(message, &parsed, false)
            .map_err(|_| SignatureError::Mismatch(id))?;
        Ok(id)
    }
}

fn parse(text: &str, place: &str) -> Result<(KeyId, PublicKey), KeyError> {
    let refuse = || KeyError::Parse {
        place: place.to_owned(),
    };
    let line = text.trim().lines().last().unwrap_or_default().trim();
    let id = key_number(line, 42).ok_or_else(refuse)?;
    let key = PublicKey::from_base64(line).map_err(|_| refuse())?;
    Ok((id, key))
}

fn signature_key(text: &str) -> Option<KeyId> {
    key_number(text.lines().nth(1)?.trim(), 74)
}

/// Both formats begin with a two-byte algorithm and the eight-byte key number.
fn key_number(base64: &str, length: usize) -> Option<KeyId> {
    let bytes = STANDARD
        .decode(base64)
        .ok()
        .filter(|bytes| bytes.len() == length)?;
    bytes.get(2..10)?.try_into().ok().map(KeyId)
}
