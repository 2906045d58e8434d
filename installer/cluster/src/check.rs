//! The rules of a cluster.yaml whose shape is right, and the making of the [`Cluster`].
//!
//! Each module checks one part and gives back the part of the model when it can; all of them run,
//! whatever the others found. Here are only their order and what concerns the whole.

mod access;
mod api_server;
mod dns;
mod hardening;
mod kubelet;
mod labels;
mod network;
mod nodes;
mod owned_flags;
mod paths;
mod registries;
mod storage;

use crate::files::FileProbe;
use crate::finding::Report;
use crate::model::{Cluster, Endpoint, Name, Node};
use crate::spec::Document;
use std::net::IpAddr;

/// Checks everything; `None` when there are errors.
pub(crate) fn cluster(
    document: &Document,
    file_name: &str,
    files: &dyn FileProbe,
    report: &mut Report,
) -> Option<Cluster> {
    let name = document
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.name.as_deref());
    let name = name.and_then(|text| dns_label("metadata.name", text, report));
    let spec = document.spec.as_ref()?;
    let paths = paths::Paths::new(file_name, files);
    let count = spec.nodes.as_ref().map_or(0, Vec::len);
    let network = network::check(spec.network.as_ref(), count, spec.kubelet.as_ref(), report);
    let nodes = nodes::check(spec, network.as_ref(), &paths, report);
    let endpoint = spec.control_plane_endpoint.as_deref().map(|text| {
        let nodes = nodes.as_deref().unwrap_or_default();
        endpoint(text, network.as_ref(), nodes, report)
    });
    let api_server = api_server::check(spec.api_server.as_ref(), report);
    let kubelet = kubelet::check(spec.kubelet.as_ref(), report);
    let registries = registries::check(spec.registries.as_deref(), &paths, report);
    let snapshot_metadata = storage::snapshot_metadata(spec, report);
    if report.failed() {
        return None;
    }
    let mut nodes = nodes?;
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let endpoint = match endpoint {
        Some(endpoint) => Some(endpoint?),
        None => None,
    };
    Some(Cluster {
        name: name?,
        endpoint,
        network: network?,
        api_server,
        kubelet,
        registries,
        snapshot_metadata,
        nodes,
    })
}

/// Reads a [`Name`], and says more about what is wrong than its type knows.
fn dns_label(place: &str, text: &str, report: &mut Report) -> Option<Name> {
    let length = text.chars().count();
    match Name::try_from(text.to_owned()) {
        Ok(name) => return Some(name),
        Err(_) if length > 63 => report.error(
            place,
            format!("the name has {length} characters, more than the 63 of a DNS label"),
            "shorten it",
        ),
        Err(_) if text.is_empty() => report.error(place, "the name is empty", "give it one"),
        Err(_) => report.error(
            place,
            format!("`{text}` is not a DNS label"),
            "use lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
        ),
    }
    None
}

const ENDPOINT: &str = "spec.controlPlaneEndpoint";

fn endpoint(
    text: &str,
    network: Option<&crate::model::Network>,
    nodes: &[Node],
    report: &mut Report,
) -> Option<Endpoint> {
    let form = "write `host:port`, such as `k8s.example.com:6443` or `[fd00::10]:6443`";
    if text.contains("://") {
        report.error(ENDPOINT, format!("the endpoint `{text}` is a URL"), form);
        return None;
    }
    let Some((host, port)) = text
        .rsplit_once(':')
        .filter(|(host, _)| is_whole_host(host))
    else {
        report.error(ENDPOINT, format!("the endpoint `{text}` has no port"), form);
        return None;
    };
    let Some(port) = port.parse::<u16>().ok().filter(|port| *port > 0) else {
        report.error(
            ENDPOINT,
            format!("`{port}` is not a port"),
            "use a number from 1 to 65535",
        );
        return None;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    dns::host(ENDPOINT, host, report)?;
    if let Ok(address) = host.parse::<IpAddr>() {
        endpoint_address(address, network, nodes, report)?;
    }
    Some(Endpoint {
        host: host.into(),
        port,
    })
}

/// A colon in the host means that the whole is an IPv6 address without its brackets.
fn is_whole_host(host: &str) -> bool {
    !host.is_empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
}

fn endpoint_address(
    address: IpAddr,
    network: Option<&crate::model::Network>,
    nodes: &[Node],
    report: &mut Report,
) -> Option<()> {
    if address.is_loopback() || address.is_unspecified() {
        report.error(
            ENDPOINT,
            format!("nobody outside reaches {address}"),
            "name an address that leads to the control planes",
        );
        return None;
    }
    if let Some((range, cidr)) = network.and_then(|network| network::range_of(network, address)) {
        report.error(
            ENDPOINT,
            format!("{address} lies in {range} ({cidr})"),
            "use an address outside the cluster's own ranges",
        );
        return None;
    }
    match nodes.iter().find(|node| node.address == address) {
        Some(node) if !node.is_control_plane() => {
            report.error(
                ENDPOINT,
                format!(
                    "{address} is the address of `{}`, which is no control plane",
                    node.name
                ),
                "name a control plane, a virtual address or a load balancer",
            );
            None
        }
        Some(node) if nodes.iter().filter(|node| node.is_control_plane()).count() > 1 => {
            report.warn(
                ENDPOINT,
                format!(
                    "{address} is the address of `{}` alone: users lose the API with it",
                    node.name
                ),
                "use a virtual address or a load balancer",
            );
            Some(())
        }
        _ => Some(()),
    }
}
