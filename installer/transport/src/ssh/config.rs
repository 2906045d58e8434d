//! What ~/.ssh/config and /etc/ssh/ssh_config say about a host (ssh_config(5)), as far as it decides where it
//! is, who logs in, with what, and through what. It decides nothing: who asks may know better.
//!
//! The file is read here. The parsers that are to be had let the last value of a block win, where OpenSSH has
//! the first, take `Match` for part of the block before it, and refuse a whole file for a value that they do
//! not know.

mod line;

use super::known_hosts::fits;
use line::words;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files that include one another deeper than this are not read on, as with OpenSSH.
const DEEPEST: usize = 16;

/// Where configuration is, and who asks.
#[derive(Debug, Clone, Default)]
pub struct SshConfig {
    /// The home directory of the user who runs the installer.
    pub home: PathBuf,
    /// That user's name.
    pub user: String,
    /// The file of the user; it comes first.
    pub own: Option<PathBuf>,
    /// The file of the system.
    pub system: Option<PathBuf>,
}

/// What is said about a host. Nothing stands where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Where it really is.
    pub host_name: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Who logs in.
    pub user: Option<String>,
    /// Keys to try, all of them, in this order.
    pub identity_files: Vec<PathBuf>,
    /// Certificates for them.
    pub certificate_files: Vec<PathBuf>,
    /// Whether no other keys are tried.
    pub identities_only: bool,
    /// The agent that is asked instead of the usual one.
    pub identity_agent: Option<IdentityAgent>,
    /// What leads there.
    pub proxy: Option<Proxy>,
    /// Files of host keys, instead of ~/.ssh/known_hosts.
    pub known_hosts: Vec<PathBuf>,
    /// The name under which its host key is on record.
    pub host_key_alias: Option<String>,
    /// What was not understood and may concern the host.
    pub unread: Vec<String>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// None is asked.
    None,
    /// The one with this socket.
    Socket(PathBuf),
}

/// What leads to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing: it is reached directly.
    None,
    /// These hosts, the first one first.
    Jump(Vec<JumpHost>),
    /// A command, which is not run here.
    Command,
}

/// A host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpHost {
    /// Its name, for which there may be configuration.
    pub host: String,
    /// Who logs in there.
    pub user: Option<String>,
    /// Its port.
    pub port: Option<u16>,
}

impl SshConfig {
    /// What is said about `host`, the name by which it is asked for. Who is known already (`user`) and at
    /// which port is not asked, and fills the places where a file has %r and %p.
    pub fn of(&self, host: &str, user: Option<&str>, port: Option<u16>) -> HostConfig {
        let mut reader = Reader {
            config: self,
            host,
            user,
            values: BTreeMap::new(),
            unread: Vec::new(),
        };
        for (file, base) in [
            (&self.own, self.home.join(".ssh")),
            (&self.system, PathBuf::from("/etc/ssh")),
        ] {
            if let Some(file) = file {
                reader.file(file, &base, true, 0);
            }
        }
        reader.settings(port)
    }
}

/// Collects the values for one host.
struct Reader<'a> {
    config: &'a SshConfig,
    host: &'a str,
    user: Option<&'a str>,
    /// By keyword in lower case: the words of each line that counts.
    values: BTreeMap<String, Vec<Vec<String>>>,
    unread: Vec<String>,
}

