//! The certificates of this host: are they as wanted, and if not, a key and a request for a new one.
//!
//! A new key lies beside the old one (`.key.new`) until its certificate comes, so that the pair in use
//! is whole at every moment, also when the installer is killed in between. A key that was replaced is kept nowhere.

use super::protocol::AuthorityFile;
use super::secret_files::{SecretFiles, Wanted};
use crate::pki::{CertificateRequest, Signed, SigningRequest, Usage};
use rcgen::KeyPair;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::X509Certificate;

/// The requests for all certificates that are due on this host. Modes of the others that somebody changed are put
/// right; the number is how many.
///
/// # Errors
/// When a key cannot be made or kept.
pub fn due(
    host: &SecretFiles,
    wanted: &[CertificateRequest],
    trust: &[AuthorityFile],
) -> Result<(Vec<SigningRequest>, usize), String> {
    let trusted: BTreeMap<&str, &str> = trust
        .iter()
        .map(|f| (f.name.as_str(), f.content.as_str()))
        .collect();
    // Also of runs that were killed before they came to it.
    host.forget(is_key)?;
    let (mut requests, mut fresh, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for request in wanted {
        let authority = trusted
            .get(format!("{}.crt", request.authority.file()).as_str())
            .copied();
        let reason = match current(host, request, authority) {
            Ok(pair) => {
                kept.extend(pair);
                continue;
            }
            Err(reason) => reason,
        };
        let path = format!("{}.key.new", request.path);
        let key = match host
            .read(&path)
            .ok()
            .and_then(|pem| KeyPair::from_pem(&pem).ok())
        {
            Some(key) => key,
            None => {
                let key =
                    KeyPair::generate().map_err(|error| format!("cannot make a key: {error}"))?;
                fresh.push((path, key.serialize_pem(), 0o600));
                key
            }
        };
        requests.push(SigningRequest {
            wanted: request.clone(),
            public_key: key.public_key_pem(),
            reason,
        });
    }
    // Through the journal, so that a reset finds them where no certificate came.
    host.write(&fresh)?;
    Ok((requests, host.write(&kept)?))
}

/// A certificate and its key, as they shall lie on the host.
fn pair(path: &str, certificate: String, key: String) -> [Wanted; 2] {
    [
        (format!("{path}.crt"), certificate, 0o644),
        (format!("{path}.key"), key, 0o600),
    ]
}

fn is_key(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".key") || name.ends_with(".key.new")
}

/// Puts signed certificates and their new keys in place; returns how many.
///
/// # Errors
/// When a key is missing or a file cannot be written.
pub fn install(host: &SecretFiles, signed: &[Signed]) -> Result<usize, String> {
    let mut files = Vec::new();
    for certificate in signed {
        let fresh = format!("{}.key.new", certificate.path);
        let key = host
            .read(&fresh)
            .map_err(|error| format!("cannot read {fresh}: {error}"))?;
        let content = certificate.certificate.clone();
        files.extend(pair(&certificate.path, content, key));
    }
    host.write(&files)?;
    for certificate in signed {
        host.remove(&format!("{}.key.new", certificate.path));
    }
    host.forget(is_key)?;
    Ok(signed.len())
}

/// The certificate on disk and its key, if it is as wanted; if not, why it is due.
fn current(
    host: &SecretFiles,
    wanted: &CertificateRequest,
    authority: Option<&str>,
) -> Result<[Wanted; 2], String> {
    let read = |suffix: &str| host.read(&format!("{}.{suffix}", wanted.path));
    let (Ok(certificate), Ok(key)) = (read("crt"), read("key")) else {
        return Err("it does not exist".into());
    };
    let authority = authority.ok_or("its authority is not known here")?;
    check(wanted, &certificate, &key, authority)?;
    Ok(pair(&wanted.path, certificate, key))
}

fn check(
    wanted: &CertificateRequest,
    certificate: &str,
    key: &str,
    authority: &str,
) -> Result<(), String> {
    let unreadable = |what: &'static str| move |_| format!("{what} cannot be read");
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(unreadable("it"))?;
    let found = pem
        .parse_x509()
        .map_err(|_| "it cannot be read".to_owned())?;
    let (_, authority) =
        parse_x509_pem(authority.as_bytes()).map_err(unreadable("its authority"))?;
    let authority = authority
        .parse_x509()
        .map_err(|_| "its authority cannot be read".to_owned())?;
    if found
        .verify_signature(Some(authority.public_key()))
        .is_err()
    {
        return Err("another authority signed it".into());
    }
    let key = KeyPair::from_pem(key).map_err(|_| "its key cannot be read".to_owned())?;
    if found.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err("its key is another one".into());
    }
    let (begin, end) = (
        found.validity().not_before.timestamp(),
        found.validity().not_after.timestamp(),
    );
    let now = found
        .validity()
        .time_to_expiration()
        .map_or(0, |left| left.whole_seconds());
    if now * 10 < (end - begin) * 3 {
        return Err(format!("it is valid for {} more days only", now / 86400));
    }
    let subject = |oid: &str| -> Option<String> {
        found
            .subject()
            .iter_attributes()
            .find(|a| a.attr_type().to_id_string() == oid)
            .and_then(|a| a.as_str().ok())
            .map(Into::into)
    };
    if subject("2.5.4.3").as_deref() != Some(wanted.common_name.as_str())
        || subject("2.5.4.10") != wanted.organization
    {
        return Err("its subject changed".into());
    }
    let (names, addresses, usages) = details(&found);
    if names != wanted.dns_names || addresses != wanted.addresses {
        return Err("its names changed".into());
    }
    if usages != wanted.usages {
        return Err("its usages changed".into());
    }
    Ok(())
}

fn details(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>, Vec<Usage>) {
    let (mut names, mut addresses, mut usages) = (Vec::new(), Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                for name in &san.general_names {
                    match name {
                        GeneralName::DNSName(name) => names.push((*name).to_owned()),
                        GeneralName::IPAddress(bytes) => {
                            if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                                addresses.push(IpAddr::from(v4));
                            } else if let Ok(v6) = <[u8; 16]>::try_from(*bytes) {
                                addresses.push(IpAddr::from(v6));
                            }
                        }
                        _ => {}
                    }
                }
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                if usage.server_auth {
                    usages.push(Usage::Server);
                }
                if usage.client_auth {
                    usages.push(Usage::Client);
                }
            }
            _ => {}
        }
    }
    names.sort();
    addresses.sort();
    usages.sort();
    (names, addresses, usages)
}

#[cfg(test)]
mod tests;
