//! How a node is logged in to: what cluster.yaml says, then what the SSH configuration of who runs the
//! installer says, then the defaults. It reads files of this machine and reaches no other.

use crate::driver::Options;
use crate::error::{Failure, FailureKind};
use ingot_cluster::Ssh;
use ingot_transport::ssh::config::{HostConfig, IdentityAgent, JumpHost, Proxy, SshConfig};
use ingot_transport::ssh::{KnownHosts, Sudo};
use ingot_transport::{Keys, Secret, SshTarget, TransportError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Host keys that an administrator of this machine trusts for everybody.
const OF_THE_SYSTEM: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
/// Jump hosts behind jump hosts are looked up as deep as this.
const DEEPEST: usize = 8;

/// This machine, as far as log-ins from it depend on it.
pub(super) struct Here {
    config: SshConfig,
    known_hosts: KnownHosts,
    passphrase: Option<Secret>,
    agent: Option<PathBuf>,
    timeout: Duration,
    silence: Duration,
}

/// The way to a node.
pub(super) struct Way {
    pub(super) target: SshTarget,
    pub(super) known_hosts: KnownHosts,
    pub(super) notes: Notes,
}

/// What `ssh` would heed and we do not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// Says so of a failure, which may come from it.
    pub(super) fn on(&self, error: TransportError) -> Failure {
        let failure = Failure::from(error);
        match self.0.as_slice() {
            [] => failure,
            notes => failure.hint(format!(
                "the SSH configuration has {} for this host, which is not heeded here; say the same in cluster.yaml",
                notes.join(" and ")
            )),
        }
    }
}

impl Here {
    /// This machine, for a run with these options.
    pub(super) fn of(options: &Options) -> Self {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let home = path("HOME").unwrap_or_else(|| "/root".into());
        let user = ["LOGNAME", "USER"].map(|name| std::env::var(name).ok());
        Self {
            config: SshConfig {
                user: user.into_iter().flatten().next().unwrap_or_default(),
                own: Some(home.join(".ssh/config")),
                system: Some("/etc/ssh/ssh_config".into()),
                home,
            },
            known_hosts: KnownHosts {
                file: options.known_hosts.clone(),
                also: OF_THE_SYSTEM.map(PathBuf::from).to_vec(),
                accept_new: options.accept_new_host_keys,
            },
            passphrase: std::env::var("INGOT_SSH_PASSPHRASE").ok().map(Secret::new),
            agent: path("SSH_AUTH_SOCK"),
            timeout: options.connect_timeout,
            silence: options.silence_timeout,
        }
    }

    /// The way to a node that is reached like this.
    ///
    /// # Errors
    /// When a file that cluster.yaml names cannot be used.
    pub(super) fn way(&self, ssh: &Ssh) -> Result<Way, Failure> {
        let mut way = Way {
            target: self.target(ssh)?,
            known_hosts: self.known_hosts.clone(),
            notes: Notes::default(),
        };
        let config = self.config(ssh);
        let mut files = config.known_hosts.clone();
        if ssh.jump.is_none() && config.proxy == Some(Proxy::Command) {
            way.notes.0.push("`ProxyCommand`".into());
        }
        let unread = config.unread.iter();
        way.notes.0.extend(unread.map(|line| format!("`{line}`")));
        way.target.jump = match &ssh.jump {
            Some(jump) => {
                files.extend(self.config(jump).known_hosts);
                Some(Box::new(self.target(jump)?))
            }
            None => self.through(&config, &mut files, DEEPEST)?,
        };
        way.known_hosts.also.splice(0..0, files);
        Ok(way)
    }

    fn config(&self, ssh: &Ssh) -> HostConfig {
        self.config.of(&ssh.host, ssh.user.as_deref(), ssh.port)
    }

    /// A host, without the way that leads there.
    fn target(&self, ssh: &Ssh) -> Result<SshTarget, Failure> {
        let config = self.config(ssh);
        let user = ssh.user.clone().or_else(|| config.user.clone());
        let user = user.unwrap_or_else(|| ingot_cluster::SSH_USER.into());
        let sudo = match &ssh.sudo.password_file {
            _ if user == "root" => Sudo::No,
            None => Sudo::WithoutPassword,
            Some(path) => Sudo::WithPassword(password(path)?),
        };
        Ok(SshTarget {
            keys: self.keys(ssh, &config),
            host: config.host_name.unwrap_or_else(|| ssh.host.clone()),
            port: ssh.port.or(config.port).unwrap_or(ingot_cluster::SSH_PORT),
            user,
            host_key_alias: config.host_key_alias,
            sudo,
            jump: None,
            timeout: self.timeout,
            silence: self.silence,
        })
    }

