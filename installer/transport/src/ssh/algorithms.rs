//! Which algorithms are offered to a server, the best first. What OpenSSH offers and our library has is
//! here: the defaults of a library never decide who can be reached.

use crate::TransportError;
use russh::keys::{Algorithm, HashAlg};
use russh::{AlgorithmKind, Preferred, cipher, kex, mac};
use std::borrow::Cow;

/// Key exchanges: those of OpenSSH's own list first, in its order. A server in FIPS mode has the NIST
/// curves and the Diffie-Hellman groups only.
const KEY_EXCHANGES: [kex::Name; 14] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
    // No key exchanges: what else the client understands.
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Authenticated ciphers (RFC 8439, RFC 5647 as OpenSSH has it), then what old servers have. AES first:
/// processors of servers have it built in, and a release is hundreds of megabytes for every host.
const CIPHERS: [cipher::Name; 6] = [
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Checksums for the ciphers that have none of their own; SHA-1 is last, as it is with OpenSSH.
const MACS: [mac::Name; 6] = [
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];

/// What is offered to a server: it is asked for a key of one of these types, in this order, and for
/// certificates of these types if an authority is trusted for it.
pub(super) fn preferred(keys: Vec<Algorithm>, certificates: Vec<Algorithm>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&KEY_EXCHANGES),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Borrowed(&CIPHERS),
        mac: Cow::Borrowed(&MACS),
        ..Preferred::DEFAULT
    }
}

/// Types of host keys, the best first; none that signs with SHA-1, as OpenSSH has it.
pub(super) fn host_keys() -> Vec<Algorithm> {
    let sha1 = Algorithm::Rsa { hash: None };
    let kinds = Preferred::DEFAULT.key.iter();
    kinds.filter(|kind| **kind != sha1).cloned().collect()
}

/// The hash an RSA key signs with, by what the server says that it takes: `None` when it does not say.
pub(super) fn rsa_hash(server: Option<Option<HashAlg>>) -> Option<HashAlg> {
    server.unwrap_or(Some(HashAlg::Sha512))
}

/// A server and we have no algorithm of a kind in common.
pub(super) fn none_in_common(
    address: &str,
    kind: &AlgorithmKind,
    ours: &[String],
    theirs: &[String],
) -> TransportError {
    let (what, setting) = match kind {
        AlgorithmKind::Kex => ("key exchange", "KexAlgorithms"),
        AlgorithmKind::Key => ("type of host key", "HostKeyAlgorithms"),
        AlgorithmKind::Cipher => ("cipher", "Ciphers"),
        AlgorithmKind::Mac => ("MAC", "MACs"),
        AlgorithmKind::Compression => ("compression", "Compression"),
    };
    let names = |list: &[String]| {
        let real = list.iter().map(String::as_str);
        let real = real.filter(|name| !name.starts_with("ext-info") && !name.contains("strict"));
        real.collect::<Vec<_>>().join(", ")
    };
    TransportError::NoCommonAlgorithm {
        address: address.to_owned(),
        what,
        theirs: names(theirs),
        ours: names(ours),
        setting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssh_may_offer_alone_is_offered() {
        let preferred = preferred(Vec::new(), Vec::new());
        let has = |list: &[&str], name: &str| assert!(list.contains(&name), "{name}");
        let kex: Vec<&str> = preferred.kex.iter().map(AsRef::as_ref).collect();
        // The client's list of ssh_config(5), but for sntrup761x25519-sha512, which the library lacks; then
        // what RHEL leaves in FIPS mode.
        for name in [
            "mlkem768x25519-sha256",
            "curve25519-sha256",
            "curve25519-sha256@libssh.org",
            "ecdh-sha2-nistp256",
            "ecdh-sha2-nistp384",
            "ecdh-sha2-nistp521",
            "diffie-hellman-group-exchange-sha256",
            "diffie-hellman-group16-sha512",
            "diffie-hellman-group18-sha512",
            "diffie-hellman-group14-sha256",
        ] {
            has(&kex, name);
        }
        let ciphers: Vec<&str> = preferred.cipher.iter().map(AsRef::as_ref).collect();
        for name in [
            "chacha20-poly1305@openssh.com",
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
        ] {
            has(&ciphers, name);
        }
        let macs: Vec<&str> = preferred.mac.iter().map(AsRef::as_ref).collect();
        for name in [
            "hmac-sha2-256-etm@openssh.com",
            "hmac-sha2-512-etm@openssh.com",
            "hmac-sha1-etm@openssh.com",
            "hmac-sha2-256",
            "hmac-sha2-512",
            "hmac-sha1",
        ] {
            has(&macs, name);
        }
    }

    #[test]
    fn both_lists_are_told_without_what_is_no_algorithm() {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let error = none_in_common(
            "10.0.0.1:22",
            &AlgorithmKind::Kex,
            &list(&[
                "curve25519-sha256",
                "ext-info-c",
                "kex-strict-c-v00@openssh.com",
            ]),
            &list(&["sntrup761x25519-sha512", "kex-strict-s-v00@openssh.com"]),
        );
        assert_eq!(
            error.to_string(),
            "the SSH server at 10.0.0.1:22 has no key exchange that is known here: it offers sntrup761x25519-sha512; known are curve25519-sha256; add one of these to `KexAlgorithms` in its sshd_config"
        );
    }
}
