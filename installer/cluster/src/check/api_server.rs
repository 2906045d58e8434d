//! `spec.apiServer`: flags that are not ours, and names of the serving certificate.

use super::{dns, owned_flags};
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
        "disable-admission-plugins" => {
            let needed = [
                "NodeRestriction",
                "PodSecurity",
                "Priority",
                "ServiceAccount",
            ];
            let plugin = needed.into_iter().find(|plugin| has(plugin))?;
            Some((
                format!("the platform relies on {plugin}"),
                "take it out of the list".into(),
            ))
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

/// An address, a DNS name, or a DNS name whose first label is `*` (RFC 6125, section 6.4.3).
fn san(place: &str, name: &str, report: &mut Report) {
    if name.parse::<IpAddr>().is_err() {
        dns::host(place, name.strip_prefix("*.").unwrap_or(name), report);
    }
}
