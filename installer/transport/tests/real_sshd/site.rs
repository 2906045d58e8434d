//! A site of SSH servers: real sshd, sudo and shells of this machine, with users of its own. They live in a
//! mount namespace, so the machine's own users, sudoers and home directories are never touched, and
//! everything is gone when the process is that holds it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The password of all users who have one.
pub const PASSWORD: &str = "hunter2";
const HASH: &str = "$6$ingotsalt$oIBu7kgT19aey873h91HMwv0hD6TFJ4RTOjhn3cz80KpGxwy5MS7N.3LvTs2BRK305t3wz6U32vrEqPm1cd1W.";

/// A user of the site.
#[derive(Clone, Copy)]
pub struct User {
    pub name: &'static str,
    /// 0 makes it another root.
    pub id: u32,
    pub shell: &'static str,
    /// Lines of sudoers.
    pub sudoers: &'static str,
    /// A start-up file and what is in it.
    pub start_up: Option<(&'static str, &'static str)>,
    /// Options before its key in authorized_keys.
    pub options: &'static str,
    /// The day its password was changed last; 0 demands a new one.
    pub changed: u32,
}

impl User {
    pub const fn new(name: &'static str, id: u32, shell: &'static str) -> Self {
        Self {
            name,
            id,
            shell,
            sudoers: "",
            start_up: None,
            options: "",
            changed: 20_000,
        }
    }

    pub const fn sudoers(self, sudoers: &'static str) -> Self {
        Self { sudoers, ..self }
    }

    pub const fn start_up(self, file: &'static str, content: &'static str) -> Self {
        Self {
            start_up: Some((file, content)),
            ..self
        }
    }

    pub const fn options(self, options: &'static str) -> Self {
        Self { options, ..self }
    }

    pub const fn expired(self) -> Self {
        Self { changed: 0, ..self }
    }
}

/// Whether the tests of this file may run here.
pub fn wanted() -> bool {
    if std::env::var_os("INGOT_HOST_TESTS").is_some() {
        return true;
    }
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(
        std::io::stderr(),
        "not run: {name} starts SSH servers with users of their own; set INGOT_HOST_TESTS=1 and run it as root"
    );
    false
}

