//! A private key file, in every form that OpenSSH reads: its own, PEM (PKCS#1, SEC1) and PKCS#8, each with
//! and without a passphrase. A file is never guessed at: what it begins with decides how it is read.

use super::legacy_pem;
use crate::{Secret, TransportError};
use russh::keys::ssh_key::{self, Algorithm};
use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a file holds.
#[derive(Debug)]
pub(super) enum KeyFile {
    /// A key that can sign.
    Private(Box<PrivateKey>),
    /// Half of one: the file holds no more, or the rest is locked. Why it cannot sign, with what to do.
    Public(PublicKey, String),
}

/// What is wrong with a key whose passphrase is not known.
const NO_PASSPHRASE: &str =
    "it has a passphrase; set INGOT_SSH_PASSPHRASE, or add it to an SSH agent";
const WRONG_PASSPHRASE: &str = "the passphrase in INGOT_SSH_PASSPHRASE does not open it";
/// How a file in another format becomes one that is read.
const CONVERT: &str = "write a copy of it in OpenSSH's format with `ssh-keygen -p -f COPY`";

/// Reads the key at `path`.
///
/// # Errors
/// When it is no key, or one that nothing can be done with.
pub(super) fn read(path: &Path, passphrase: Option<&Secret>) -> Result<KeyFile, TransportError> {
    let refuse = |reason: String| TransportError::Key {
        path: path.display().to_string(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    // What ends the lines, and blanks at their ends, come from editors and consoles.
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_end)
        .skip_while(|line| line.is_empty())
        .collect();
    let text = lines.join("\n") + "\n";
    if let Ok(public) = PublicKey::from_openssh(lines.first().copied().unwrap_or_default()) {
        let private = path.with_extension("");
        let hint = match path.extension().is_some_and(|ending| ending == "pub") {
            true => format!("name the private key, {}", private.display()),
            false => "name the private key that belongs to it".into(),
        };
        let why = format!("it is the public half of a key; {hint}, or add that to an SSH agent");
        return Ok(KeyFile::Public(public, why));
    }
    let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if let Some(mode) = too_open(&metadata) {
        return Err(refuse(format!(
            "others may read it (mode {mode:04o}); run `chmod 600` on it"
        )));
    }
    match decode(&text, passphrase) {
        Ok(key) if signs(&key) => Ok(KeyFile::Private(Box::new(key))),
        Ok(key) => Ok(KeyFile::Public(
            key.public_key().clone(),
            "it works with its security key only; plug that in and add the key to an SSH agent"
                .into(),
        )),
        Err(Locked::Knowing(public, why)) => Ok(KeyFile::Public(*public, why.into())),
        // The public half of a key in PEM is beside it, as ssh-keygen leaves it.
        Err(Locked::Closed(why)) => match beside(path) {
            Some(public) => Ok(KeyFile::Public(public, why.into())),
            None => Err(refuse(why.into())),
        },
        Err(Locked::Unreadable(why)) => Err(refuse(why)),
    }
}

/// The mode of a file that others may read, where OpenSSH refuses it for that.
fn too_open(metadata: &Metadata) -> Option<u32> {
    let own = std::fs::metadata("/proc/self").map(|me| me.uid());
    let is_ours = own.is_ok_and(|own| own == metadata.uid());
    (is_ours && metadata.mode() & 0o077 != 0).then_some(metadata.mode() & 0o7777)
}

fn beside(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PublicKey::read_openssh_file(Path::new(&name)).ok()
}

fn signs(key: &PrivateKey) -> bool {
    !matches!(
        key.algorithm(),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

/// Why a key is not usable.
enum Locked {
    /// It needs a passphrase, and says which key it is.
    Knowing(Box<PublicKey>, &'static str),
    /// It needs a passphrase.
    Closed(&'static str),
    Unreadable(String),
}

fn decode(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKey, Locked> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Locked::Unreadable(format!("it cannot be read ({error}); {CONVERT}"))
    };
    let begins = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    if begins("OPENSSH PRIVATE KEY") {
        let key = PrivateKey::from_openssh(text).map_err(|error| unreadable(&error))?;
        if !key.is_encrypted() {
            return Ok(key);
        }
        let public = Box::new(key.public_key().clone());
        let Some(passphrase) = passphrase else {
            return Err(Locked::Knowing(public, NO_PASSPHRASE));
        };
        return key
            .decrypt(passphrase.expose())
            .map_err(|error| match error {
                ssh_key::Error::Crypto => Locked::Knowing(public, WRONG_PASSPHRASE),
                other => unreadable(&other),
            });
    }
    if begins("ENCRYPTED PRIVATE KEY") {
        let Some(passphrase) = passphrase else {
            return Err(Locked::Closed(NO_PASSPHRASE));
        };
        // What a wrong passphrase opens is no key.
        return decode_secret_key(text, Some(passphrase.expose()))
            .map_err(|_| Locked::Closed(WRONG_PASSPHRASE));
    }
    if legacy_pem::is_encrypted(text) {
        let Some(passphrase) = passphrase else {
            return Err(Locked::Closed(NO_PASSPHRASE));
        };
        let opened = legacy_pem::decrypt(text, passphrase).map_err(|error| unreadable(&error))?;
        return opened
            .and_then(|text| decode_secret_key(text.expose(), None).ok())
            .ok_or(Locked::Closed(WRONG_PASSPHRASE));
    }
    let known = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    if known.into_iter().any(begins) {
        // No passphrase here, whatever the environment says: with one the library reads another format.
        return decode_secret_key(text, None).map_err(|error| unreadable(&error));
    }
    Err(Locked::Unreadable(foreign(text)))
}

/// What a file is that is no private key of OpenSSH.
fn foreign(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default().trim();
    if first.starts_with("PuTTY-User-Key-File") {
        return "it is a key of PuTTY; export it there as an OpenSSH key".into();
    }
    match first {
        "-----BEGIN DSA PRIVATE KEY-----" => {
            "it is a DSA key, which servers refuse; make one with `ssh-keygen -t ed25519`".into()
        }
        "" => "it is empty".into(),
        "---- BEGIN SSH2 PUBLIC KEY ----" => {
            "it is the public half of a key; name the private key".into()
        }
        label if label.starts_with("-----BEGIN ") => {
            let label = label.trim_start_matches("-----BEGIN ");
            format!("it is no private key but `{}`", label.trim_end_matches('-'))
        }
        _ => "it is no private key".into(),
    }
}

#[cfg(test)]
mod tests;
