//! What neither `ssh` nor we can do is told in the words of the server, by the party that said it.

use crate::client::{Login, ingot, ingot_at, target};
use crate::site::{Site, User, wanted};
use ingot_transport::ssh::Sudo;

async fn refusal(site: &Site, settings: &str, login: &Login) -> String {
    let sshd = site.sshd(settings);
    let text = ingot(site, &sshd, login).await.err().expect("a refusal");
    text.replace(&sshd.port.to_string(), "PORT")
        .replace(&site.at("").display().to_string(), "~/")
}

#[tokio::test]
async fn something_else_than_a_shell_is_told_in_its_own_words() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[
        User::new("root", 0, "/bin/bash").options(
            "command=\"echo 'Please login as the user \\\"debian\\\" rather than the user \\\"root\\\".';echo;sleep 0;exit 142\"",
        ),
        User::new("backup-only", 4101, "/bin/sh").options("command=\"echo only backups >&2; exit 3\""),
        User::new("echoing", 0, "/bin/sh").options("command=\"cat\""),
        User::new("nobody-home", 4102, "/usr/sbin/nologin"),
        User::new("falsehood", 4103, "/bin/false"),
        User::new("expired", 4104, "/bin/bash").expired(),
        User::new("restricted", 4105, "/bin/rbash"),
        User::new("nosuchshell", 4106, "/no/such/shell"),
        User::new("plain", 4107, "/bin/sh"),
    ]);
    let login = |user: &str| Login::with(user, &site.key());
    assert_eq!(
        refusal(&site, "", &login("root")).await,
        "user `root` is logged in to 127.0.0.1:PORT and can run nothing there: the host said \"Please login as the user \"debian\" rather than the user \"root\".\" and ended with status 142; log in as that user, with `user:` and `sudo: {}`"
    );
    let forced = "a forced command (in authorized_keys or sshd_config) or its login shell runs instead; log in as a user who may run commands";
    assert_eq!(
        refusal(&site, "", &login("backup-only")).await,
        format!(
            "user `backup-only` is logged in to 127.0.0.1:PORT and can run nothing there: the host said \"only backups\" and ended with status 3; {forced}"
        )
    );
    assert_eq!(
        refusal(&site, "", &login("falsehood")).await,
        format!(
            "user `falsehood` is logged in to 127.0.0.1:PORT and can run nothing there: the host said nothing and ended with status 1; {forced}"
        )
    );
    assert_eq!(
        refusal(
            &site,
            "ForceCommand internal-sftp\nSubsystem sftp internal-sftp",
            &login("plain")
        )
        .await
        .split(": the host said")
        .next()
        .unwrap(),
        "user `plain` is logged in to 127.0.0.1:PORT and can run nothing there"
    );
    assert_eq!(
        refusal(&site, "", &login("nobody-home")).await,
        "user `nobody-home` is logged in to 127.0.0.1:PORT and can run nothing there: the host said \"This account is currently not available.\" and ended with status 1; give it a login shell (`usermod -s /bin/sh`), or log in as another user"
    );
    let expired = refusal(&site, "", &login("expired")).await;
    assert!(
        expired.contains("assword change required but no TTY available.")
            && expired.ends_with("; set a new password for it there"),
        "{expired}"
    );
    let restricted = refusal(&site, "", &login("restricted")).await;
    assert!(restricted.contains("restricted"), "{restricted}");
    assert_eq!(
        refusal(&site, "", &login("plain")).await,
        "user `plain` cannot become root on 127.0.0.1:PORT: it has the ID 4107; set `sudo: {}` for it, or log in as root"
    );
    // sshd refuses a user without a shell that is there; nobody else knows why.
    let refused = refusal(&site, "", &login("nosuchshell")).await;
    assert!(refused.contains("refuses user `nosuchshell`"), "{refused}");
}