/// Runs a program that must succeed.
pub fn must(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub struct Site {
    dir: tempfile::TempDir,
    /// The process that holds the mount namespace.
    holder: Child,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Site {
    /// A site with these users; each lets `key` of [`Site::key`] in.
    pub fn new(users: &[User]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["home", "authorized", "etc", "root"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let at = |name: &str| dir.path().join(name);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(&at(&format!("host_{kind}")), "", &["-t", kind]);
        }
        keygen(&at("key"), "", &["-t", "ed25519"]);
        let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
        let mut shadow = fs::read_to_string("/etc/shadow").unwrap();
        let mut shells = fs::read_to_string("/etc/shells").unwrap_or_default();
        let mut sudoers = String::from("root ALL=(ALL:ALL) ALL\n");
        let public = fs::read_to_string(at("key.pub")).unwrap();
        for user in users {
            let home = match user.name {
                "root" => at("root"),
                name => at("home").join(name),
            };
            if user.name != "root" {
                fs::create_dir(&home).unwrap();
                passwd += &format!(
                    "{}:x:{}:{}::{}:{}\n",
                    user.name,
                    user.id,
                    user.id,
                    home.display(),
                    user.shell
                );
                shadow += &format!("{}:{HASH}:{}:0:99999:7:::\n", user.name, user.changed);
            }
            if let Some((file, content)) = user.start_up {
                let path = home.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, content).unwrap();
            }
            let _ = must(
                Command::new("chown")
                    .arg("-R")
                    .arg(user.id.to_string())
                    .arg(&home),
            );
            chown(&home, Some(user.id), Some(user.id)).unwrap();
            shells += &format!("{}\n", user.shell);
            if !user.sudoers.is_empty() {
                sudoers += &format!("{}\n", user.sudoers);
            }
            let options = match user.options {
                "" => String::new(),
                options => format!("{options} "),
            };
            fs::write(
                at("authorized").join(user.name),
                format!("{options}{public}"),
            )
            .unwrap();
        }
        let mut script = String::from(
            "set -e; mount -t tmpfs tmpfs /run; mkdir -p /run/sshd /run/sudo /run/lock; ln -s /bin/busybox /run/ash; ",
        );
        script += &format!("mount --bind {} /root; ", at("root").display());
        for (name, content, mode) in [
            ("passwd", passwd, 0o644),
            ("shadow", shadow, 0o600),
            ("shells", shells, 0o644),
            ("sudoers", sudoers, 0o440),
        ] {
            let path = at("etc").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            script += &format!("mount --bind {} /etc/{name}; ", path.display());
        }
        script += "echo ready; exec sleep infinity";
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(script)
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux, as root");
        let mut line = String::new();
        let stdout = holder.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the mount namespace could not be made");
        Self { dir, holder }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The private key that all users let in.
    pub fn key(&self) -> PathBuf {
        self.at("key")
    }

    /// A program in the namespace of the site.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg(program);
        command
    }

    /// An SSH server of the site on a port of the loopback, with these lines before the usual ones of its
    /// configuration (the first of a keyword counts).
    pub fn sshd(&self, settings: &str) -> Sshd {
        self.sshd_at("127.0.0.1", free_port(), settings)
    }

    /// The same at another address.
    pub fn sshd_at(&self, address: &str, port: u16, settings: &str) -> Sshd {
        let name = format!("sshd-{address}-{port}");
        let (config, log) = (
            self.at(&format!("{name}.conf")),
            self.at(&format!("{name}.log")),
        );
        let mut text = format!("ListenAddress {address}\nPort {port}\nPidFile none\n{settings}\n");
        if !settings.contains("HostKey ") {
            for kind in ["ed25519", "ecdsa", "rsa"] {
                let key = self.at(&format!("host_{kind}"));
                text += &format!("HostKey {}\n", key.display());
            }
        }
        text += &format!(
            "AuthorizedKeysFile {}/authorized/%u\nStrictModes no\nPermitRootLogin yes\nUsePAM yes\n\
             UseDNS no\nPrintMotd no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
            self.dir.path().display()
        );
        fs::write(&config, text).unwrap();
        let process = self
            .command("/usr/sbin/sshd")
            .args(["-D", "-f"])
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::null())
            .spawn()
            .expect("nsenter of util-linux and sshd of openssh-server");
        let mut sshd = Sshd {
            address: address.into(),
            port,
            log,
            process,
        };
        sshd.wait();
        sshd
    }

    /// A port that nobody listens on.
    pub fn free_port(&self) -> u16 {
        free_port()
    }

    /// A known_hosts file with the host keys of these servers.
    pub fn known_hosts<'a>(&self, servers: impl IntoIterator<Item = &'a Sshd>) -> PathBuf {
        let mut text = String::new();
        for sshd in servers {
            for kind in ["ed25519", "ecdsa", "rsa"] {
                let public = fs::read_to_string(self.at(&format!("host_{kind}.pub"))).unwrap();
                text += &format!("[{}]:{} {public}", sshd.address, sshd.port);
            }
        }
        static NUMBER: AtomicU16 = AtomicU16::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.at(&format!("known_hosts-{number}"));
        fs::write(&path, text).unwrap();
        path
    }
}

/// Makes a key.
pub fn keygen(path: &Path, passphrase: &str, arguments: &[&str]) {
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-C", "of-the-test", "-N", passphrase, "-f"])
            .arg(path)
            .args(arguments),
    );
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A running sshd.
pub struct Sshd {
    pub address: String,
    pub port: u16,
    log: PathBuf,
    process: Child,
}

impl Sshd {
    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(mut stream) = TcpStream::connect((self.address.as_str(), self.port)) {
                let mut greeting = [0; 4];
                // A server that drops each connection is up as well.
                let _ = stream.read(&mut greeting);
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "sshd does not listen: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Those who are still connected have processes of their own; they end with their connections.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An SSH agent.
pub struct Agent {
    pub socket: PathBuf,
    process: Child,
}

impl Agent {
    pub fn start(socket: PathBuf) -> Self {
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent of openssh-client");
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < end, "the SSH agent does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { socket, process }
    }

    /// Takes the key of a file, and the certificate beside it.
    pub fn add(&self, key: &Path) {
        must(
            Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", &self.socket),
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
