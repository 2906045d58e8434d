//! Where packets of this host go, as `ip` tells it (ip-route(8), `-json`), and where the installation comes
//! from. Reads only.

use crate::facts::Route;
use serde::Deserialize;
use std::net::IpAddr;
use std::process::Command;

/// The routes of IPv4 in all tables, but for those of the host's own addresses; none where `ip` does not answer.
pub fn routes() -> Vec<Route> {
    let output = Command::new("ip")
        .args(["-json", "-4", "route", "show", "table", "all"])
        .output();
    match output {
        Ok(output) if output.status.success() => read(&output.stdout),
        _ => Vec::new(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    dst: String,
    gateway: Option<IpAddr>,
    dev: String,
    metric: u32,
    table: serde_json::Value,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            // What is the rule is not told.
            kind: "unicast".into(),
            dst: String::new(),
            gateway: None,
            dev: String::new(),
            metric: 0,
            table: serde_json::Value::Null,
        }
    }
}

fn read(json: &[u8]) -> Vec<Route> {
    let told: Vec<Told> = serde_json::from_slice(json).unwrap_or_default();
    told.into_iter()
        .filter(|route| route.kind == "unicast" && route.table != "local" && !route.dst.is_empty())
        .map(|route| Route {
            destination: route.dst,
            device: route.dev,
            gateway: route.gateway,
            metric: route.metric,
        })
        .collect()
}

/// How many processes there may be between the SSH server and this one.
const DEPTH: usize = 16;

/// The other end of the SSH connection that this process descends from. sudo(8) clears the environment, so
/// the processes above are asked as well.
pub fn administrator() -> Option<IpAddr> {
    let mut pid = std::process::id();
    for _ in 0..DEPTH {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if let Some(address) = client(&environment) {
            return Some(address);
        }
        pid = parent(&super::text(&format!("/proc/{pid}/status")))?;
    }
    None
}

/// ssh(1): `SSH_CONNECTION` has address and port of the client, then of the server.
fn client(environment: &[u8]) -> Option<IpAddr> {
    let entry = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(b"SSH_CONNECTION="))?;
    let address: IpAddr = std::str::from_utf8(entry)
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    (!address.is_loopback()).then_some(address)
}

fn parent(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_and_those_of_the_host_itself_are_not() {
        let json = br#"[{"dst":"default","gateway":"10.0.0.254","dev":"eth0","metric":100,"flags":[]},
            {"dst":"10.233.0.0/16","dev":"eth1","protocol":"kernel","scope":"link","prefsrc":"10.233.40.7","flags":[]},
            {"dst":"192.168.0.0/16","gateway":"10.0.0.253","dev":"eth0","table":"42","flags":[]},
            {"type":"local","dst":"10.0.0.1","dev":"eth0","table":"local","flags":[]},
            {"type":"blackhole","dst":"172.16.0.0/12","flags":[]}]"#;
        let told: Vec<String> = read(json)
            .iter()
            .map(|route| {
                format!(
                    "{} {} {:?} {}",
                    route.destination, route.device, route.gateway, route.metric
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "default eth0 Some(10.0.0.254) 100",
                "10.233.0.0/16 eth1 None 0",
                "192.168.0.0/16 eth0 Some(10.0.0.253) 0"
            ]
        );
        assert_eq!(read(b"Object \"route\" is unknown"), []);
    }

    #[test]
    fn the_client_of_the_connection_is_the_administrator() {
        let environment = b"HOME=/root\0SSH_CONNECTION=10.1.2.3 50312 10.0.0.1 22\0LANG=C\0";
        assert_eq!(client(environment), Some("10.1.2.3".parse().unwrap()));
        assert_eq!(client(b"SSH_CONNECTION=127.0.0.1 1 127.0.0.1 22\0"), None);
        assert_eq!(client(b"HOME=/root\0"), None);
    }
}
