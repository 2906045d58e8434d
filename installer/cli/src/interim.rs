use ingot_cluster::*;
use serde_json::Value;
pub fn load(text: &str, base: &std::path::Path) -> Cluster {
    let v: Value = serde_yaml::from_str(text).unwrap();
    let s = &v["spec"];
    let nodes = s["nodes"].as_array().unwrap().iter().map(|n| {
        let ssh = |k: &str| n["ssh"].get(k).or(s["ssh"].get(k)).cloned().unwrap_or(Value::Null);
        Node {
            name: Name::try_from(n["name"].as_str().unwrap().to_owned()).unwrap(),
            address: n["address"].as_str().unwrap().parse().unwrap(),
            roles: serde_json::from_value(n["roles"].clone()).unwrap(),
            labels: Default::default(),
            access: Access::Ssh(Ssh {
                host: n["address"].as_str().unwrap().into(), port: 22,
                user: ssh("user").as_str().unwrap_or("root").into(),
                key_file: ssh("keyFile").as_str().map(|k| base.join(k)), sudo: None, jump: None }),
        }
    }).collect();
    Cluster { name: Name::try_from(v["metadata"]["name"].as_str().unwrap().to_owned()).unwrap(), endpoint: None,
        network: Network { pod_cidr: Cidr::parse("10.233.0.0/16").unwrap(), node_prefix: 24, service_cidr: Cidr::parse("10.96.0.0/16").unwrap(), cluster_domain: "cluster.local".into(), backend: Backend::Vxlan },
        api_server: Default::default(), kubelet: Default::default(), registries: vec![], nodes }
}
