use super::*;
use russh::keys::EcdsaCurve;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNJpdjwKdxphWLcErVWqeK99le1vZQ1vf5f6uge8ohv3A+5mX2Dl40UsynYF3cU0Bsqr92MlSG2XeaXa7YgHB6A=";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCz1zCnOnQP7Q3Kb5BykBO+FqBMAeGiQ+yHDwCUgzrV7wiawYIyifnn2R8TJe4v5vak0iyBMtxkK4ApmFBq0NORlY3iVwhCiaRwQwoOb5Cx2M1za9Sgiu/h7rD1mDWt0yCzlHUkt/VgwohTOl+VFCAgdgROk8PgHSYG0MeJ2CR+At3InCDOs6QPEwtdUb3GAzp3NRznHUCZlEjoZT7DS1lIaZKt4wjgCbQ0oLIFiZUNiyJeMZR4rEhhBzzyHcsK2r//08xlo0mqURuLfICPBv39nReF7Np7JkoUWObJQZ0JGRbWuTvsVM+Dl/KvG5G/o6zagvsjflYPOcsjC9U/6Y87";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

/// What is said of key `shown` by cp1, with `text` as the file and new keys accepted.
fn said(text: impl AsRef<[u8]>, shown: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let known = KnownHosts {
        file: dir.path().join("known_hosts"),
        also: Vec::new(),
        accept_new: true,
    };
    std::fs::write(&known.file, text.as_ref()).unwrap();
    let checked = known
        .record("cp1", 22)
        .and_then(|record| known.check(&record, "cp1:22", &key(shown)));
    let after = std::fs::read(&known.file).unwrap();
    match checked {
        Ok(()) if after == text.as_ref() => "trusted".into(),
        Ok(()) => "recorded".into(),
        Err(error) => {
            assert_eq!(after, text.as_ref(), "a refusal records nothing");
            error
                .to_string()
                .replace(&dir.path().display().to_string(), "~")
        }
    }
}

#[test]
fn only_recorded_keys_are_trusted_and_a_changed_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (key(A), key(B));
    let mut known = KnownHosts {
        file: dir.path().join(".ssh/known_hosts"),
        also: Vec::new(),
        accept_new: false,
    };
    let check = |known: &KnownHosts, port, key| {
        let record = known.record("Host1", port).unwrap();
        known.check(&record, "host1", key)
    };
    assert!(matches!(
        check(&known, 22, &a),
        Err(TransportError::UnknownKey { .. })
    ));
    known.accept_new = true;
    check(&known, 22, &a).unwrap();
    known.accept_new = false;
    check(&known, 22, &a).unwrap();
    known.accept_new = true;
    assert!(matches!(
        check(&known, 22, &b),
        Err(TransportError::ChangedKey { line: 1, .. })
    ));
    check(&known, 2222, &b).unwrap();
    let text = std::fs::read_to_string(&known.file).unwrap();
    assert_eq!(text, format!("host1 {A}\n[host1]:2222 {B}\n"));
}

#[test]
fn nothing_before_or_in_a_record_hides_it() {
    let changed = |line| {
        format!(
            "the SSH host key of cp1:22 is not the one in ~/known_hosts line {line} ({} now); the host was reinstalled, or someone is in between; remove the line only when you know which",
            fingerprint(&key(B))
        )
    };
    // Comments and empty lines count, and bytes that are no UTF-8 stop nothing.
    assert_eq!(said(format!("# x\n\ncp1 {A}\n"), B), changed(3));
    let latin = [b"w1 ssh-rsa AAAA J\xf6rg\ncp1 ", A.as_bytes(), b"\n"].concat();
    assert_eq!(said(latin, B), changed(2));
    assert_eq!(said(format!("w1 ssh-ed25519 AAAA\ncp1 {A}"), A), "trusted");
    // The line that is named is the one of the same type.
    assert_eq!(said(format!("cp1 {}\ncp1 {A}\n", ECDSA), B), changed(2));
    assert_eq!(said(format!("cp1 {}\n", ECDSA), B), changed(1));
}

#[test]
fn a_line_about_the_host_that_cannot_be_read_is_no_reason_to_trust() {
    let refused = "the SSH host key of cp1:22 cannot be checked: ~/known_hosts line 2 may be about it and has no key; mend that line, it is not guessed at";
    assert_eq!(said("# ours\ncp1 ssh-ed25519\n", A), refused);
    assert_eq!(said(format!("cp1 {B}\ncp1 ssh-ed25519\n"), A), refused);
    // A key that is on record all the same is trusted, unless the other line may take that back.
    assert_eq!(said(format!("cp1 {A}\ncp1 ssh-ed25519\n"), A), "trusted");
    assert_eq!(
        said(format!("cp1 {A}\n@revoked cp1 ssh-ed25519\n"), A),
        refused
    );
}

