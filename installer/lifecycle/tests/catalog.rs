//! What the catalog writes to hosts, as golden files: one folder a case, one file a resource that has
//! text, and a list of all others. `UPDATE_GOLDEN=1` rewrites them; the difference is read in review.

use ingot_cluster::{Cluster, FakeFiles, load};
use ingot_engine::resource::Resource;
use ingot_lifecycle::agent::states;
use ingot_lifecycle::facts::Facts;
use ingot_lifecycle::manifests::{self, Part};
use ingot_lifecycle::phases;
use ingot_lifecycle::settings::{Release, host_settings, manifest_settings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CLUSTER: &str = "
apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: golden }
spec:
  controlPlaneEndpoint: api.example.org:6443
  apiServer:
    extraArgs: { v: '4' }
    extraSANs: [api.example.org]
  kubelet:
    config: { maxPods: 200 }
  registries:
    - { host: registry.example.org, mirrors: ['https://10.0.0.9:5000'] }
  ssh: { user: root, agent: true }
  nodes:
    - { name: cp1, address: 10.0.0.1, roles: [control-plane] }
    - { name: cp2, address: 10.0.0.2, roles: [control-plane] }
    - { name: cp3, address: 10.0.0.3, roles: [control-plane, worker] }
    - { name: w1, address: 10.0.0.4, roles: [worker] }
";

fn cluster() -> Cluster {
    let mut cluster = loaded(CLUSTER);
    cluster.registries[0].ca = Some("-----BEGIN CERTIFICATE-----\nsite\n".into());
    cluster
}

fn loaded(text: &str) -> Cluster {
    load("cluster.yaml", text, &FakeFiles::default())
        .unwrap_or_else(|findings| panic!("{findings}"))
        .cluster
}

fn release() -> Release {
    let names = |all: &[&str]| {
        all.iter()
            .map(|name| ((*name).to_owned(), format!("sha256:digest-of-{name}")))
            .collect()
    };
    let images: BTreeMap<String, String> = names(&[
        "coredns",
        "etcd",
        "flannel",
        "haproxy",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "metrics-server",
        "pause",
    ]);
    Release {
        version: "1.2.3".into(),
        kubernetes: None,
        content: String::new(),
        binaries: names(&[
            "cni-plugins",
            "containerd",
            "kubectl",
            "kubelet",
            "nftables",
            "runc",
        ]),
        images: images
            .into_iter()
            .map(|(name, digest)| {
                (
                    name.clone(),
                    format!("registry.ingot.local/{name}@{digest}"),
                )
            })
            .collect(),
    }
}

/// Compares `text` with the golden file, or rewrites it.
fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        wanted,
        text,
        "{} differs; look at it, then run with UPDATE_GOLDEN=1",
        path.display()
    );
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../salt-free-states/catalog/cases")
}

fn host_case(case: &str, node: &str, facts: &Facts) {
    let cluster = cluster();
    let node = cluster
        .nodes
        .iter()
        .find(|n| n.name.as_str() == node)
        .unwrap();
    let settings = host_settings(&cluster, node, facts, &release());
    let graph = states::graph(&phases::all_states(node), &settings)
        .unwrap_or_else(|reason| panic!("{reason}"));
    let directory = cases().join(case);
    let mut list: Vec<String> = Vec::new();
    for entry in &graph.nodes {
        let resource = &entry.declared.resource;
        match resource {
            Resource::File(file) => golden(
                &directory
                    .join("files")
                    .join(file.path.strip_prefix("/").unwrap()),
                &file.content,
            ),
            Resource::Unit(unit) => {
                golden(&directory.join("units").join(&unit.name), &unit.content)
            }
            _ => {}
        }
        list.push(format!("{:<44} {}", entry.declared.id, resource.target()));
    }
    list.sort();
    golden(&directory.join("resources.txt"), &(list.join("\n") + "\n"));
}

#[test]
fn a_control_plane_among_three() {
    host_case("control-plane", "cp2", &Facts::default());
}

#[test]
fn a_worker() {
    host_case("worker", "w1", &Facts::default());
}

