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

/// An address, a DNS name, or a DNS name whose first label is `*` (RFC 6125, section 6.4.3).
fn san(place: &str, name: &str, report: &mut Report) {
    if name.parse::<IpAddr>().is_err() {
        dns::host(place, name.strip_prefix("*.").unwrap_or(name), report);
    }
}
