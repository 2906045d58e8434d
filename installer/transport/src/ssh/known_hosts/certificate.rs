//! Certificates of hosts (PROTOCOL.certkeys of OpenSSH): whether an authority that is trusted for a host has
//! signed that this key is its own, for now, and under the name by which it is reached.

use super::{Record, Said, Verdict};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey};
use std::time::{SystemTime, UNIX_EPOCH};

impl Record {
    /// What is to be thought of a certificate; `key` is the one in it.
    pub(super) fn judge_certificate(&self, shown: &Certificate, key: &PublicKey) -> Verdict {
        for (line, said) in &self.lines {
            match said {
                Said::Revoked(revoked)
                    if revoked.key_data() == key.key_data()
                        || revoked.key_data() == shown.signature_key() =>
                {
                    return Verdict::Revoked(*line);
                }
                Said::Unreadable {
                    reason,
                    marked: true,
                } => return Verdict::Unreadable(*line, reason.clone()),
                _ => {}
            }
        }
        let signed_by =
            |(_, authority): &(usize, &PublicKey)| authority.key_data() == shown.signature_key();
        let Some((line, authority)) = self.authorities().find(signed_by) else {
            // Signed by somebody else: the key may be on record by itself.
            return match (self.judge(key), self.authorities().next()) {
                (Verdict::Trusted, _) => Verdict::Trusted,
                (_, Some((line, _))) => Verdict::Certified(
                    line,
                    "the host shows a certificate of another authority".into(),
                ),
                (verdict, None) => verdict,
            };
        };
        match self.fault(shown, authority) {
            None => Verdict::Trusted,
            Some(reason) => Verdict::Certified(line, reason),
        }
    }

    /// What is wrong with a certificate of this authority.
    fn fault(&self, shown: &Certificate, authority: &PublicKey) -> Option<String> {
        if shown.cert_type() != CertType::Host {
            return Some("the host shows a certificate of a user".into());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map(|since| since.as_secs()).unwrap_or_default();
        if now < shown.valid_after() {
            return Some("its certificate is not valid yet; compare the clocks".into());
        }
        if now >= shown.valid_before() {
            return Some("its certificate has ended".into());
        }
        // An empty list would be good for each host of the world; OpenSSH takes none like that.
        if !shown
            .valid_principals()
            .iter()
            .any(|name| self.is_named(name))
        {
            return Some(format!(
                "its certificate is for {}, not for {}",
                match shown.valid_principals() {
                    [] => "no name".to_owned(),
                    names => names.join(", "),
                },
                self.host()
            ));
        }
        if !shown.critical_options().is_empty() {
            return Some("its certificate has options that are not known".into());
        }
        let fingerprint = authority.fingerprint(HashAlg::Sha256);
        shown
            .validate_at(now, [&fingerprint])
            .err()
            .map(|_| "its certificate has no valid signature".into())
    }

    /// The host without its port.
    fn host(&self) -> &str {
        match self.name.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
            None => &self.name,
        }
    }

    fn is_named(&self, principal: &str) -> bool {
        super::line::matches(principal, self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::{Algorithm, PrivateKey};

    fn new_key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    struct Case {
        kind: CertType,
        principals: &'static [&'static str],
        valid: (i64, i64),
        option: bool,
    }

    const GOOD: Case = Case {
        kind: CertType::Host,
        principals: &["cp1.site", "cp1"],
        valid: (-60, 60),
        option: false,
    };

    fn certificate(authority: &PrivateKey, host: &PrivateKey, case: &Case) -> Certificate {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = |offset: i64| now.as_secs().saturating_add_signed(offset);
        let (from, to) = (at(case.valid.0), at(case.valid.1));
        let mut builder =
            Builder::new_with_random_nonce(&mut safe_rng(), host.public_key(), from, to).unwrap();
        builder.cert_type(case.kind).unwrap();
        for principal in case.principals {
            builder.valid_principal(*principal).unwrap();
        }
        if case.principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        if case.option {
            builder
                .critical_option("source-address", "10.0.0.0/8")
                .unwrap();
        }
        builder.sign(authority).unwrap()
    }

    fn verdict(known: &str, shown: &Certificate) -> Verdict {
        let key = PublicKey::from(shown.public_key().clone());
        Record::of("[cp1]:2222".into(), known.as_bytes()).judge_certificate(shown, &key)
    }

    fn line(mark: &str, key: &PrivateKey) -> String {
        format!("{mark}* {}\n", key.public_key().to_openssh().unwrap())
    }

    #[test]
    fn what_the_authority_has_signed_for_this_host_is_trusted() {
        let (authority, host) = (new_key(), new_key());
        let known = line("@cert-authority ", &authority);
        assert_eq!(
            verdict(&known, &certificate(&authority, &host, &GOOD)),
            Verdict::Trusted
        );
    }

    #[test]
    fn each_fault_of_a_certificate_is_told() {
        let (authority, host) = (new_key(), new_key());
        let known = format!("# ours\n{}", line("@cert-authority ", &authority));
        for (case, reason) in [
            (
                Case {
                    kind: CertType::User,
                    ..GOOD
                },
                "the host shows a certificate of a user",
            ),
            (
                Case {
                    principals: &["cp2"],
                    ..GOOD
                },
                "its certificate is for cp2, not for cp1",
            ),
            (
                Case {
                    principals: &[],
                    ..GOOD
                },
                "its certificate is for no name, not for cp1",
            ),
            (
                Case {
                    valid: (-60, -30),
                    ..GOOD
                },
                "its certificate has ended",
            ),
            (
                Case {
                    valid: (3000, 6000),
                    ..GOOD
                },
                "its certificate is not valid yet; compare the clocks",
            ),
            (
                Case {
                    option: true,
                    ..GOOD
                },
                "its certificate has options that are not known",
            ),
        ] {
            assert_eq!(
                verdict(&known, &certificate(&authority, &host, &case)),
                Verdict::Certified(2, reason.into())
            );
        }
    }

    #[test]
    fn another_authority_is_nobody_and_a_revoked_one_is_worse() {
        let (authority, other, host) = (new_key(), new_key(), new_key());
        let shown = certificate(&other, &host, &GOOD);
        let known = line("@cert-authority ", &authority);
        assert_eq!(
            verdict(&known, &shown),
            Verdict::Certified(
                1,
                "the host shows a certificate of another authority".into()
            )
        );
        // The key itself may be on record.
        let with_key = format!("{known}{}", line("", &host));
        assert_eq!(verdict(&with_key, &shown), Verdict::Trusted);
        let shown = certificate(&authority, &host, &GOOD);
        for revoked in [&authority, &host] {
            let known = format!("{known}{}", line("@revoked ", revoked));
            assert_eq!(verdict(&known, &shown), Verdict::Revoked(2));
        }
    }
}
