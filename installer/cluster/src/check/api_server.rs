//! `spec.apiServer`: flags that are not ours, and names of the serving certificate.

use super::{dns, hardening, owned_flags};
use crate::finding::Report;
use crate::model::ApiServer;
use crate::shape::{field, item};
use crate::spec;
use std::net::IpAddr;

const ARGS: &str = "spec.apiServer.extraArgs";
const SANS: &str = "spec.apiServer.extraSANs";

/// Checks the changes to the API server.
pub(super) fn check(given: Option<&spec::ApiServer>, report: &mut Report) -> ApiServer {
    let mut api_server = ApiServer::default();
    let Some(given) = given else {
        return api_server;
    };
    for (flag, value) in given.extra_args.iter().flatten() {
        let place = field(ARGS, flag);
        if let Some(bare) = flag.strip_prefix('-') {
            let bare = bare.trim_start_matches('-');
            report.key_error(
                &place,
                format!("`{flag}` begins with a dash"),
                format!("write `{bare}`"),
            );
        } else if !is_flag(flag) {
            report.key_error(
                &place,
                format!("`{flag}` is not a flag of kube-apiserver"),
                "use lower-case letters, digits and hyphens",
            );
        } else if let Some(instead) = owned_flags::instead(flag) {
            report.key_error(
                &place,
                format!("`{flag}` holds the cluster together and cannot be changed"),
                instead,
            );
        } else if let Some((what, next)) = breaking_value(flag, &value.to_string()) {
            report.error(&place, what, next);
        } else {
            if flag == "disable-admission-plugins"
                && let Some((what, next)) = hardening::defaults_turned_off(&value.to_string())
            {
                report.warn(&place, what, next);
            }
            api_server
                .extra_args
                .insert(flag.clone(), value.to_string());
        }
    }
    for (index, name) in given.extra_sans.iter().flatten().enumerate() {
        let (place, Some(name)) = (item(SANS, index), name) else {
            continue;
        };
        san(&place, name, report);
        if api_server.extra_sans.contains(name) {
            report.error(
                &place,
                format!("`{name}` is listed a second time"),
                "remove it",
            );
        } else {
            api_server.extra_sans.push(name.clone());
        }
    }
    api_server
}

fn is_flag(flag: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !flag.is_empty() && flag.chars().all(inner) && !flag.ends_with('-')
}

/// What the container of the API server sees of its host.
const MOUNTED: [&str; 3] = [
    "/etc/kubernetes/control-plane/",
    "/etc/kubernetes/pki/",
    "/var/log/kubernetes/",
];

/// Values of free flags that would keep the API server from starting, or open the cluster.
fn breaking_value(flag: &str, value: &str) -> Option<(String, String)> {
    let has = |name: &str| value.split(',').any(|one| one.trim() == name);
    match flag {
        // The flag replaces ours, which names this plugin.
        "enable-admission-plugins" if !has("NodeRestriction") => Some((
            "without NodeRestriction any node could act for all others".into(),
            format!(
                "write `{}`",
                format!("NodeRestriction,{value}").trim_end_matches(',')
            ),
        )),
        "enable-admission-plugins" => {
            let plugin = ["AlwaysAdmit", "AlwaysDeny"]
                .into_iter()
                .find(|plugin| has(plugin))?;
            Some((
                format!("{plugin} takes the decision from all other plugins"),
                "take it out of the list".into(),
            ))
        }
        "disable-admission-plugins" => hardening::plugins_turned_off(value),
        "runtime-config" => hardening::stable_apis_turned_off(value),
        "tls-cipher-suites" => hardening::cipher_suites(value),
        "tls-min-version" => hardening::tls_version(value),
        "cors-allowed-origins" => hardening::any_origin(value),
        "debug-socket-path" => Some((
            "`debug-socket-path` gives profiles of the API server to whoever reaches the socket"
                .into(),
            "remove it".into(),
        )),
        "service-node-port-range" => node_ports(value),
        "profiling" | "contention-profiling" | "service-account-lookup" => {
            let safe = if flag == "service-account-lookup" {
                "true"
            } else {
                "false"
            };
            (value != safe).then(|| {
                (
                    format!("`{flag}` other than {safe} undoes the hardening of the API server"),
                    "remove it".into(),
                )
            })
        }
        _ if value.starts_with('/') && flag.ends_with("-file") => {
            let seen = MOUNTED.iter().any(|directory| value.starts_with(directory));
            (!seen).then(|| {
                (
                    format!("the API server cannot see {value}: it runs in a container"),
                    format!("put the file below {} of every control plane", MOUNTED[0]),
                )
            })
        }
        _ => None,
    }
}

/// Ports of nodes that a Service of type NodePort must never be given: its rules come before the program that
/// listens there.
const OF_NODES: [(u16, &str); 10] = [
    (22, "SSH"),
    (2379, "etcd"),
    (2380, "etcd"),
    (5443, "the registry"),
    (6443, "the API server"),
    (7443, "the load balancer"),
    (9810, "the storage agent"),
    (10250, "the kubelet"),
    (10256, "kube-proxy"),
    (8472, "pod traffic"),
];

/// What is wrong with a range of node ports, `first-last` or `first+count`. What is no range the API server says.
fn node_ports(value: &str) -> Option<(String, String)> {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let (first, last) = match (value.split_once('-'), value.split_once('+')) {
        (Some((first, last)), _) => (number(first)?, number(last)?),
        (_, Some((first, count))) => {
            let first = number(first)?;
            (first, first.saturating_add(number(count)?))
        }
        _ => return None,
    };
    let (port, user) = OF_NODES
        .into_iter()
        .find(|(port, _)| (first..=last).contains(port))?;
    Some((
        format!(
            "the range {value} contains port {port} of {user}, which a Service could take over"
        ),
        "use a range without the ports of nodes, such as 30000-32767".into(),
    ))
}

/// An address, a DNS name, or a DNS name whose first label is `*` (RFC 6125, section 6.4.3).
fn san(place: &str, name: &str, report: &mut Report) {
    if name.parse::<IpAddr>().is_err() {
        dns::host(place, name.strip_prefix("*.").unwrap_or(name), report);
    }
}
