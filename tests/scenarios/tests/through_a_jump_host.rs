//! Hosts that only a jump host reaches, and keys that only an SSH agent holds.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ingot_harness::{Host, HostSpec, RootVariant};
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::installer::Pace;
use ingot_scenarios::wait::until;
use ingot_scenarios::{Running, Stage};

#[test]
fn through_a_jump_host_with_an_ssh_agent() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "jump", ALONE);
    let jump = cluster
        .lab
        .add_host(HostSpec {
            name: "jump".into(),
            variant: RootVariant::Minimal,
            cpus: None,
            memory: None,
        })
        .expect("a jump host");
    let alone = cluster.host("alone");
    admit_only(&alone, &jump);
    let ssh_agent = SshAgent::start(cluster.lab.driver_dir());

    // The key file is not named: the agent holds the key.
    let described = std::fs::read_to_string(cluster.config()).expect("cluster.yaml");
    let direct = described.replace("    keyFile: id_ed25519\n", "    user: root\n");
    std::fs::write(cluster.config(), &direct).expect("cluster.yaml");
    let ingot = |words: &[&str]| {
        let mut command = cluster.command(words);
        command
            .args(["-o", "json"])
            .env("SSH_AUTH_SOCK", &ssh_agent.socket);
        Running::start(command, Pace::Free).finish()
    };
    let refused = ingot(&["bootstrap"]).ended_with(3);
    assert_eq!(
        refused.end()["failed"]["alone"]["message"],
        format!(
            "{}:22 refuses user `root` (key `ingot-lab` of the SSH agent); add the public key to ~root/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out",
            alone.address()
        )
    );

    let through = direct.replace(
        "    user: root\n",
        &format!("    jump:\n      host: {}\n", jump.address()),
    );
    std::fs::write(cluster.config(), through).expect("cluster.yaml");
    ingot(&["bootstrap"]).succeeded();
    assert_eq!(ingot(&["apply"]).succeeded().changed(), 0);
    ingot(&["node", "reset", "alone", "--yes"]).succeeded();
}

/// Makes the SSH server of `host` admit root from `from` only.
fn admit_only(host: &Host, from: &Host) {
    let script = format!(
        "mkdir -p /etc/ssh/sshd_config.d && echo 'AllowUsers root@{}' > /etc/ssh/sshd_config.d/jump.conf && systemctl restart ssh",
        from.address()
    );
    let output = host.exec(&["sh", "-c", &script]).expect("a command");
    assert!(output.status.success(), "{output:?}");
}

/// An SSH agent that holds the key of the hosts.
struct SshAgent {
    process: Child,
    socket: PathBuf,
}

impl SshAgent {
    fn start(directory: PathBuf) -> SshAgent {
        let socket = directory.join("agent.sock");
        let process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent of openssh-client");
        let agent = SshAgent { process, socket };
        until("the SSH agent listens", Duration::from_secs(10), || {
            agent.socket.exists().then_some(()).ok_or("no socket yet")
        });
        agent.add(&directory.join("id_ed25519"));
        agent
    }

    fn add(&self, key: &Path) {
        let output = Command::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .output()
            .expect("ssh-add of openssh-client");
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
