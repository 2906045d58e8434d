//! Where things lie on a host. The layout is a promise: guides and the support bundle name it.

/// Everything that is ours alone.
pub const HOME: &str = "/var/lib/ingot";
/// The programs of the installers that were here, each by its digest.
pub const PROGRAMS: &str = "/var/lib/ingot/bin";
/// The installed one, which services run.
pub const PROGRAM: &str = "/var/lib/ingot/bin/ingot";
/// Blobs by digest, `sha256/<hex>`.
pub const BLOBS: &str = "/var/lib/ingot/blobs";
/// The journal of changes to the host.
pub const JOURNAL: &str = "/var/lib/ingot/journal";
/// Held by the agent of the one installer that may change the host.
pub const LEASE: &str = "/var/lib/ingot/lease";
/// Which cluster and version the host belongs to.
pub const MEMBERSHIP: &str = "/var/lib/ingot/membership.json";
/// What the site had prepared before the first change, and for which node.
pub const PREPARED: &str = "/var/lib/ingot/prepared.json";
/// Certificates and keys.
pub const PKI: &str = "/etc/kubernetes/pki";
/// Release directories, one a version.
pub const RELEASES: &str = "/var/lib/ingot/releases";

/// TCP port of the API server.
pub const API_PORT: u16 = 6443;
/// TCP port on loopback of the load balancer to all API servers.
pub const BALANCER_PORT: u16 = 7443;
/// TCP port of the read-only registry on control-plane hosts.
pub const REGISTRY_PORT: u16 = 5443;
/// TCP port on the loopback where a node's storage agent serves its health and metrics.
pub const STORAGE_METRICS_PORT: u16 = 9809;
/// Where the storage agents tell backup programs what has changed, on the nodes' own addresses.
pub const SNAPSHOT_METADATA_PORT: u16 = 9810;
/// The registry name in image references; containerd's mirrors lead it to the control planes.
pub const REGISTRY: &str = "registry.ingot.local";
