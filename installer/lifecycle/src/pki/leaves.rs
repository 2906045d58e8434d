//! Which certificates each host has. Pure.

use super::{Authority, CertificateRequest, Usage};
use crate::paths;
use ingot_cluster::{Cluster, Node};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The public files of the authorities that a host needs, below [`paths::PKI`].
pub fn trust_names(node: &Node) -> Vec<&'static str> {
    if node.is_control_plane() {
        vec!["ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"]
    } else {
        vec!["ca.crt"]
    }
}

fn request(
    path: &str,
    authority: Authority,
    common_name: &str,
    usages: &[Usage],
) -> CertificateRequest {
    CertificateRequest {
        path: format!("{}/{path}", paths::PKI),
        authority,
        common_name: common_name.into(),
        organization: None,
        dns_names: Vec::new(),
        addresses: Vec::new(),
        usages: usages.to_vec(),
    }
}

impl CertificateRequest {
    fn of(mut self, organization: &str) -> Self {
        self.organization = Some(organization.into());
        self
    }

    fn valid_for(mut self, dns_names: &[&str], addresses: &[IpAddr]) -> Self {
        self.dns_names = dns_names.iter().map(|name| (*name).to_owned()).collect();
        self.dns_names.sort();
        self.dns_names.dedup();
        self.addresses = addresses.to_vec();
        self.addresses.sort();
        self.addresses.dedup();
        self
    }
}

/// All certificates of `node`.
pub fn host_certificates(cluster: &Cluster, node: &Node) -> Vec<CertificateRequest> {
    use Authority::{Cluster as Own, Etcd, FrontProxy};
    use Usage::{Client, Server};
    let name = node.name.as_str();
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let here = [node.address, loopback[0], loopback[1]];
    let mut all = vec![
        request(
            "kubelet-client",
            Own,
            &format!("system:node:{name}"),
            &[Client],
        )
        .of("system:nodes"),
        request(
            "kubelet-server",
            Own,
            &format!("system:node:{name}"),
            &[Server],
        )
        .of("system:nodes")
        .valid_for(&[name], &[node.address]),
    ];
    if !node.is_control_plane() {
        return all;
    }
    let (names, addresses) = api_server_names(cluster, node, &here);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let member = |path, usages: &[Usage]| {
        request(path, Etcd, name, usages).valid_for(&[name, "localhost"], &here)
    };
    all.extend([
        request("apiserver", Own, "kube-apiserver", &[Server]).valid_for(&names, &addresses),
        request(
            "apiserver-kubelet-client",
            Own,
            "kube-apiserver-kubelet-client",
            &[Client],
        )
        .of("ingot:api-servers"),
        request(
            "apiserver-etcd-client",
            Etcd,
            "kube-apiserver-etcd-client",
            &[Client],
        ),
        request(
            "front-proxy-client",
            FrontProxy,
            "front-proxy-client",
            &[Client],
        ),
        member("etcd/server", &[Server, Client]),
        member("etcd/peer", &[Server, Client]),
        request(
            "controller-manager",
            Own,
            "system:kube-controller-manager",
            &[Client],
        ),
        request(
            "controller-manager-server",
            Own,
            "kube-controller-manager",
            &[Server],
        )
        .valid_for(&["localhost", name], &here),
        request("scheduler", Own, "system:kube-scheduler", &[Client]),
        request("scheduler-server", Own, "kube-scheduler", &[Server])
            .valid_for(&["localhost", name], &here),
        // The agent's own: it puts the first bindings in place, so it must be in a group that needs none.
        request("ingot-agent", Own, "ingot:agent", &[Client]).of("system:masters"),
        request("registry", Own, "ingot-registry", &[Server])
            .valid_for(&[name, paths::REGISTRY], &here),
    ]);
    all
}

fn api_server_names(cluster: &Cluster, node: &Node, here: &[IpAddr]) -> (Vec<String>, Vec<IpAddr>) {
    let domain = &cluster.network.cluster_domain;
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
    ]
    .map(String::from)
    .to_vec();
    names.push(format!("kubernetes.default.svc.{domain}"));
    names.push(node.name.to_string());
    let mut addresses = here.to_vec();
    addresses.extend(cluster.api_service_address());
    let outside = cluster.endpoint.iter().map(|endpoint| &endpoint.host);
    for extra in outside.chain(&cluster.api_server.extra_sans) {
        match extra.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(extra.clone()),
        }
    }
    (names, addresses)
}
