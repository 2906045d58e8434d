//! Signs bundles with a minisign secret key, and makes key pairs. The only place that sees one.
//!
//! A signature has no date in it, so that the same bundle and key give the same bytes.

use ingot_bundle::Digest;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Environment variable with the password of the secret key.
pub const PASSWORD: &str = "INGOT_KEY_PASSWORD";

/// A secret key, ready to sign.
pub struct Signer {
    secret: SecretKey,
    public: PublicKey,
    /// Identifies the key file for the cache, without telling anything about the key.
    pub identity: Digest,
}

/// Why there is no signature or key.
#[derive(Debug, Error)]
pub enum SignError {
    /// The key file cannot be read.
    #[error("cannot read the secret key {path}: make one with `iso-builder keygen`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key file is no secret key, or the password is wrong.
    #[error(
        "cannot use the secret key {path}: it is no minisign secret key, or {PASSWORD} is not \
         its password"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What minisign said.
        source: minisign::PError,
    },
    /// A key pair would be overwritten.
    #[error("{path} exists; name another place, since a lost key cannot be made again")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A key file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signing failed.
    #[error("cannot sign")]
    Sign(#[source] minisign::PError),
}

impl Signer {
    /// Reads a secret key file. An encrypted one needs its password in [`PASSWORD`].
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn load(path: &Path) -> Result<Self, SignError> {
        let text = fs::read_to_string(path).map_err(|source| SignError::Read {
            path: path.to_owned(),
            source,
        })?;
        let refused = |source| SignError::Key {
            path: path.to_owned(),
            source,
        };
        let parse = || SecretKeyBox::from_string(&text).map_err(refused);
        let secret = match std::env::var(PASSWORD) {
            Ok(password) => parse()?.into_secret_key(Some(password)).map_err(refused)?,
            // Never ask: builds run without a person.
            Err(_) => parse()?.into_unencrypted_secret_key().map_err(refused)?,
        };
        let public = PublicKey::from_secret_key(&secret).map_err(refused)?;
        Ok(Self {
            secret,
            public,
            identity: Digest::of(text.as_bytes()),
        })
    }

    /// The text of the signature file over `bytes`.
    ///
    /// # Errors
    /// When minisign refuses.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let trusted = "signed by iso-builder over bundle.json";
        let untrusted = "signature of an Ingot bundle";
        minisign::sign(
            Some(&self.public),
            &self.secret,
            bytes,
            Some(trusted),
            Some(untrusted),
        )
        .map(minisign::SignatureBox::into_string)
        .map_err(SignError::Sign)
    }
}

/// Makes a key pair: `<stem>.key` (mode 0600) and `<stem>.pub`. The secret key is encrypted if
/// [`PASSWORD`] is set.
///
/// # Errors
/// When a file exists or cannot be written.
pub fn generate(stem: &Path) -> Result<(PathBuf, PathBuf), SignError> {
    let (secret, public) = (stem.with_extension("key"), stem.with_extension("pub"));
    for path in [&secret, &public] {
        if path.exists() {
            return Err(SignError::Exists { path: path.clone() });
        }
    }
    let password = std::env::var(PASSWORD).ok();
    let pair = match &password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password.clone())),
        None => KeyPair::generate_unencrypted_keypair(),
    }
    .map_err(SignError::Sign)?;
    let secret_text = pair
        .sk
        .to_box(Some("Ingot bundle secret key"))
        .map_err(SignError::Sign)?;
    let public_text = pair.pk.to_box().map_err(SignError::Sign)?;
    write_new(&secret, &secret_text.into_string(), 0o600)?;
    write_new(&public, &public_text.into_string(), 0o644)?;
    Ok((secret, public))
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), SignError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| SignError::Write {
            path: path.to_owned(),
            source,
        })
}