#[test]
fn revoked_keys_and_authorities_are_heeded() {
    let revoked = format!(
        "the SSH host key of cp1:22 ({}) is revoked by ~/known_hosts line 2: whoever has it may pose as the host; make the host a new key and add that",
        fingerprint(&key(A))
    );
    assert_eq!(said(format!("cp1 {A}\n@revoked * {A}\n"), A), revoked);
    assert_eq!(said(format!("cp1 {A}\n@revoked * {B}\n"), A), "trusted");
    assert_eq!(said(format!("@revoked * {B}\n"), A), "recorded");
    assert_eq!(
        said(format!("@cert-authority *,!w1 {B}\n"), A),
        format!(
            "the SSH host key of cp1:22 is not known ({}): ~/known_hosts line 1 names an authority for it, and the host shows no certificate; mend the certificate of the host (`HostCertificate` in its sshd_config), or compare the key with the host's console and add it to the file",
            fingerprint(&key(A))
        )
    );
    assert_eq!(
        said(format!("@cert-authority * {B}\ncp1 {A}\n"), A),
        "trusted"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let known = KnownHosts {
        file: dir.path().to_owned(),
        also: Vec::new(),
        accept_new: true,
    };
    let error = known.record("cp1", 22).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read the known SSH host keys in {}; mend that, or name another file with --known-hosts",
            dir.path().display()
        )
    );
    let known = KnownHosts {
        file: "/proc/no/known_hosts".into(),
        also: Vec::new(),
        accept_new: true,
    };
    let record = known.record("cp1", 22).unwrap();
    let error = known.check(&record, "cp1:22", &key(A)).unwrap_err();
    assert!(error.to_string().starts_with("cannot add to the known"));
}

#[test]
fn what_was_recorded_in_between_counts() {
    let dir = tempfile::tempdir().unwrap();
    let known = KnownHosts {
        file: dir.path().join("known_hosts"),
        also: Vec::new(),
        accept_new: true,
    };
    let before = known.record("cp1", 22).unwrap();
    known.check(&before, "cp1:22", &key(A)).unwrap();
    known.check(&before, "cp1:22", &key(A)).unwrap();
    assert!(matches!(
        known.check(&before, "cp1:22", &key(B)),
        Err(TransportError::ChangedKey { line: 1, .. })
    ));
    assert_eq!(
        std::fs::read_to_string(&known.file).unwrap(),
        format!("cp1 {A}\n")
    );
}

#[test]
fn recorded_types_are_asked_for_first() {
    let kinds = |text: &str| {
        let record = Record::of("cp1".into(), text.as_bytes());
        let kinds = record.preferred();
        assert_eq!(kinds.len(), algorithms::host_keys().len());
        kinds
    };
    assert_eq!(kinds(""), algorithms::host_keys());
    let curve = EcdsaCurve::NistP256;
    assert_eq!(
        kinds(&format!("cp1 {}\n", ECDSA))[..2],
        [Algorithm::Ecdsa { curve }, Algorithm::Ed25519]
    );
    assert!(
        kinds(&format!("cp1 {RSA}\n"))[..2]
            .iter()
            .all(|kind| matches!(kind, Algorithm::Rsa { .. }))
    );
}

#[test]
fn files_that_are_read_besides_are_heeded_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let known = KnownHosts {
        file: at("own"),
        also: vec![at("missing"), at("system"), at("more")],
        accept_new: true,
    };
    std::fs::write(at("own"), "# one\n# two\n").unwrap();
    std::fs::write(at("system"), format!("# ours\ncp1 {A}\n")).unwrap();
    std::fs::write(at("more"), format!("@revoked * {ECDSA}\n")).unwrap();
    let record = known.record("cp1", 22).unwrap();
    known.check(&record, "cp1:22", &key(A)).unwrap();
    let told = |text: &str| {
        let error = known.check(&record, "cp1:22", &key(text)).unwrap_err();
        error
            .to_string()
            .replace(&dir.path().display().to_string(), "~")
    };
    assert!(
        told(B).contains("is not the one in ~/system line 2 ("),
        "{}",
        told(B)
    );
    assert!(
        told(ECDSA).contains("is revoked by ~/more line 1:"),
        "{}",
        told(ECDSA)
    );
    // A new key is recorded in the first file.
    let record = known.record("cp2", 22).unwrap();
    known.check(&record, "cp2:22", &key(B)).unwrap();
    assert_eq!(
        std::fs::read_to_string(at("own")).unwrap(),
        format!("# one\n# two\ncp2 {B}\n")
    );
}
