//! Writes this node's pod network for containerd once flannel knows the node's subnet.
//!
//! flannel leaves the subnet in an environment file; a systemd path unit starts this then. The list of
//! plugins (CNI spec 1.0, "network configuration format") is bridge with host-local addresses, and portmap
//! for `hostPort`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Where flannel leaves the subnet of this node.
pub const SUBNET_FILE: &str = "/run/flannel/subnet.env";
/// The network configuration containerd reads.
pub const CONFLIST: &str = "/etc/cni/net.d/10-ingot.conflist";

/// Whether the configuration has to be written: it differs from what flannel's file leads to. As long as
/// there is no such file, nothing can be written yet.
///
/// # Errors
/// When flannel's file lacks something.
pub fn is_due() -> Result<bool, String> {
    match std::fs::read_to_string(SUBNET_FILE) {
        Err(_) => Ok(false),
        Ok(text) => Ok(!is_written(&conflist(&text)?)),
    }
}

fn is_written(wanted: &str) -> bool {
    std::fs::read_to_string(CONFLIST).is_ok_and(|found| found == wanted)
}

/// Writes the configuration if it differs.
///
/// # Errors
/// When flannel's file lacks something or the configuration cannot be written.
pub fn write() -> Result<(), String> {
    let text = std::fs::read_to_string(SUBNET_FILE)
        .map_err(|error| format!("cannot read {SUBNET_FILE}: {error}"))?;
    let wanted = conflist(&text)?;
    if is_written(&wanted) {
        return Ok(());
    }
    let path = Path::new(CONFLIST);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| format!("cannot create {}: {error}", parent.display()))?;
    }
    ingot_engine::resource::write_atomically(path, |_, file| {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.write_all(wanted.as_bytes())
    })
    .map_err(|error| format!("cannot write {CONFLIST}: {error}"))
}

fn conflist(environment: &str) -> Result<String, String> {
    let values: BTreeMap<&str, &str> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let get = |name: &str| {
        values.get(name).copied().ok_or_else(|| {
            format!("{SUBNET_FILE} has no {name}; is flannel of this release running?")
        })
    };
    // FLANNEL_SUBNET is the address of the bridge with the prefix of the node's range.
    let (gateway, prefix) = get("FLANNEL_SUBNET")?
        .split_once('/')
        .ok_or("FLANNEL_SUBNET has no prefix")?;
    let mtu: u32 = get("FLANNEL_MTU")?
        .parse()
        .map_err(|_| "FLANNEL_MTU is not a number")?;
    let network = ingot_cluster::Cidr::parse(&format!("{gateway}/{prefix}"))
        .map(|cidr| cidr.to_string())
        .or_else(|error| match error {
            ingot_cluster::CidrError::HostBits { meant, .. } => Ok(meant),
            syntax @ ingot_cluster::CidrError::Syntax(_) => Err(syntax.to_string()),
        })?;
    let json = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "ingot",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "mtu": mtu,
            "isGateway": true,
            "isDefaultGateway": true,
            "hairpinMode": true,
            // Traffic that leaves the cluster is masqueraded by flannel.
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": network }]],
                "routes": [{ "dst": values.get("FLANNEL_NETWORK").copied().unwrap_or("0.0.0.0/0") }],
            },
        }, {
            // `hostPort`. Without a backend it would look for iptables first, which hosts need not have.
            "type": "portmap",
            "capabilities": { "portMappings": true },
            "backend": "nftables",
            // So that 127.0.0.1 of the host and the pod itself reach the port, too.
            "snat": true,
        }],
    });
    serde_json::to_string_pretty(&json)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bridge_gets_the_subnet_of_the_node() {
        let text = super::conflist(
            "FLANNEL_NETWORK=10.233.0.0/16\nFLANNEL_SUBNET=10.233.2.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
        )
        .unwrap();
        assert!(text.contains("\"subnet\": \"10.233.2.0/24\""), "{text}");
        assert!(text.contains("\"mtu\": 1450"));
        assert!(
            super::conflist("FLANNEL_MTU=1\n")
                .unwrap_err()
                .contains("has no FLANNEL_SUBNET")
        );
    }
}
