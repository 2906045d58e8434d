//! Flags of kube-apiserver that Ingot sets, and what a user does instead of changing them.

const CA: &str = "remove it; certificates come from the CA of the cluster";
const ETCD: &str = "remove it; the API server uses the etcd of the cluster";
const ADDRESS: &str = "remove it; every node expects the API server where Ingot puts it";
const ACCOUNTS: &str = "remove it; all API servers must agree on the tokens of service accounts";
const AUTHORIZATION: &str =
    "remove it; nodes and the platform rely on the authorization modes Node and RBAC";
const AUTHENTICATION: &str = "remove it; health checks and hardening rely on it";
const SECRETS: &str = "remove it; encryption of secrets at rest and its keys are managed by Ingot";
const OIDC: &str =
    "remove it; kube-apiserver takes it only without the file that says who may be anonymous";
const AUDIT: &str =
    "remove it; how much is kept is set by audit-log-maxage, -maxbackup and -maxsize";
const PRINTS: &str = "remove it; kube-apiserver would print it and end";
const GONE: &str = "remove it; kube-apiserver has no such flag any more";

/// Sorted by flag.
const OWNED: [(&str, &str); 62] = [
    (
        "admission-control-config-file",
        "remove it; the defaults of Pod Security stand in that file",
    ),
    (
        "advertise-address",
        "remove it; set the `address` of the node",
    ),
    (
        "allow-privileged",
        "remove it; the network of the cluster needs privileged pods",
    ),
    ("anonymous-auth", AUTHENTICATION),
    ("audit-log-path", AUDIT),
    ("audit-policy-file", AUDIT),
    ("authentication-config", AUTHENTICATION),
    ("authorization-config", AUTHORIZATION),
    ("authorization-mode", AUTHORIZATION),
    ("bind-address", ADDRESS),
    ("cert-dir", CA),
    ("client-ca-file", CA),
    ("cloud-provider", GONE),
    (
        "enable-aggregator-routing",
        "remove it; metrics-server relies on it",
    ),
    ("enable-bootstrap-token-auth", AUTHENTICATION),
    ("encryption-provider-config", SECRETS),
    ("encryption-provider-config-automatic-reload", SECRETS),
    ("endpoint-reconciler-type", ADDRESS),
    ("etcd-cafile", ETCD),
    ("etcd-certfile", ETCD),
    ("etcd-keyfile", ETCD),
    ("etcd-prefix", ETCD),
    ("etcd-servers", ETCD),
    ("etcd-servers-overrides", ETCD),
    (
        "external-hostname",
        "remove it; set `spec.controlPlaneEndpoint`",
    ),
    ("help", PRINTS),
    ("insecure-bind-address", GONE),
    ("insecure-port", GONE),
    ("kubelet-certificate-authority", CA),
    ("kubelet-client-certificate", CA),
    ("kubelet-client-key", CA),
    ("kubelet-port", ADDRESS),
    ("oidc-ca-file", OIDC),
    ("oidc-client-id", OIDC),
    ("oidc-groups-claim", OIDC),
    ("oidc-groups-prefix", OIDC),
    ("oidc-issuer-url", OIDC),
    ("oidc-required-claim", OIDC),
    ("oidc-signing-algs", OIDC),
    ("oidc-username-claim", OIDC),
    ("oidc-username-prefix", OIDC),
    ("permit-port-sharing", ADDRESS),
    ("proxy-client-cert-file", CA),
    ("proxy-client-key-file", CA),
    ("requestheader-allowed-names", CA),
    ("requestheader-client-ca-file", CA),
    ("requestheader-extra-headers-prefix", CA),
    ("requestheader-group-headers", CA),
    ("requestheader-uid-headers", CA),
    ("requestheader-username-headers", CA),
    ("secure-port", ADDRESS),
    ("service-account-issuer", ACCOUNTS),
    ("service-account-key-file", ACCOUNTS),
    ("service-account-signing-endpoint", ACCOUNTS),
    ("service-account-signing-key-file", ACCOUNTS),
    (
        "service-cluster-ip-range",
        "remove it; set `spec.network.serviceCIDR`",
    ),
    ("storage-backend", ETCD),
    ("tls-cert-file", CA),
    ("tls-private-key-file", CA),
    ("tls-sni-cert-key", CA),
    (
        "token-auth-file",
        "remove it; tokens in a file never end. `ingot kubeconfig` gives people certificates that do",
    ),
    ("version", PRINTS),
];

/// What to do instead of setting `flag`; `None` when it is free.
pub(super) fn instead(flag: &str) -> Option<&'static str> {
    OWNED
        .binary_search_by_key(&flag, |(owned, _)| owned)
        .ok()
        .map(|index| OWNED[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(OWNED.is_sorted());
        assert!(OWNED.iter().all(|(flag, next)| instead(flag) == Some(next)));
        assert_eq!(instead("audit-log-maxage"), None);
    }
}