    /// What a user logs in with: the key that cluster.yaml names and no other, or what ssh would use.
    fn keys(&self, ssh: &Ssh, config: &HostConfig) -> Keys {
        let agent = match &config.identity_agent {
            Some(IdentityAgent::None) => None,
            Some(IdentityAgent::Socket(socket)) => Some(socket.clone()),
            None => self.agent.clone(),
        };
        let keys = Keys {
            certificates: config.certificate_files.clone(),
            passphrase: self.passphrase.clone(),
            agent,
            ..Keys::default()
        };
        match &ssh.key_file {
            Some(path) => Keys {
                files: vec![path.clone()],
                only_files: true,
                ..keys
            },
            None if ssh.only_agent => keys,
            None => {
                let defaults = match config.identity_files.is_empty() {
                    true => Keys::defaults_in(&self.config.home),
                    false => Vec::new(),
                };
                Keys {
                    // `IdentitiesOnly` without a name means those that ssh looks for by itself.
                    perhaps: match config.identities_only {
                        true => [config.identity_files.clone(), defaults.clone()].concat(),
                        false => config.identity_files.clone(),
                    },
                    only_files: config.identities_only,
                    defaults,
                    ..keys
                }
            }
        }
    }

    /// The hosts that the SSH configuration leads through, the last one of them; their files of host keys
    /// are added to `files`.
    fn through(
        &self,
        config: &HostConfig,
        files: &mut Vec<PathBuf>,
        deepest: usize,
    ) -> Result<Option<Box<SshTarget>>, Failure> {
        let Some(Proxy::Jump(hosts)) = &config.proxy else {
            return Ok(None);
        };
        let mut way: Option<Box<SshTarget>> = None;
        for host in hosts {
            let ssh = jump(host);
            let config = self.config(&ssh);
            files.extend(config.known_hosts.iter().cloned());
            let mut target = self.target(&ssh)?;
            // The first one may be behind others itself.
            target.jump = match way {
                Some(before) => Some(before),
                None if deepest > 0 => self.through(&config, files, deepest - 1)?,
                None => None,
            };
            way = Some(Box::new(target));
        }
        Ok(way)
    }
}

fn jump(host: &JumpHost) -> Ssh {
    Ssh {
        host: host.host.clone(),
        port: host.port,
        user: host.user.clone(),
        key_file: None,
        only_agent: false,
        sudo: ingot_cluster::Sudo::default(),
        jump: None,
    }
}

