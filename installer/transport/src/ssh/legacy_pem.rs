//! The passphrase of private keys in PEM as OpenSSL wrote them before PKCS#8, and `ssh-keygen -m PEM` does
//! still: two header lines, a key made of the passphrase by MD5, AES in CBC mode. It reads, and never writes.

use crate::Secret;
use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Why such a key is not read.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum PemError {
    #[error("it is encrypted with {0}, which is not known here")]
    Cipher(String),
    #[error("its header or its base64 is damaged")]
    Damaged,
}

/// Whether a text is such a key.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("DEK-Info:"))
}

/// The same key without the passphrase; `None` when the passphrase is another.
pub(super) fn decrypt(text: &str, passphrase: &Secret) -> Result<Option<Secret>, PemError> {
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let info = header("DEK-Info:").ok_or(PemError::Damaged)?;
    let (cipher, salt) = info.trim().split_once(',').ok_or(PemError::Damaged)?;
    let iv: [u8; 16] = match cipher {
        "AES-128-CBC" | "AES-192-CBC" | "AES-256-CBC" => {
            let bytes = hexadecimal(salt.trim()).ok_or(PemError::Damaged)?;
            bytes.try_into().map_err(|_| PemError::Damaged)?
        }
        other => return Err(PemError::Cipher(other.into())),
    };
    let begin = text.lines().find(|line| line.starts_with("-----BEGIN "));
    let begin = begin.ok_or(PemError::Damaged)?;
    let body: String = text
        .lines()
        .skip_while(|line| *line != begin)
        .skip(1)
        .take_while(|line| !line.starts_with("-----"))
        .filter(|line| !line.contains(':'))
        .collect();
    let mut body = STANDARD.decode(body).map_err(|_| PemError::Damaged)?;
    let key = key(passphrase, &iv);
    let opened = match cipher {
        "AES-128-CBC" => open::<cbc::Decryptor<Aes128>>(&key[..16], &iv, &mut body),
        "AES-192-CBC" => open::<cbc::Decryptor<Aes192>>(&key[..24], &iv, &mut body),
        _ => open::<cbc::Decryptor<Aes256>>(&key, &iv, &mut body),
    };
    Ok(opened.map(|der| {
        let end = begin.replace("BEGIN", "END");
        Secret::new(format!("{begin}\n{}\n{end}\n", STANDARD.encode(der)))
    }))
}

/// The key of a passphrase (EVP_BytesToKey of OpenSSL, one round of MD5, the first eight bytes of the
/// initialisation vector as salt).
fn key(passphrase: &Secret, iv: &[u8; 16]) -> [u8; 32] {
    let half = |before: &[u8]| {
        let mut hash = md5::Context::new();
        hash.consume(before);
        hash.consume(passphrase.expose());
        hash.consume(&iv[..8]);
        hash.finalize().0
    };
    let first = half(&[]);
    let second = half(&first);
    let mut key = [0; 32];
    key[..16].copy_from_slice(&first);
    key[16..].copy_from_slice(&second);
    key
}

fn open<D: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    body: &mut [u8],
) -> Option<Vec<u8>> {
    let cipher = D::new_from_slices(key, iv).ok()?;
    let plain = cipher.decrypt_padded::<Pkcs7>(body).ok()?;
    Some(plain.to_vec())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|sign| sign.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
