//! The objects that make a bare API server a cluster: access rules, kube-proxy, flannel, CoreDNS,
//! metrics-server. Pure: templates built into the program, rendered with the cluster's settings.

include!(concat!(env!("OUT_DIR"), "/manifests.rs"));

/// All objects as YAML documents, in the order of application.
///
/// # Errors
/// A template that does not fit the settings: a mistake of this program.
pub fn render(settings: &serde_json::Value) -> Result<String, String> {
    let context =
        tera::Context::from_serialize(settings).map_err(|error| crate::error::chain(&error))?;
    let mut all = String::new();
    for (name, template) in MANIFESTS {
        let text = tera::Tera::one_off(template, &context, false)
            .map_err(|error| format!("{name}: {}", crate::error::chain(&error)))?;
        all.push_str("---\n");
        all.push_str(&text);
    }
    Ok(all)
}

/// The labels of a node that only an administrator may set.
pub fn node(
    name: &str,
    roles: &[ingot_cluster::Role],
    labels: &std::collections::BTreeMap<String, String>,
) -> String {
    let mut all = labels.clone();
    for role in roles {
        let role = match role {
            ingot_cluster::Role::ControlPlane => "control-plane",
            ingot_cluster::Role::Worker => "worker",
        };
        all.insert(format!("node-role.kubernetes.io/{role}"), String::new());
    }
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": all },
    });
    format!("---\n{object}\n")
}