/// The first line of a file that only its owner may read.
fn password(path: &Path) -> Result<Secret, Failure> {
    let refuse = |why: String| {
        Failure::text(
            FailureKind::Input,
            format!("cannot use {}: {why}", path.display()),
        )
    };
    let mode = std::fs::metadata(path)
        .map_err(|error| refuse(error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(refuse(format!(
            "others may read it (mode {:04o}); run chmod 600 on it",
            mode & 0o7777
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(refuse("its first line, the password, is empty".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(home: &Path, config: &str) -> Here {
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::write(home.join(".ssh/config"), config).unwrap();
        Here {
            config: SshConfig {
                home: home.to_owned(),
                user: "anna".into(),
                own: Some(home.join(".ssh/config")),
                system: None,
            },
            known_hosts: KnownHosts {
                file: "known".into(),
                also: vec!["of-the-system".into()],
                accept_new: false,
            },
            passphrase: None,
            agent: Some("agent".into()),
            timeout: Duration::from_secs(15),
            silence: Duration::from_secs(60),
        }
    }

    fn node(host: &str) -> Ssh {
        jump(&JumpHost {
            host: host.into(),
            user: None,
            port: None,
        })
    }

    /// A way in one line: users, hosts and ports, the last first.
    fn told(target: &SshTarget) -> String {
        let one = format!("{}@{}:{}", target.user, target.host, target.port);
        match &target.jump {
            Some(jump) => format!("{one} through {}", told(jump)),
            None => one,
        }
    }

    const CONFIG: &str = "\
Host cp1
  HostName 10.0.0.1
  User admin
  Port 2222
  ProxyJump inner
  IdentityFile ~/cp1
  UserKnownHostsFile ~/known-here
Host inner
  User i
  ProxyJump outer:23
Host outer
  HostName outer.site
  UserKnownHostsFile ~/known-outer
Host strict
  IdentitiesOnly yes
Host odd
  ProxyCommand nc %h %p
Match exec true
  User never
";

    #[test]
    fn the_ssh_configuration_fills_in_what_cluster_yaml_leaves_open() {
        let dir = tempfile::tempdir().unwrap();
        let here = here(dir.path(), CONFIG);
        let way = here.way(&node("cp1")).unwrap();
        assert_eq!(
            told(&way.target),
            "admin@10.0.0.1:2222 through i@inner:22 through root@outer.site:23"
        );
        assert!(matches!(way.target.sudo, Sudo::WithoutPassword));
        assert_eq!(way.target.keys.perhaps, [dir.path().join("cp1")]);
        assert!(!way.target.keys.only_files && way.target.keys.defaults.is_empty());
        assert_eq!(
            way.known_hosts.also,
            [
                dir.path().join("known-here"),
                dir.path().join("known-outer"),
                "of-the-system".into()
            ]
        );
        let way = here.way(&node("strict")).unwrap();
        assert!(way.target.keys.only_files);
        assert_eq!(way.target.keys.perhaps, Keys::defaults_in(dir.path()));
    }

    #[test]
    fn what_cluster_yaml_says_wins() {
        let dir = tempfile::tempdir().unwrap();
        let here = here(dir.path(), CONFIG);
        let given = Ssh {
            user: Some("root".into()),
            port: Some(22),
            key_file: Some("key".into()),
            jump: Some(Box::new(node("outer"))),
            ..node("cp1")
        };
        let way = here.way(&given).unwrap();
        assert_eq!(
            told(&way.target),
            "root@10.0.0.1:22 through root@outer.site:22"
        );
        assert!(matches!(way.target.sudo, Sudo::No));
        assert_eq!(way.target.keys.files, [PathBuf::from("key")]);
        assert!(way.target.keys.only_files && way.target.keys.perhaps.is_empty());
        let agent = Ssh {
            only_agent: true,
            ..node("cp1")
        };
        let keys = here.way(&agent).unwrap().target.keys;
        assert!(keys.files.is_empty() && keys.perhaps.is_empty() && keys.defaults.is_empty());
        assert_eq!(keys.agent, Some("agent".into()));
    }

    #[test]
    fn without_a_configuration_the_defaults_are_those_of_ssh_and_of_cluster_yaml() {
        let dir = tempfile::tempdir().unwrap();
        let here = here(dir.path(), "");
        let way = here.way(&node("10.0.0.1")).unwrap();
        assert_eq!(told(&way.target), "root@10.0.0.1:22");
        assert_eq!(way.target.keys.defaults, Keys::defaults_in(dir.path()));
        assert_eq!(way.notes, Notes::default());
    }

    #[test]
    fn what_is_not_heeded_is_said_where_it_may_matter() {
        let dir = tempfile::tempdir().unwrap();
        let here = here(dir.path(), CONFIG);
        let failed = || TransportError::Timeout {
            address: "odd:22".into(),
            seconds: 15,
        };
        let way = here.way(&node("odd")).unwrap();
        assert_eq!(
            way.notes.on(failed()).hint.unwrap(),
            "the SSH configuration has `ProxyCommand` and `Match exec` for this host, which is not heeded here; say the same in cluster.yaml"
        );
        assert_eq!(Notes::default().on(failed()).hint, None);
        // A jump host of cluster.yaml stands for the command.
        let given = Ssh {
            jump: Some(Box::new(node("outer"))),
            ..node("odd")
        };
        let notes = here.way(&given).unwrap().notes;
        assert_eq!(notes, Notes(vec!["`Match exec`".into()]));
    }

    #[test]
    fn a_loop_of_jump_hosts_ends() {
        let dir = tempfile::tempdir().unwrap();
        let here = here(dir.path(), "Host *\n  ProxyJump again\n");
        let way = here.way(&node("cp1")).unwrap();
        assert_eq!(told(&way.target).matches("through").count(), DEEPEST + 1);
    }
}
