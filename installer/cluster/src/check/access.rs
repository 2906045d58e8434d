//! `spec.ssh` and `nodes[].ssh`: how each server is reached, and that no way leads through itself.

use super::dns;
use super::nodes::Draft;
use super::paths::{Openness, Paths};
use crate::finding::Report;
use crate::model::{Access, Ssh, Sudo};
use crate::shape::field;
use crate::spec;
use std::collections::HashMap;
use std::path::PathBuf;

const SSH: &str = "spec.ssh";

/// What holds for all nodes.
pub(super) struct Defaults {
    user: Option<String>,
    port: Option<u16>,
    key: Option<Key>,
    sudo: Option<Sudo>,
    jump: Option<JumpTo>,
}

/// Where the private key comes from.
#[derive(Clone)]
enum Key {
    File(PathBuf),
    Agent,
}

impl Key {
    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Agent => None,
        }
    }
}

/// A jump host of which what is not said comes from the `ssh` it is written in.
#[derive(Clone)]
struct JumpTo {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    key_file: Option<PathBuf>,
}

impl JumpTo {
    fn complete(self, user: Option<&str>, key: Option<&Key>) -> Box<Ssh> {
        Box::new(Ssh {
            host: self.host,
            port: self.port,
            user: self.user.or_else(|| user.map(str::to_owned)),
            only_agent: self.key_file.is_none() && matches!(key, Some(Key::Agent)),
            key_file: self.key_file.or_else(|| key.and_then(Key::file)),
            sudo: Sudo::default(),
            jump: None,
        })
    }

    fn given_port(&self) -> u16 {
        self.port.unwrap_or(spec::SSH_PORT)
    }
}

impl Defaults {
    /// Checks `spec.ssh`.
    pub(super) fn check(given: Option<&spec::Ssh>, paths: &Paths<'_>, report: &mut Report) -> Self {
        let none = spec::Ssh::default();
        let given = given.unwrap_or(&none);
        user(SSH, given.user.as_deref(), report);
        if given.agent == Some(false) && given.key_file.is_none() {
            report.error(
                &field(SSH, "agent"),
                "neither a key nor the agent is to be used",
                "name a `keyFile`, or remove `agent: false`",
            );
        }
        Self {
            user: given.user.clone(),
            port: given.port,
            key: key(SSH, given.key_file.as_deref(), given.agent, paths, report),
            sudo: given
                .sudo
                .as_ref()
                .map(|given| sudo(SSH, given, paths, report)),
            jump: given
                .jump
                .as_ref()
                .and_then(|given| jump(SSH, given, paths, report)),
        }
    }

    /// How a node is reached.
    pub(super) fn of(
        &self,
        place: &str,
        node: &spec::Node,
        paths: &Paths<'_>,
        report: &mut Report,
    ) -> Option<Access> {
        let place = field(place, "ssh");
        if node.local == Some(true) {
            if node.ssh.is_some() {
                report.key_error(
                    &place,
                    "a node that is this machine is not reached over SSH",
                    "remove `ssh` or `local`",
                );
            }
            return Some(Access::Local);
        }
        let none = spec::NodeSsh::default();
        let given = node.ssh.as_ref().unwrap_or(&none);
        user(&place, given.user.as_deref(), report);
        let user = given.user.clone().or_else(|| self.user.clone());
        let port = given.port.or(self.port);
        let own = key(
            &place,
            given.key_file.as_deref(),
            given.agent,
            paths,
            report,
        );
        let key = own.as_ref().or(self.key.as_ref());
        let own_sudo = given
            .sudo
            .as_ref()
            .map(|given| sudo(&place, given, paths, report));
        let sudo = own_sudo
            .clone()
            .or_else(|| self.sudo.clone())
            .unwrap_or_default();
        if user.as_deref().unwrap_or(spec::SSH_USER) == "root" && own_sudo.is_some() {
            report.warn(
                &field(&place, "sudo"),
                "root needs no sudo",
                "remove it, or log in as another user",
            );
        }
        let host = given.host.clone().or_else(|| node.address.clone())?;
        if given.host.is_some() {
            dns::host(&field(&place, "host"), &host, report)?;
        }
        let own_jump = given
            .jump
            .as_ref()
            .and_then(|given| jump(&place, given, paths, report));
        let is_itself = |jump: &JumpTo| {
            jump.given_port() == port.unwrap_or(spec::SSH_PORT)
                && (jump.host == host || Some(&jump.host) == node.address.as_ref())
        };
        if own_jump.as_ref().is_some_and(is_itself) {
            report.error(
                &field(&field(&place, "jump"), "host"),
                "the way to this node leads through itself",
                "name another host, or remove `jump`",
            );
            return None;
        }
        let jump = match own_jump {
            Some(jump) => Some(jump.complete(user.as_deref(), key)),
            // The jump host of all may be a node too; that one is reached directly.
            None => self
                .jump
                .clone()
                .filter(|jump| !is_itself(jump))
                .map(|jump| jump.complete(self.user.as_deref(), self.key.as_ref())),
        };
        Some(Access::Ssh(Ssh {
            host,
            port,
            user,
            key_file: key.and_then(Key::file),
            only_agent: matches!(key, Some(Key::Agent)),
            sudo,
            jump,
        }))
    }
}