#[test]
fn a_host_with_cgroup_v1_little_disk_and_no_right_to_lower_oom_scores() {
    let facts = Facts {
        cgroup_version: 1,
        may_lower_oom_score: false,
        disk_size: 20 << 30,
        ..Facts::default()
    };
    host_case("limited-host", "w1", &facts);
}

#[test]
fn the_cluster_s_objects() {
    let settings = manifest_settings(
        &cluster(),
        &release(),
        "-----BEGIN CERTIFICATE-----\n",
        false,
    );
    let parts = [Part::Platform, Part::AddOns].map(|part| manifests::render(&settings, part));
    let parts = parts.map(Result::unwrap);
    assert!(parts.iter().all(|part| part.unwanted.is_empty()));
    let text: String = parts.into_iter().map(|part| part.wanted).collect();
    golden(&cases().join("manifests/air-gapped.yaml"), &text);
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = <serde_json::Value as serde::Deserialize>::deserialize(document).unwrap();
        assert!(
            object["kind"].is_string() && object["metadata"]["name"].is_string(),
            "{object}"
        );
    }
}

/// CoreDNS asks whom cluster.yaml names, else the name servers of its host, else nobody.
#[test]
fn names_outside_of_the_cluster_are_forwarded_as_cluster_yaml_says() {
    let forward = |network: &str, hosts_have_dns: bool| {
        let text = format!("{CLUSTER}  network: {{ {network} }}\n");
        let settings = manifest_settings(&loaded(&text), &release(), "", hosts_have_dns);
        let rendered = manifests::render(&settings, Part::Platform).unwrap();
        let lines = rendered.wanted.lines().map(str::trim);
        let found: Vec<String> = lines
            .filter(|line| line.starts_with("forward "))
            .map(Into::into)
            .collect();
        found.join("\n")
    };
    let named = "nameServers: [10.0.0.53, \"fd00::53\"]";
    for hosts_have_dns in [true, false] {
        assert_eq!(
            forward(named, hosts_have_dns),
            "forward . 10.0.0.53 fd00::53 {"
        );
        assert_eq!(forward("nameServers: []", hosts_have_dns), "");
    }
    assert_eq!(forward("", true), "forward . /etc/resolv.conf {");
    assert_eq!(forward("", false), "");
}

/// A change of a ConfigMap makes new pods of the program that reads it, and of no other.
#[test]
fn a_changed_configuration_changes_the_template_of_its_pods() {
    let templates = |text: &str| {
        let settings = manifest_settings(&loaded(text), &release(), "", false);
        let rendered = manifests::render(&settings, Part::Platform).unwrap();
        let mut found = std::collections::BTreeMap::new();
        for document in serde_yaml::Deserializer::from_str(&rendered.wanted) {
            let object = <serde_json::Value as serde::Deserialize>::deserialize(document).unwrap();
            let digest =
                &object["spec"]["template"]["metadata"]["annotations"]["ingot.dev/configuration"];
            if let Some(digest) = digest.as_str() {
                assert_eq!(digest.len(), 16, "{digest}");
                found.insert(object["metadata"]["name"].to_string(), digest.to_owned());
            }
        }
        found
    };
    let before = templates(CLUSTER);
    let after = templates(&format!(
        "{CLUSTER}  network: {{ nameServers: [10.0.0.53] }}\n"
    ));
    let different: Vec<_> = before
        .iter()
        .filter(|(name, digest)| after[*name] != **digest)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(before.len(), 3);
    assert_eq!(different, ["\"coredns\""]);
}

