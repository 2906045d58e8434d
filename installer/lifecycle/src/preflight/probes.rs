//! What hosts try among themselves, since the path decides and not a configuration. What is tried is in
//! [`crate::phases::preflight`]; here is only what a person should know of it.

use super::{Check, Weight};

/// Whether every host reaches the ports of every other.
pub const REACHABILITY: Check = Check {
    name: "reachability",
    how: "every new host listens for a moment on the ports of its roles, and every host connects to them; what runs on members is tried by new hosts",
    consequence: "the nodes do not form a cluster, or pod traffic is lost",
    remedy: "open the ports of the table in the guide between the nodes",
    weight: Weight::Errors,
    judge: None,
};

/// Whether packets of the full size travel between hosts.
pub const PATH_MTU: Check = Check {
    name: "path-mtu",
    how: "every host sends every new host a datagram as large as their interfaces allow, on the port of pod traffic",
    consequence: "small packets arrive and large ones vanish: connections open and then hang, images are not pulled, logs stop",
    remedy: "give the interfaces of all nodes the MTU that the path between them carries, or mend what lies between",
    weight: Weight::Errors,
    judge: None,
};

/// Whether the host forwards packets of pods.
pub const FORWARDING: Check = Check {
    name: "forwarding",
    how: "on every host where nothing was installed yet two network namespaces stand in for a pod (behind `cni0`) and for the pods of other nodes (behind `flannel.1`), with addresses of the pod range; packets go from each to the other, from the pod to the kubelet and the API server of the host, and from the host to the pod",
    consequence: "pods reach neither pods of other nodes, nor Services, nor the API server: CoreDNS never becomes ready",
    remedy: "let the firewall forward everything from and to the pod range (`cni0`, `flannel.1`), and let pods reach ports 6443 and 10250 of nodes",
    weight: Weight::Errors,
    judge: None,
};
