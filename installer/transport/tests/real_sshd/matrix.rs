//! `make ssh-matrix`: what `ssh` can do, we can; what it cannot, we cannot either. One row a combination of
//! server settings, login shells, keys and sudo; both clients try each, and the two columns must agree.

use crate::client::{Login, ingot, ssh};
use crate::site::{Agent, PASSWORD, Site, User, keygen, must, wanted};
use ingot_transport::ssh::Sudo;
use ingot_transport::{Keys, Secret};
use std::process::Command;

/// What is printed before anything else, by a start-up file.
const NOISE: &str = "echo 'welcome to the site'; echo 'do not panic' >&2\n";

const USERS: [User; 31] = [
    User::new("root", 0, "/bin/bash"),
    User::new("r-sh", 0, "/bin/sh"),
    User::new("r-dash", 0, "/bin/dash"),
    User::new("r-zsh", 0, "/bin/zsh"),
    User::new("r-fish", 0, "/usr/bin/fish"),
    User::new("r-ksh", 0, "/bin/ksh"),
    User::new("r-tcsh", 0, "/bin/tcsh"),
    User::new("r-csh", 0, "/bin/csh"),
    User::new("r-ash", 0, "/run/ash"),
    User::new("n-bash", 0, "/bin/bash").start_up(".bashrc", NOISE),
    User::new("n-zsh", 0, "/bin/zsh").start_up(".zshenv", NOISE),
    User::new("n-fish", 0, "/usr/bin/fish").start_up(
        ".config/fish/config.fish",
        "echo welcome; printf 'no end of line'\n",
    ),
    User::new("n-tcsh", 0, "/bin/tcsh").start_up(".tcshrc", "echo 'welcome to the site'\n"),
    User::new("n-csh", 0, "/bin/csh").start_up(".cshrc", "echo 'welcome to the site'\n"),
    User::new("x-forced", 0, "/bin/bash").options("command=\"echo no; exit 142\""),
    User::new("x-echo", 0, "/bin/bash").options("command=\"cat\""),
    User::new("x-nologin", 4402, "/usr/sbin/nologin"),
    User::new("x-false", 4403, "/bin/false"),
    User::new("x-expired", 0, "/bin/bash").expired(),
    User::new("x-user", 4405, "/bin/bash"),
    User::new("x-notty", 0, "/bin/bash").options("restrict"),
    User::new("s-bash", 4411, "/bin/bash").sudoers("s-bash ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("s-zsh", 4412, "/bin/zsh").sudoers("s-zsh ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("s-fish", 4413, "/usr/bin/fish").sudoers("s-fish ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("s-tcsh", 4414, "/bin/tcsh").sudoers("s-tcsh ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("s-ksh", 4415, "/bin/ksh").sudoers("s-ksh ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("p-bash", 4421, "/bin/bash").sudoers("p-bash ALL=(ALL:ALL) ALL"),
    User::new("p-fish", 4422, "/usr/bin/fish").sudoers("p-fish ALL=(ALL:ALL) ALL"),
    User::new("p-tcsh", 4423, "/bin/tcsh")
        .sudoers("p-tcsh ALL=(ALL:ALL) ALL")
        .start_up(".tcshrc", "echo 'welcome to the site'\n"),
    User::new("t-bash", 4431, "/bin/bash")
        .sudoers("Defaults:t-bash requiretty\nt-bash ALL=(ALL:ALL) NOPASSWD: ALL"),
    User::new("t-fish", 4432, "/usr/bin/fish")
        .sudoers("Defaults:t-fish requiretty, use_pty\nt-fish ALL=(ALL:ALL) NOPASSWD: ALL"),
];

/// One combination.
struct Row {
    name: String,
    /// Of sshd.
    settings: String,
    login: Login,
    /// Of ssh.
    options: Vec<String>,
}

struct Table<'a> {
    site: &'a Site,
    rows: Vec<Row>,
}

impl Table<'_> {
    fn add(&mut self, name: impl Into<String>, settings: impl Into<String>, login: Login) {
        self.rows.push(Row {
            name: name.into(),
            settings: settings.into(),
            login,
            options: Vec::new(),
        });
    }

    fn user(&self, name: &str) -> Login {
        Login::with(name, &self.site.key())
    }

    fn shells(&mut self) {
        for user in USERS.iter().filter(|user| user.name.contains('-')) {
            let login = self.user(user.name);
            let (kind, _) = user.name.split_once('-').unwrap();
            let (what, login) = match kind {
                "r" => ("root", login),
                "n" => ("root, start-up file prints", login),
                "s" => ("sudo", login.sudo(Sudo::WithoutPassword)),
                "p" => (
                    "sudo with password",
                    login.sudo(Sudo::WithPassword(Secret::new(PASSWORD))),
                ),
                "t" => ("sudo, requiretty", login.sudo(Sudo::WithoutPassword)),
                _ => ("special", login),
            };
            self.add(format!("{what}: {} ({})", user.name, user.shell), "", login);
            // Only with a terminal does sudo work there at all.
            if kind == "t" {
                self.rows.last_mut().unwrap().options.push("-tt".into());
            }
        }
        let wrong = self
            .user("p-bash")
            .sudo(Sudo::WithPassword(Secret::new("wrong")));
        self.add("sudo with a wrong password", "", wrong);
        let silent = self.user("p-bash").sudo(Sudo::WithoutPassword);
        self.add("sudo that asks, without a password", "", silent);
        let needless = self
            .user("s-bash")
            .sudo(Sudo::WithPassword(Secret::new(PASSWORD)));
        self.add("sudo that does not ask, with a password", "", needless);
    }

    fn algorithms(&mut self) {
        let root = self.user("root");
        for kex in [
            "curve25519-sha256",
            "curve25519-sha256@libssh.org",
            "ecdh-sha2-nistp256",
            "ecdh-sha2-nistp384",
            "ecdh-sha2-nistp521",
            "diffie-hellman-group-exchange-sha256",
            "diffie-hellman-group14-sha256",
            "diffie-hellman-group16-sha512",
            "diffie-hellman-group18-sha512",
            "diffie-hellman-group14-sha1",
            "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521",
        ] {
            self.add(
                format!("kex {kex}"),
                format!("KexAlgorithms {kex}"),
                root.clone(),
            );
        }
        for cipher in [
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com",
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
            "aes256-cbc",
        ] {
            self.add(
                format!("cipher {cipher}"),
                format!("Ciphers {cipher}"),
                root.clone(),
            );
        }
        for mac in [
            "hmac-sha2-256",
            "hmac-sha2-512",
            "hmac-sha2-256-etm@openssh.com",
            "hmac-sha2-512-etm@openssh.com",
            "hmac-sha1",
            "hmac-sha1-etm@openssh.com",
            "hmac-md5",
        ] {
            let settings = format!("Ciphers aes256-ctr\nMACs {mac}");
            self.add(format!("MAC {mac}"), settings, root.clone());
        }
        let fips = "KexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512\n\
            Ciphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr\n\
            MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";
        let strict = "KexAlgorithms ecdh-sha2-nistp384\nCiphers aes128-gcm@openssh.com\nHostKeyAlgorithms rsa-sha2-256";
        self.add("the lists of RHEL in FIPS mode", fips, root.clone());
        self.add("one of each, NIST", strict, root.clone());
        for host_key in [
            "ssh-ed25519",
            "ecdsa-sha2-nistp256",
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ssh-rsa",
        ] {
            // ssh does not take ssh-rsa; neither may we, without being told to.
            let settings = format!("HostKeyAlgorithms {host_key}");
            self.add(format!("host key {host_key}"), settings, root.clone());
        }
    }

    fn keys(&mut self) {
        let (agent_keys, passphrase) = (self.site.at("all-keys"), "a passphrase");
        std::fs::create_dir(&agent_keys).unwrap();
        let mut number = 0;
        for kind in [
            &["-t", "ed25519"][..],
            &["-t", "rsa", "-b", "2048"],
            &["-t", "rsa", "-b", "2048", "-m", "PEM"],
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
            &["-t", "ecdsa", "-b", "256"],
            &["-t", "ecdsa", "-b", "256", "-m", "PEM"],
            &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
            &["-t", "ecdsa", "-b", "384", "-m", "PEM"],
            &["-t", "ecdsa", "-b", "521", "-m", "PKCS8"],
            &["-t", "ecdsa", "-b", "521"],
        ] {
            number += 1;
            let key = agent_keys.join(number.to_string());
            keygen(&key, "", kind);
            self.authorize(&key);
            let name = kind.join(" ");
            self.add(format!("key {name}"), "", Login::with("root", &key));
            let text = std::fs::read_to_string(&key).unwrap();
            if number % 3 == 0 {
                let crlf = agent_keys.join(format!("{number}-crlf"));
                std::fs::write(&crlf, text.replace('\n', "\r\n")).unwrap();
                must(Command::new("chmod").arg("600").arg(&crlf));
                self.add(format!("key {name}, CRLF"), "", Login::with("root", &crlf));
            }
            let locked = agent_keys.join(format!("{number}-locked"));
            keygen(&locked, passphrase, kind);
            self.authorize(&locked);
            // Nobody is there to type it.
            self.add(
                format!("key {name}, passphrase that nobody gives"),
                "",
                Login::with("root", &locked),
            );
        }
        let rsa = agent_keys.join("2");
        for algorithm in ["rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519"] {
            self.add(
                format!("RSA key, PubkeyAcceptedAlgorithms {algorithm}"),
                format!("PubkeyAcceptedAlgorithms {algorithm}"),
                Login::with("root", &rsa),
            );
        }
        let open = agent_keys.join("open");
        std::fs::copy(self.site.key(), &open).unwrap();
        must(Command::new("chmod").arg("644").arg(&open));
        self.add("key that others may read", "", Login::with("root", &open));
        let stranger = agent_keys.join("stranger");
        keygen(&stranger, "", &["-t", "ed25519"]);
        self.add(
            "key that is not authorized",
            "",
            Login::with("root", &stranger),
        );
        self.add(
            "public half of a key",
            "",
            Login::with("root", &self.site.key().with_extension("pub")),
        );
    }

    /// Lets a key in as root, beside the others.
    fn authorize(&self, key: &std::path::Path) {
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let path = self.site.at("authorized/root");
        let known = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{known}{public}")).unwrap();
    }

    fn agents(&mut self, agents: &mut Vec<Agent>) {
        let authority = self.site.at("user-authority");
        keygen(&authority, "", &["-t", "ed25519"]);
        let trusted = format!("TrustedUserCAKeys {}.pub", authority.display());
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let key = self.site.at(&format!("certified-{kind}"));
            keygen(&key, "", &["-t", kind]);
            must(
                Command::new("ssh-keygen")
                    .args(["-q", "-I", "test", "-n", "root", "-s"])
                    .arg(&authority)
                    .arg(key.with_extension("pub")),
            );
            let beside = Login::with("root", &key);
            self.add(
                format!("{kind} certificate beside its key"),
                &trusted,
                beside.clone(),
            );
            self.add(
                format!("{kind} certificate, authority not trusted"),
                "",
                beside,
            );
            let agent = Agent::start(self.site.at(&format!("agent-{kind}")));
            agent.add(&key);
            self.add(
                format!("{kind} certificate in the agent"),
                &trusted,
                self.agent(&agent),
            );
            agents.push(agent);
        }
        for (strangers, what) in [(3, "fourth"), (8, "ninth")] {
            let agent = Agent::start(self.site.at(&format!("agent-{strangers}")));
            for at in 0..strangers {
                let key = self.site.at(&format!("agent-key-{strangers}-{at}"));
                keygen(&key, "", &["-t", "ed25519"]);
                agent.add(&key);
            }
            agent.add(&self.site.key());
            self.add(
                format!("the {what} key of an agent"),
                "",
                self.agent(&agent),
            );
            let mut named = self.agent(&agent);
            named.keys.files = vec![self.site.key()];
            named.keys.only_files = true;
            self.add(
                format!("the {what} key of an agent, named"),
                "",
                named.clone(),
            );
            named.keys.files = vec![self.site.key().with_extension("pub")];
            self.add(
                format!("the {what} key of an agent, its public half named"),
                "",
                named,
            );
            agents.push(agent);
        }
        let agent = Agent::start(self.site.at("agent-empty"));
        self.add("an agent without keys", "", self.agent(&agent));
        agents.push(agent);
    }

    fn agent(&self, agent: &Agent) -> Login {
        Login {
            keys: Keys {
                agent: Some(agent.socket.clone()),
                ..Keys::default()
            },
            ..self.user("root")
        }
    }

    fn settings(&mut self) {
        let root = self.user("root");
        for settings in [
            "MaxSessions 1",
            "MaxSessions 0",
            "MaxAuthTries 1",
            "MaxStartups 10:30:100",
            "PermitTTY no",
            "AllowTcpForwarding no",
            "DisableForwarding yes",
            "PermitRootLogin prohibit-password",
            "PermitRootLogin no",
            "PermitRootLogin forced-commands-only",
            "AllowUsers x-user",
            "DenyUsers root",
            "PubkeyAuthentication no",
            "UsePAM no",
            "Compression no",
            "AuthenticationMethods publickey",
            "AuthenticationMethods publickey,password\nPasswordAuthentication yes",
            "ForceCommand internal-sftp",
            "RekeyLimit 64K",
            "LogLevel QUIET",
            "ChrootDirectory /run",
            "PrintLastLog no\nPrintMotd yes",
        ] {
            self.add(settings.replace('\n', ", "), settings, root.clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matrix() {
    if !wanted() {
        return;
    }
    let site = Site::new(&USERS);
    let mut table = Table {
        site: &site,
        rows: Vec::new(),
    };
    let mut agents = Vec::new();
    table.shells();
    table.algorithms();
    table.keys();
    table.agents(&mut agents);
    table.settings();
    assert!(table.rows.len() >= 60, "{}", table.rows.len());
    let word = |result: &Result<(), String>| match result {
        Ok(()) => "yes",
        Err(_) => "no",
    };
    println!("| {:<66} | {:<3} | {:<5} |", "Combination", "ssh", "ingot");
    println!("|{:-<68}|{:-<5}|{:-<7}|", "", "", "");
    let (mut wrong, mut both) = (Vec::new(), 0);
    for row in &table.rows {
        let sshd = site.sshd(&row.settings);
        let theirs = ssh(&site, &sshd, &row.login, &row.options);
        let ours = ingot(&site, &sshd, &row.login).await.map(drop);
        println!(
            "| {:<66} | {:<3} | {:<5} |",
            row.name,
            word(&theirs),
            word(&ours)
        );
        if let Err(text) = &ours {
            println!("|   ingot: {text}");
            assert!(!text.contains(PASSWORD), "the password was told");
        }
        both += usize::from(theirs.is_ok() && ours.is_ok());
        if theirs.is_ok() != ours.is_ok() {
            wrong.push(format!("{}: ssh {theirs:?}, ingot {ours:?}", row.name));
        }
    }
    println!(
        "{} combinations, {both} of them let both in, {} on which they disagree",
        table.rows.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(both >= 60, "only {both} let anybody in");
}