/// What backup programs need is there where it is wanted, and nothing of it otherwise: also where it was
/// wanted before.
#[test]
fn snapshots_are_told_of_only_where_that_is_wanted() {
    let worker = "address: 10.0.0.4, roles: [worker]";
    let disks = "storage: { pools: [{ name: a, devices: [/dev/disk/by-id/a] }] }";
    let text = CLUSTER.replace(worker, &format!("{worker}, {disks}"));
    let rendered = |text: &str| {
        let settings = manifest_settings(&loaded(text), &storage_release(), "", false);
        manifests::render(&settings, Part::Platform).unwrap()
    };
    let without = rendered(&text);
    let with = rendered(&format!("{text}  storage: {{ snapshotMetadata: true }}\n"));
    // The shorter is in the longer, line by line.
    let mut rest = without.wanted.lines().peekable();
    let mut more = String::new();
    for line in with.wanted.lines() {
        match rest.peek() {
            Some(same) if *same == line => drop(rest.next()),
            _ => more.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(rest.next(), None);
    golden(&cases().join("manifests/snapshot-metadata.txt"), &more);

    let (before, after) = (names(&with.wanted), names(&without.wanted));
    let mut unwanted = names(&without.unwanted);
    assert!(unwanted.remove("SnapshotMetadataService lvm.csi.ingot.dev"));
    let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
    assert_eq!(unwanted, gone);
    assert_eq!(names(&with.unwanted), BTreeSet::new());
}

/// Kinds and names.
fn names(documents: &str) -> BTreeSet<String> {
    let documents = serde_yaml::Deserializer::from_str(documents);
    let mut names = BTreeSet::new();
    for document in documents {
        let object = <serde_json::Value as serde::Deserialize>::deserialize(document).unwrap();
        // Definitions of others begin with a line between documents.
        if !object.is_null() {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let name = text(&object["metadata"]["name"]);
            names.insert(format!("{} {name}", text(&object["kind"])));
        }
    }
    names
}

fn storage_release() -> Release {
    let mut release = release();
    for name in ingot_lifecycle::settings::STORAGE {
        let digest = format!("sha256:digest-of-{name}");
        release.images.insert(name.to_owned(), digest);
    }
    release
}

#[test]
fn static_pods_are_valid_yaml_with_images_by_digest() {
    let cluster = cluster();
    for node in &cluster.nodes {
        let settings = host_settings(&cluster, node, &Facts::default(), &release());
        let graph = states::graph(&phases::all_states(node), &settings).unwrap();
        for entry in &graph.nodes {
            let Resource::File(file) = &entry.declared.resource else {
                continue;
            };
            if file.path.starts_with("/etc/kubernetes/manifests") {
                let pod: serde_json::Value = serde_yaml::from_str(&file.content).unwrap();
                let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
                assert!(image.contains("@sha256:"), "{image}");
            }
        }
    }
}

/// A host keeps what no state speaks of; so what is taken out of cluster.yaml must still be spoken of.
#[test]
fn what_is_taken_out_of_the_description_is_taken_back() {
    let mut cluster = cluster();
    cluster.registries.clear();
    cluster.kubelet.config.clear();
    let settings = host_settings(&cluster, &cluster.nodes[0], &Facts::default(), &release());
    let graph = states::graph(&phases::all_states(&cluster.nodes[0]), &settings).unwrap();
    let resource = |id: &str| {
        let found = graph.nodes.iter().find(|node| node.declared.id == id);
        &found.unwrap_or_else(|| panic!("no {id}")).declared.resource
    };
    let Resource::Directory(registries) = resource("containerd/registries") else {
        panic!("not a directory");
    };
    let only = vec!["registry.ingot.local".to_owned()];
    assert_eq!(registries.entries, Some(only));
    let Resource::File(overrides) = resource("kubelet/overrides") else {
        panic!("not a file");
    };
    let text: serde_json::Value = serde_yaml::from_str(&overrides.content).unwrap();
    let names: Vec<_> = text.as_object().unwrap().keys().collect();
    assert_eq!(names, ["apiVersion", "kind"]);
}

#[test]
fn pods_ask_the_name_servers_of_the_site_where_they_can_reach_them() {
    let cluster = cluster();
    let resolv_conf = |path: &str| {
        let facts = Facts {
            resolv_conf: path.into(),
            ..Facts::default()
        };
        let settings = host_settings(&cluster, &cluster.nodes[0], &facts, &release());
        settings["host"]["resolv_conf"].as_str().unwrap().to_owned()
    };
    assert_eq!(resolv_conf(""), "\"\"");
    let resolved = "/run/systemd/resolve/resolv.conf";
    assert_eq!(resolv_conf(resolved), resolved);
}