fn user(place: &str, user: Option<&str>, report: &mut Report) {
    let Some(user) = user else { return };
    let good =
        |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | '@' | '\\' | '+');
    if user.is_empty() || user.starts_with('-') || !user.chars().all(good) {
        report.error(
            &field(place, "user"),
            format!("`{user}` is not the name of a user"),
            "write the name as `whoami` prints it",
        );
    }
}

/// The public half of a key names one that the SSH agent holds; there is nothing to hide in it.
fn openness(key_file: &str) -> Openness {
    match key_file.ends_with(".pub") {
        true => Openness::Public,
        false => Openness::Secret,
    }
}

fn key(
    place: &str,
    key_file: Option<&str>,
    agent: Option<bool>,
    paths: &Paths<'_>,
    report: &mut Report,
) -> Option<Key> {
    if let (Some(_), Some(true)) = (key_file, agent) {
        report.error(
            &field(place, "agent"),
            "both a key file and the agent are to be used",
            "keep `keyFile` or `agent: true`",
        );
    }
    match key_file {
        Some(text) => paths
            .usable(&field(place, "keyFile"), text, openness(text), report)
            .map(Key::File),
        None => (agent == Some(true)).then_some(Key::Agent),
    }
}

fn sudo(place: &str, given: &spec::Sudo, paths: &Paths<'_>, report: &mut Report) -> Sudo {
    let place = field(&field(place, "sudo"), "passwordFile");
    let text = given.password_file.as_deref();
    Sudo {
        password_file: text.and_then(|text| paths.usable(&place, text, Openness::Secret, report)),
    }
}

fn jump(place: &str, given: &spec::Jump, paths: &Paths<'_>, report: &mut Report) -> Option<JumpTo> {
    let place = field(place, "jump");
    user(&place, given.user.as_deref(), report);
    let host = given.host.clone()?;
    dns::host(&field(&place, "host"), &host, report)?;
    let key_file = match given.key_file.as_deref() {
        Some(text) => {
            Some(paths.usable(&field(&place, "keyFile"), text, openness(text), report)?)
        }
        None => None,
    };
    Some(JumpTo {
        host,
        port: given.port,
        user: given.user.clone(),
        key_file,
    })
}

/// What only shows when the nodes are seen together.
pub(super) fn across(nodes: &[Draft], report: &mut Report) {
    let mut by_door: HashMap<(&str, u16, Option<&str>), &Draft> = HashMap::new();
    for node in nodes {
        let Some(Access::Ssh(ssh)) = &node.access else {
            continue;
        };
        let through = ssh.jump.as_ref().map(|jump| jump.host.as_str());
        match by_door.get(&(ssh.host.as_str(), ssh.given_port(), through)) {
            // The same address twice is said of the address already.
            Some(first) if first.address == node.address => {}
            Some(first) => report.error(
                &field(&field(&node.place, "ssh"), "host"),
                format!(
                    "{} is reached at {} port {} too",
                    first.called(),
                    ssh.host,
                    ssh.given_port()
                ),
                "give each node its own host or port",
            ),
            None => {
                by_door.insert((&ssh.host, ssh.given_port(), through), node);
            }
        }
    }
    loops(nodes, report);
}

/// Reports every node whose jump host is a node that is itself reached through this one, directly
/// or by way of others: then neither is reached without the other.
fn loops(nodes: &[Draft], report: &mut Report) {
    let through: Vec<Option<usize>> = nodes.iter().map(|node| jump_node(node, nodes)).collect();
    for (start, node) in nodes.iter().enumerate() {
        let mut way = vec![start];
        let mut at = start;
        while let Some(next) = through[at] {
            if next == start {
                let names: Vec<String> = way.iter().map(|index| nodes[*index].called()).collect();
                report.error(
                    &field(&field(&field(&node.place, "ssh"), "jump"), "host"),
                    format!(
                        "the way to {} leads back to it: {}",
                        node.called(),
                        names.join(" through ")
                    ),
                    "remove one `jump`",
                );
                break;
            }
            if way.contains(&next) {
                break;
            }
            way.push(next);
            at = next;
        }
    }
}

/// The node that is the jump host of `node`.
fn jump_node(node: &Draft, nodes: &[Draft]) -> Option<usize> {
    let Some(Access::Ssh(ssh)) = &node.access else {
        return None;
    };
    let jump = ssh.jump.as_ref()?;
    nodes.iter().position(|other| {
        let Some(Access::Ssh(ssh)) = &other.access else {
            return false;
        };
        let address = other.address.map(|address| address.to_string());
        ssh.given_port() == jump.given_port()
            && (ssh.host == jump.host || address.as_ref() == Some(&jump.host))
    })
}
