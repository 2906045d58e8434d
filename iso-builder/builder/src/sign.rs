//! Signs bundles with a minisign secret key, and makes key pairs. The only place that sees one.
//!
//! A signature has neither a date nor randomness in it (RFC 8032 needs none), so that the same
//! bundle and key give the same bytes. The minisign crate adds randomness to each signature;
//! therefore it only reads and makes keys here, and the signature is written by this module in
//! minisign's format (jedisct1.github.io/minisign, section "Signature format").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signer as _, SigningKey};
use ingot_bundle::Digest;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Environment variable with the password of the secret key.
pub const PASSWORD: &str = "INGOT_KEY_PASSWORD";

/// A secret key, ready to sign.
pub struct Signer {
    secret: SigningKey,
    /// The number by which minisign finds the public key.
    key_number: [u8; 8],
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
    /// The key file contradicts itself.
    #[error("the secret key {path} is damaged: its two halves do not belong together")]
    Layout {
        /// The file.
        path: PathBuf,
    },
    /// A key pair could not be made.
    #[error("cannot make a key pair")]
    Make(#[source] minisign::PError),
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
        let (secret, key_number) = parts(&secret).ok_or_else(|| SignError::Layout {
            path: path.to_owned(),
        })?;
        Ok(Self {
            secret,
            key_number,
            identity: Digest::of(text.as_bytes()),
        })
    }

    /// The text of the signature file over `bytes`.
    pub fn sign(&self, bytes: &[u8]) -> String {
        let trusted = "signed by iso-builder over bundle.json";
        let signature = self.secret.sign(&Blake2b512::digest(bytes)).to_bytes();
        let global = self
            .secret
            .sign(&[&signature[..], trusted.as_bytes()].concat())
            .to_bytes();
        // `ED` says that the message was hashed first.
        let line = [&b"ED"[..], &self.key_number, &signature].concat();
        format!(
            "untrusted comment: signature of an Ingot bundle\n{}\ntrusted comment: {trusted}\n{}\n",
            STANDARD.encode(line),
            STANDARD.encode(global)
        )
    }
}

/// Takes the seed and the number out of a decrypted key (section "Secret key format": three
/// algorithms of 2 bytes, salt 32, two limits of 8, number 8, seed 32, public key 32, checksum).
fn parts(secret: &SecretKey) -> Option<(SigningKey, [u8; 8])> {
    let bytes = secret.to_bytes();
    let seed: [u8; 32] = bytes.get(62..94)?.try_into().ok()?;
    let key = SigningKey::from_bytes(&seed);
    // The public half that the file carries must be the one of this seed.
    (bytes.get(94..126)? == key.verifying_key().as_bytes())
        .then_some((key, bytes.get(54..62)?.try_into().ok()?))
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
    .map_err(SignError::Make)?;
    let secret_text = pair
        .sk
        .to_box(Some("Ingot bundle secret key"))
        .map_err(SignError::Make)?;
    let public_text = pair.pk.to_box().map_err(SignError::Make)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_bundle::TrustedKeys;

    #[test]
    fn signatures_hold_and_are_the_same_every_time() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (secret, public) = generate(&folder.path().join("site"))?;
        let signer = Signer::load(&secret)?;
        let keys = TrustedKeys::from_file(&public)?;
        for message in [&b""[..], b"{}", &[7; 100_000]] {
            let signature = signer.sign(message);
            assert_eq!(signature, signer.sign(message));
            assert!(keys.check(message, &signature).is_ok());
            assert!(keys.check(b"other", &signature).is_err());
        }
        Ok(())
    }
}