#[tokio::test]
async fn who_is_not_let_in_learns_what_the_server_takes_and_says() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[
        User::new("root", 0, "/bin/bash"),
        User::new("plain", 4107, "/bin/sh"),
    ]);
    let login = Login::with("root", &site.key());
    assert_eq!(
        refusal(&site, "AllowUsers somebody-else", &login).await,
        "127.0.0.1:PORT refuses user `root` (key ~/key); add the public key to ~root/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out"
    );
    assert_eq!(
        refusal(
            &site,
            "PubkeyAuthentication no\nPasswordAuthentication yes",
            &login
        )
        .await,
        "127.0.0.1:PORT refuses user `root` (key ~/key); it takes no keys from this user, only password: set `PubkeyAuthentication yes` in its sshd_config"
    );
    assert_eq!(
        refusal(
            &site,
            "AuthenticationMethods publickey,password\nPasswordAuthentication yes",
            &login
        )
        .await,
        "127.0.0.1:PORT refuses user `root` (it takes key ~/key and wants password as well); let this user in with a key alone (`AuthenticationMethods publickey` for `Match User root` in the host's sshd_config)"
    );
    let banner = site.at("banner");
    std::fs::write(&banner, "Property of the site.\nRoot: no.\n").unwrap();
    assert_eq!(
        refusal(
            &site,
            &format!("AllowUsers plain\nBanner {}", banner.display()),
            &login
        )
        .await,
        "127.0.0.1:PORT refuses user `root` (key ~/key; it said: Property of the site.; Root: no.); add the public key to ~root/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out"
    );
    assert_eq!(
        refusal(&site, "MaxSessions 0", &login).await,
        "127.0.0.1:PORT lets the user in and opens no session: open failed; `MaxSessions` in its sshd_config must be at least 1"
    );
    // This one closes the connection without a word when a command is to be run.
    assert_eq!(
        refusal(&site, "PermitRootLogin forced-commands-only", &login).await,
        "the connection to 127.0.0.1:PORT broke: the host closed it; its log says why (`journalctl -u ssh -u sshd`)"
    );
    // PAM's own reason, after the key was right.
    let locked = site
        .command("sh")
        .args(["-c", "echo no maintenance > /run/nologin"])
        .status();
    assert!(locked.unwrap().success());
    let text = refusal(
        &site,
        "",
        &Login::with("plain", &site.key()).sudo(Sudo::WithoutPassword),
    )
    .await;
    assert!(text.contains("no maintenance"), "{text}");
}

#[tokio::test]
async fn algorithms_that_do_not_meet_are_told_with_both_lists() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[User::new("root", 0, "/bin/bash")]);
    let login = Login::with("root", &site.key());
    for (settings, what, theirs) in [
        (
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "key exchange",
            "sntrup761x25519-sha512@openssh.com",
        ),
        ("Ciphers aes256-cbc", "cipher", "aes256-cbc"),
        (
            "Ciphers aes256-ctr\nMACs umac-128-etm@openssh.com",
            "MAC",
            "umac-128-etm@openssh.com",
        ),
    ] {
        let text = refusal(&site, settings, &login).await;
        let start = format!(
            "the SSH server at 127.0.0.1:PORT has no {what} that is known here: it offers {theirs}"
        );
        assert!(text.starts_with(&start), "{text}");
        assert!(!text.contains("is an SSH server running"), "{text}");
    }
}

#[tokio::test]
async fn what_answers_and_is_no_ssh_server_gives_itself_away() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[User::new("root", 0, "/bin/bash")]);
    let login = Login::with("root", &site.key());
    let mut sshd = site.sshd("");
    let known = site.known_hosts([&sshd]);
    for (greeting, said) in [
        (
            &b"220 mail.site ESMTP\r\n"[..],
            "what answers at 127.0.0.1:PORT is no SSH server: it says \"220 mail.site ESMTP\"; check address and port",
        ),
        (
            b"",
            "127.0.0.1:PORT closed the connection before the log-in without a word; its log says why (`journalctl -u ssh -u sshd`): too many log-ins at once (MaxStartups), a block list, or a key of its own that it cannot read",
        ),
        (
            b"Not allowed at this time\r\n",
            "127.0.0.1:PORT closed the connection before the log-in and said \"Not allowed at this time\"; its log says why (`journalctl -u ssh -u sshd`): too many log-ins at once (MaxStartups), a block list, or a key of its own that it cannot read",
        ),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        sshd.port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = std::io::Write::write_all(&mut stream, greeting);
                // Read the client's name, or closing would reset the connection and take the words with it.
                let _ = std::io::Read::read(&mut stream, &mut [0; 256]);
            }
        });
        let text = ingot_at(target(&sshd, &login), known.clone())
            .await
            .err()
            .unwrap();
        assert_eq!(text.replace(&sshd.port.to_string(), "PORT"), said);
    }
}
