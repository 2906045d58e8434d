//! Which host keys are trusted (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use russh::keys::{self, HashAlg, PublicKey};
use std::path::PathBuf;

/// The file of trusted host keys, and what to do about hosts it does not have.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    /// The file.
    pub file: PathBuf,
    /// Whether a key of a host without an entry is trusted and recorded. A key that differs from the
    /// recorded one is never accepted.
    pub accept_new: bool,
}

/// How a shown key compares with the record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    Unknown,
    Changed(usize),
}

impl KnownHosts {
    pub(super) fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let recorded =
            keys::known_hosts::known_host_keys_path(host, port, &self.file).unwrap_or_default();
        if recorded
            .iter()
            .any(|(_, known)| known.key_data() == key.key_data())
        {
            return Verdict::Trusted;
        }
        // Another key on record means the host is known: that it shows a key of another type instead
        // is no reason to trust it.
        if let Some((line, _)) = recorded.first() {
            return Verdict::Changed(*line);
        }
        if self.accept_new
            && keys::known_hosts::learn_known_hosts_path(host, port, key, &self.file).is_ok()
        {
            return Verdict::Trusted;
        }
        Verdict::Unknown
    }
}

/// The fingerprint as ssh-keygen shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    #[test]
    fn only_recorded_keys_are_trusted_and_a_changed_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (
            PublicKey::from_openssh(A).unwrap(),
            PublicKey::from_openssh(B).unwrap(),
        );
        let mut known = KnownHosts {
            file: dir.path().join("known_hosts"),
            accept_new: false,
        };
        assert_eq!(known.judge("10.0.0.1", 22, &a), Verdict::Unknown);
        known.accept_new = true;
        assert_eq!(known.judge("10.0.0.1", 22, &a), Verdict::Trusted);
        known.accept_new = false;
        assert_eq!(known.judge("10.0.0.1", 22, &a), Verdict::Trusted);
        known.accept_new = true;
        assert!(matches!(
            known.judge("10.0.0.1", 22, &b),
            Verdict::Changed(_)
        ));
        assert_eq!(known.judge("10.0.0.1", 2222, &b), Verdict::Trusted);
    }
}
