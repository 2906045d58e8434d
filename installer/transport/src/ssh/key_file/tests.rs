use super::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A new key, made by ssh-keygen with these arguments, and its public half.
    fn key(&self, name: &str, passphrase: &str, arguments: &[&str]) -> (PathBuf, PublicKey) {
        let path = self.0.path().join(name);
        let output = Command::new("ssh-keygen")
            .args(["-q", "-C", "", "-N", passphrase, "-f"])
            .arg(&path)
            .args(arguments)
            .output()
            .expect("ssh-keygen of openssh-client");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        // What is read must be in the file itself.
        std::fs::remove_file(path.with_extension("pub")).unwrap();
        (path, public.parse().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn private(read: Result<KeyFile, TransportError>) -> PublicKey {
    match read {
        Ok(KeyFile::Private(key)) => key.public_key().clone(),
        other => panic!("{other:?}"),
    }
}

/// Why a file is no key that signs.
fn why(path: &Path, passphrase: Option<&Secret>) -> String {
    match read(path, passphrase) {
        Ok(KeyFile::Public(_, why)) => why,
        Err(TransportError::Key { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Every kind of file that ssh-keygen writes.
const KINDS: [&[&str]; 13] = [
    &["-t", "ed25519"],
    &["-t", "rsa", "-b", "2048"],
    &["-t", "rsa", "-b", "2048", "-m", "PEM"],
    &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "256", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "384", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "521"],
    &["-t", "ecdsa", "-b", "521", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "521", "-m", "PKCS8"],
];

#[test]
fn every_kind_of_key_is_read_with_and_without_a_passphrase() {
    let dir = Dir::new();
    let right = Secret::new("a passphrase, ä");
    let wrong = Secret::new("another");
    for (number, kind) in KINDS.iter().enumerate() {
        let (path, public) = dir.key(&format!("{number}"), "", kind);
        let bare = private(read(&path, None));
        assert_eq!(bare.key_data(), public.key_data(), "{kind:?}");
        // A passphrase that is meant for another key is in the way of none.
        let bare = private(read(&path, Some(&right)));
        assert_eq!(bare.key_data(), public.key_data(), "{kind:?}");

        let (path, public) = dir.key(&format!("{number}p"), right.expose(), kind);
        let opened = private(read(&path, Some(&right)));
        assert_eq!(opened.key_data(), public.key_data(), "{kind:?}");
        assert_eq!(why(&path, None), NO_PASSPHRASE, "{kind:?}");
        assert_eq!(why(&path, Some(&wrong)), WRONG_PASSPHRASE, "{kind:?}");
    }
}

#[test]
fn ciphers_of_openssh_files_other_than_the_usual_one_are_read() {
    let dir = Dir::new();
    let right = Secret::new("right");
    let ciphers = [
        "aes128-ctr",
        "aes192-ctr",
        "aes256-cbc",
        "aes128-cbc",
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ];
    for (number, cipher) in ciphers.into_iter().enumerate() {
        let name = format!("{number}");
        let (path, public) = dir.key(&name, "right", &["-t", "ed25519", "-Z", cipher]);
        let opened = private(read(&path, Some(&right)));
        assert_eq!(opened.key_data(), public.key_data(), "{cipher}");
    }
}

#[test]
fn what_editors_and_consoles_do_to_a_file_does_not_matter() {
    let dir = Dir::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let (path, public) = dir.key(&format!("{number}"), "", kind);
        let text = std::fs::read_to_string(&path).unwrap();
        for (name, changed) in [
            ("crlf", text.replace('\n', "\r\n")),
            ("cut", text.trim_end().to_owned()),
            ("blanks", text.replace('\n', " \n")),
            ("before", format!("\u{feff}\n\n{text}")),
        ] {
            let path = dir.file(&format!("{number}-{name}"), &changed);
            let key = private(read(&path, None));
            assert_eq!(key.key_data(), public.key_data(), "{kind:?} {name}");
        }
    }
}

#[test]
fn a_file_that_is_no_private_key_is_told_as_what_it_is() {
    let dir = Dir::new();
    let (_, public) = dir.key("id", "", &["-t", "ed25519"]);
    let text = public.to_openssh().unwrap();
    let public = dir.file("id.pub", &format!("{text} me@site\n"));
    assert_eq!(
        why(&public, None),
        format!(
            "it is the public half of a key; name the private key, {}, or add that to an SSH agent",
            dir.0.path().join("id").display()
        )
    );
    for (content, said) in [
        ("", "it is empty"),
        ("hello\n", "it is no private key"),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\n",
            "it is a key of PuTTY; export it there as an OpenSSH key",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n",
            "it is no private key but `CERTIFICATE`",
        ),
        (
            "-----BEGIN DSA PRIVATE KEY-----\n",
            "it is a DSA key, which servers refuse; make one with `ssh-keygen -t ed25519`",
        ),
    ] {
        assert_eq!(why(&dir.file("other", content), None), said);
    }
    let torn = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n";
    let said = why(&dir.file("torn", torn), None);
    assert!(
        said.starts_with("it cannot be read (") && said.ends_with(CONVERT),
        "{said}"
    );
    let missing = why(&dir.0.path().join("missing"), None);
    assert_eq!(missing, "No such file or directory (os error 2)");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0011223344556677\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        why(&dir.file("old", old), Some(&Secret::new("x"))),
        format!(
            "it cannot be read (it is encrypted with DES-EDE3-CBC, which is not known here); {CONVERT}"
        )
    );
}

#[test]
fn a_key_that_others_may_read_is_refused_as_ssh_does() {
    let dir = Dir::new();
    let (path, _) = dir.key("id", "", &["-t", "ed25519"]);
    for mode in [0o640, 0o604, 0o644] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            why(&path, None),
            format!("others may read it (mode {mode:04o}); run `chmod 600` on it")
        );
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    private(read(&path, None));
}

#[test]
fn a_key_whose_public_half_is_known_may_be_in_the_agent() {
    let dir = Dir::new();
    let (path, public) = dir.key("id", "unknown", &["-t", "ecdsa", "-m", "PEM"]);
    let text = public.to_openssh().unwrap();
    assert!(read(&path, None).is_err());
    dir.file("id.pub", &text);
    match read(&path, None) {
        Ok(KeyFile::Public(half, why)) => {
            assert_eq!(half.key_data(), public.key_data());
            assert_eq!(why, NO_PASSPHRASE);
        }
        other => panic!("{other:?}"),
    }
}
