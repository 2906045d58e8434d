//! Becoming root with sudo: the password goes to sudo and to nobody else.

use crate::client::{Login, ingot, works};
use crate::site::{PASSWORD, Site, Sshd, User, wanted};
use ingot_transport::ssh::Sudo;
use ingot_transport::{Secret, run};

const USERS: [User; 9] = [
    User::new("asked", 4201, "/bin/bash").sudoers("asked ALL=(ALL:ALL) ALL"),
    User::new("free", 4202, "/bin/bash").sudoers("free ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("shell-only", 4203, "/usr/bin/fish")
        .sudoers("shell-only ALL=(ALL:ALL) NOPASSWD: /bin/sh"),
    User::new("tty-free", 4204, "/bin/bash")
        .sudoers("Defaults:tty-free requiretty\ntty-free ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("tty-asked", 4205, "/usr/bin/tcsh")
        .sudoers("Defaults:tty-asked requiretty, use_pty\ntty-asked ALL=(ALL:ALL) ALL"),
    User::new("stranger", 4206, "/bin/sh"),
    User::new("lesser", 4207, "/bin/sh")
        .sudoers("Defaults:lesser runas_default=asked\nlesser ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("lectured", 4208, "/bin/zsh")
        .sudoers("Defaults:lectured lecture=always, timestamp_timeout=60, !tty_tickets\nlectured ALL=(ALL:ALL) ALL"),
    User::new("listed", 4209, "/bin/sh").sudoers("listed ALL=(ALL:ALL) NOPASSWD: /bin/true"),
];

fn password() -> Sudo {
    Sudo::WithPassword(Secret::new(PASSWORD))
}

async fn log_in(site: &Site, sshd: &Sshd, user: &str, sudo: Sudo) -> Result<(), String> {
    let login = Login::with(user, &site.key()).sudo(sudo);
    let host = ingot(site, sshd, &login).await.map_err(|text| {
        assert!(!text.contains(PASSWORD), "the password was told: {text}");
        text.replace(&sshd.port.to_string(), "PORT")
    })?;
    // No byte of a password in front of what a command is given.
    let output = run(&host, "cat; id -u", b"payload\n").await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "payload\n0\n");
    assert_eq!(output.exit.stderr, "");
    // Two at the same time, as with an agent and a file that is written.
    futures::future::join(works(&host), works(&host)).await;
    Ok(())
}

#[tokio::test]
async fn a_password_reaches_sudo_where_it_asks_and_nobody_where_it_does_not() {
    if !wanted() {
        return;
    }
    let site = Site::new(&USERS);
    let sshd = site.sshd("");
    for (user, sudo) in [
        ("asked", password()),
        // A password file, and sudo does not ask.
        ("free", password()),
        ("free", Sudo::WithoutPassword),
        ("shell-only", Sudo::WithoutPassword),
        ("shell-only", password()),
        ("tty-free", Sudo::WithoutPassword),
        ("tty-free", password()),
        ("tty-asked", password()),
        // A lecture before each question, and time stamps that are good for an hour.
        ("lectured", password()),
    ] {
        let done = log_in(&site, &sshd, user, sudo).await;
        assert_eq!(done, Ok(()), "{user}");
    }
    assert!(!sshd.log().contains(PASSWORD));
}

#[tokio::test]
async fn what_sudo_refuses_is_told_in_its_words() {
    if !wanted() {
        return;
    }
    let site = Site::new(&USERS);
    let sshd = site.sshd("");
    let wrong = || Sudo::WithPassword(Secret::new("not it"));
    for (user, sudo, said) in [
        (
            "asked",
            Sudo::WithoutPassword,
            "sudo wants a password (a password is required); give one with `sudo: {passwordFile: ...}`, or allow NOPASSWD",
        ),
        (
            "asked",
            wrong(),
            "sudo refused the password (1 incorrect password attempt); check the file `passwordFile` names",
        ),
        (
            "tty-asked",
            wrong(),
            "sudo refused the password (1 incorrect password attempt); check the file `passwordFile` names",
        ),
        (
            "stranger",
            password(),
            "sudo does not allow it (stranger is not in the sudoers file.); allow it in sudoers",
        ),
        (
            "lesser",
            Sudo::WithoutPassword,
            "sudo makes it a user with the ID 4201; check `runas_default` in sudoers",
        ),
        (
            "listed",
            Sudo::WithoutPassword,
            "sudo wants a password (a password is required); give one with `sudo: {passwordFile: ...}`, or allow NOPASSWD",
        ),
    ] {
        let text = log_in(&site, &sshd, user, sudo).await.unwrap_err();
        assert_eq!(
            text,
            format!("user `{user}` cannot become root on 127.0.0.1:PORT: {said}")
        );
    }
}

#[tokio::test]
async fn a_password_is_tried_once() {
    if !wanted() {
        return;
    }
    let site = Site::new(&USERS);
    let sshd = site.sshd("");
    // A lock after three failures must not come from one wrong password file.
    let log = site.at("sudo.log");
    let sudoers = site.at("etc/sudoers");
    let text = std::fs::read_to_string(&sudoers).unwrap();
    std::fs::write(
        &sudoers,
        format!("Defaults logfile={}\n{text}", log.display()),
    )
    .unwrap();
    let wrong = Sudo::WithPassword(Secret::new("not it"));
    log_in(&site, &sshd, "asked", wrong).await.unwrap_err();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("1 incorrect password attempt"), "{log}");
    assert!(!log.contains("2 incorrect"), "{log}");
}
