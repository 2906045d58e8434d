//! Which certificates are due, and what becomes of their keys.

use super::*;
use crate::pki::{Authorities, Authority};

fn wanted() -> CertificateRequest {
    CertificateRequest {
        path: "/x/apiserver".into(),
        authority: Authority::Cluster,
        common_name: "kube-apiserver".into(),
        organization: Some("o".into()),
        dns_names: vec!["a".into(), "b".into()],
        addresses: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        usages: vec![Usage::Server],
    }
}

#[test]
fn a_fresh_certificate_is_current_and_every_difference_is_named() {
    let authorities = Authorities::generate().unwrap();
    let trust = authorities.certificate(Authority::Cluster);
    let (pem, key) = authorities
        .issue(&wanted(), std::time::Duration::from_secs(365 * 86400))
        .unwrap();
    assert_eq!(check(&wanted(), &pem, &key, trust), Ok(()));
    let reason = |change: &dyn Fn(&mut CertificateRequest)| {
        let mut changed = wanted();
        change(&mut changed);
        check(&changed, &pem, &key, trust).unwrap_err()
    };
    assert_eq!(reason(&|c| c.common_name.push('x')), "its subject changed");
    assert_eq!(reason(&|c| c.organization = None), "its subject changed");
    assert_eq!(
        reason(&|c| c.dns_names.push("c".into())),
        "its names changed"
    );
    assert_eq!(reason(&|c| c.addresses.truncate(1)), "its names changed");
    assert_eq!(
        reason(&|c| c.usages = vec![Usage::Client]),
        "its usages changed"
    );
    let other = Authorities::generate().unwrap();
    let foreign = other.certificate(Authority::Cluster);
    assert_eq!(
        check(&wanted(), &pem, &key, foreign).unwrap_err(),
        "another authority signed it"
    );
    let (_, other_key) = other
        .issue(&wanted(), std::time::Duration::from_secs(86400))
        .unwrap();
    assert_eq!(
        check(&wanted(), &pem, &other_key, trust).unwrap_err(),
        "its key is another one"
    );
    let (old, old_key) = authorities
        .issue(&wanted(), std::time::Duration::from_secs(120))
        .unwrap();
    assert_eq!(
        check(&wanted(), &old, &old_key, trust).unwrap_err(),
        "it is valid for 0 more days only"
    );
}

/// A host with one certificate of `authorities`; its key.
fn issued(host: &SecretFiles, authorities: &Authorities) -> String {
    let (requests, _) = due(host, &[here()], &authorities.public_files(&["ca.crt"])).unwrap();
    let signed = requests.iter().map(|request| authorities.sign(request));
    let signed: Vec<Signed> = signed.map(Result::unwrap).collect();
    assert_eq!(install(host, &signed), Ok(1));
    host.read(&format!("{}.key", here().path)).unwrap()
}

fn here() -> CertificateRequest {
    CertificateRequest {
        path: format!("{}/apiserver", crate::paths::PKI),
        ..wanted()
    }
}

#[test]
fn the_key_of_a_certificate_that_somebody_opened_is_closed_again() {
    let directory = tempfile::tempdir().unwrap();
    let host = SecretFiles::below(directory.path());
    let authorities = Authorities::generate().unwrap();
    issued(&host, &authorities);
    let trust = authorities.public_files(&["ca.crt"]);
    assert_eq!(due(&host, &[here()], &trust), Ok((Vec::new(), 0)));
    let key = format!("{}.key", here().path);
    host.chmod(&key, 0o644);
    assert_eq!(due(&host, &[here()], &trust), Ok((Vec::new(), 1)));
    assert_eq!(host.mode(&key), 0o600);
}

#[test]
fn a_key_that_was_replaced_is_kept_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let host = SecretFiles::below(directory.path());
    let (first, second) = (
        Authorities::generate().unwrap(),
        Authorities::generate().unwrap(),
    );
    let old = issued(&host, &first);
    let secret = old.lines().nth(1).unwrap();
    let new = issued(&host, &second);
    assert_ne!(old, new);
    assert!(!host.journal_has(secret), "after it was replaced");

    // A run that was killed between the two: the next one makes up for it.
    host.write(&pair(&here().path, String::new(), old.clone()))
        .unwrap();
    host.write(&pair(&here().path, String::new(), new)).unwrap();
    assert!(host.journal_has(secret), "nobody has come to it yet");
    due(&host, &[here()], &second.public_files(&["ca.crt"])).unwrap();
    assert!(!host.journal_has(secret), "after the next run");
}