impl Reader<'_> {
    /// Reads a file whose relative names are below `base`. What is not there, or cannot be read, says nothing.
    fn file(&mut self, path: &Path, base: &Path, applies: bool, depth: usize) {
        let Ok(text) = std::fs::read(path) else {
            return;
        };
        let mut active = applies;
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((keyword, words)) = words(line) else {
                continue;
            };
            match keyword.as_str() {
                "host" => active = applies && self.is_meant(&words),
                "match" => active = applies && self.is_matched(&words),
                "include" if depth < DEEPEST => {
                    for name in &words {
                        for path in self.included(name, base) {
                            self.file(&path, base, active, depth + 1);
                        }
                    }
                }
                _ if active => self.value(keyword, words),
                _ => {}
            }
        }
    }

    fn value(&mut self, keyword: String, words: Vec<String>) {
        // The first of the two counts.
        let other = match keyword.as_str() {
            "proxyjump" => "proxycommand",
            "proxycommand" => "proxyjump",
            _ => "",
        };
        if words.is_empty() || self.values.contains_key(other) {
            return;
        }
        let all = self.values.entry(keyword.clone()).or_default();
        if all.is_empty() || matches!(keyword.as_str(), "identityfile" | "certificatefile") {
            all.push(words);
        }
    }

    fn first(&self, keyword: &str) -> Option<&[String]> {
        self.values.get(keyword)?.first().map(Vec::as_slice)
    }

    fn one(&self, keyword: &str) -> Option<&str> {
        self.first(keyword)?.first().map(String::as_str)
    }

    /// Whether a `Host` line is about the host.
    fn is_meant(&self, patterns: &[String]) -> bool {
        is_listed(patterns.iter().map(String::as_str), self.host)
    }

    /// Whether a `Match` line is: all that it demands must be so.
    fn is_matched(&mut self, words: &[String]) -> bool {
        let mut words = words.iter();
        let mut holds = true;
        while let Some(word) = words.next() {
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let name = name.to_ascii_lowercase();
            if name == "all" {
                continue;
            }
            if matches!(name.as_str(), "canonical" | "final") {
                // They apply to a second reading, after names were made canonical; there is none here.
                holds &= negated;
                continue;
            }
            let patterns = words.next().map(String::as_str).unwrap_or_default();
            // Capitals count in a `Host` line and in the names of users, and in nothing else.
            let (patterns, lower) = (patterns.to_owned(), patterns.to_ascii_lowercase());
            let (value, patterns) = match name.as_str() {
                "host" => (self.host_name().to_ascii_lowercase(), lower),
                "originalhost" => (self.host.to_ascii_lowercase(), lower),
                "user" => (self.remote_user().to_owned(), patterns),
                "localuser" => (self.config.user.clone(), patterns),
                _ => {
                    self.unread.push(format!("Match {word}"));
                    holds = false;
                    continue;
                }
            };
            holds &= is_listed(patterns.split(','), &value) != negated;
        }
        holds
    }

    fn remote_user(&self) -> &str {
        self.user
            .or_else(|| self.one("user"))
            .unwrap_or(&self.config.user)
    }

    fn host_name(&self) -> String {
        match self.one("hostname") {
            Some(name) => name.replace("%h", self.host).replace("%%", "%"),
            None => self.host.to_owned(),
        }
    }

    /// The files that an `Include` names.
    fn included(&self, name: &str, base: &Path) -> Vec<PathBuf> {
        let path = match name.strip_prefix("~/") {
            Some(rest) => self.config.home.join(rest),
            None => base.join(name),
        };
        let (Some(directory), Some(pattern)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let pattern = pattern.to_string_lossy();
        if !pattern.contains(['*', '?', '[']) {
            return vec![path];
        }
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                !name.starts_with('.') && fits(&pattern, &name)
            })
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }

    fn settings(mut self, port: Option<u16>) -> HostConfig {
        let said_port = self.one("port").and_then(|port| port.parse().ok());
        let fill = Fill {
            home: &self.config.home,
            local_user: &self.config.user,
            original: self.host,
            host: self.host_name(),
            user: self.remote_user().to_owned(),
            port: port.or(said_port).unwrap_or(22),
        };
        let no = |text: &str| text.eq_ignore_ascii_case("none");
        let files = |keyword: &str| -> Vec<PathBuf> {
            let lines = self.values.get(keyword).into_iter().flatten();
            let words = lines.flatten().filter(|word| !no(word));
            words.map(|word| fill.path(word)).collect()
        };
        let proxy = match (self.one("proxyjump"), self.first("proxycommand")) {
            (Some(list), _) if no(list) => Some(Proxy::None),
            (Some(list), _) => Some(Proxy::Jump(list.split(',').filter_map(jump_host).collect())),
            (None, Some([word])) if no(word) => Some(Proxy::None),
            (None, Some(_)) => Some(Proxy::Command),
            (None, None) => None,
        };
        let yes =
            |word: &str| word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("true");
        let settings = HostConfig {
            host_name: self.one("hostname").map(|_| fill.host.clone()),
            port: said_port,
            user: self.one("user").map(str::to_owned),
            identity_files: files("identityfile"),
            certificate_files: files("certificatefile"),
            identities_only: self.one("identitiesonly").is_some_and(yes),
            identity_agent: self
                .one("identityagent")
                .and_then(|agent| fill.agent(agent)),
            proxy,
            known_hosts: files("userknownhostsfile"),
            host_key_alias: self.one("hostkeyalias").map(str::to_owned),
            unread: Vec::new(),
        };
        HostConfig {
            unread: std::mem::take(&mut self.unread),
            ..settings
        }
    }
}

fn is_listed<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut listed = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern, name) => return false,
            Some(_) => {}
            None => listed |= fits(pattern, name),
        }
    }
    listed
}

/// `[user@]host[:port]`, or the same as an address: `ssh://...`.
fn jump_host(text: &str) -> Option<JumpHost> {
    let text = text.trim();
    let text = text
        .strip_prefix("ssh://")
        .unwrap_or(text)
        .trim_end_matches('/');
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.split_once(':') {
            // More than one colon: an IPv6 address without a port.
            Some((_, rest)) if rest.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    (!host.is_empty()).then(|| JumpHost {
        host: host.to_owned(),
        user,
        port: port.and_then(|port| port.parse().ok()),
    })
}

/// What stands for the marks in a path.
struct Fill<'a> {
    home: &'a Path,
    local_user: &'a str,
    original: &'a str,
    host: String,
    user: String,
    port: u16,
}

impl Fill<'_> {
    fn path(&self, text: &str) -> PathBuf {
        let mut out = String::new();
        let mut signs = text.chars();
        while let Some(sign) = signs.next() {
            if sign != '%' {
                out.push(sign);
                continue;
            }
            match signs.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&self.home.to_string_lossy()),
                Some('h') => out.push_str(&self.host),
                Some('n') => out.push_str(self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(&self.user),
                Some('u') => out.push_str(self.local_user),
                Some(other) => out.extend(['%', other]),
                None => out.push('%'),
            }
        }
        match out.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(out),
        }
    }

    fn agent(&self, text: &str) -> Option<IdentityAgent> {
        let variable = match text {
            "none" => return Some(IdentityAgent::None),
            // The usual one.
            "SSH_AUTH_SOCK" => return None,
            text => text.strip_prefix('$'),
        };
        match variable {
            Some(name) => std::env::var_os(name).map(|path| IdentityAgent::Socket(path.into())),
            None => Some(IdentityAgent::Socket(self.path(text))),
        }
    }
}

#[cfg(test)]
mod tests;
