//! Two nodes with agents, a controller, and an API server with people, for the story of a backup program.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, disks};
use crate::cluster::Cluster;
use ingot_csi_proto::kubernetes::snapshot_metadata_client::SnapshotMetadataClient;
use ingot_csi_proto::v1;
use ingot_lvm::{Fuse, Kind, Sim};
use ingot_lvm_csi::backups::{self, Front};
use ingot_lvm_csi::config::TOPOLOGY_NODE;
use ingot_lvm_csi::controller::ControllerService;
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::snapshot_metadata::SnapshotMetadataService;
use ingot_lvm_csi::store::kube::{KubeStore, Role, connect};
use ingot_volume_brain::{Bytes, LvName, NodeName, VgName};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A chunk of the simulated pool.
pub const CHUNK: i64 = 64 << 10;
pub const AUDIENCE: &str = "lvm.csi.ingot.dev";
const SNAPSHOTS: &str = "/apis/snapshot.storage.k8s.io/v1";
const SERVICES: &str = "/apis/cbt.storage.k8s.io/v1beta1/snapshotmetadataservices";
const SOON: Duration = Duration::from_secs(60);

/// Definitions of what the snapshot controller works with, as far as it is read here.
fn definition(plural: &str, kind: &str, scope: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.snapshot.storage.k8s.io"),
            "annotations": { "api-approved.kubernetes.io": "https://github.com/kubernetes-csi/external-snapshotter" },
        },
        "spec": {
            "group": "snapshot.storage.k8s.io",
            "scope": scope,
            "names": { "kind": kind, "plural": plural },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            }}],
        },
    })
}

/// Two nodes with their agents, a controller, and the API server between them.
pub struct Site {
    pub client: kube::Client,
    pub beds: Vec<Bed>,
    tasks: Vec<JoinHandle<()>>,
    pub port: u16,
    /// The last to end.
    cluster: Cluster,
}

impl Drop for Site {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The address of a node, on loopback.
pub fn address(node: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, node).into()
}

impl Site {
    pub async fn start() -> Outcome<Option<Self>> {
        let Some(cluster) = Cluster::start().await? else {
            return Ok(None);
        };
        cluster.define().await?;
        let client = connect(Some(&cluster.kubeconfig())).await?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut site = Self {
            cluster,
            client,
            beds: Vec::new(),
            tasks: Vec::new(),
            port,
        };
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let claims = definition("volumesnapshots", "VolumeSnapshot", "Namespaced");
        let contents = definition("volumesnapshotcontents", "VolumeSnapshotContent", "Cluster");
        site.post(crds, &claims).await?;
        site.post(crds, &contents).await?;
        for kind in ["volumesnapshots", "volumesnapshotcontents"] {
            let path = format!("{SNAPSHOTS}/{kind}");
            let read = async || site.cluster.ask("GET", &path, &Value::Null).await;
            until(&path, async || read().await.map(drop)).await?;
        }
        site.people().await?;
        site.nodes().await?;
        Ok(Some(site))
    }

    async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.cluster.ask("POST", path, body).await
    }

    /// Two namespaces, and two accounts in one, of which one may read snapshots there.
    async fn people(&self) -> Outcome {
        for name in ["shop", "other"] {
            let namespace = json!({ "metadata": { "name": name } });
            self.post("/api/v1/namespaces", &namespace).await?;
        }
        for name in ["backup", "stranger"] {
            let account = json!({ "metadata": { "name": name } });
            let path = "/api/v1/namespaces/shop/serviceaccounts";
            self.post(path, &account).await?;
        }
        let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
        let role = json!({
            "metadata": { "name": "backup" },
            "rules": [{ "apiGroups": ["snapshot.storage.k8s.io"], "resources": ["volumesnapshots"], "verbs": ["get"] }],
        });
        self.post(&format!("{rbac}/roles"), &role).await?;
        let binding = json!({
            "metadata": { "name": "backup" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "backup" },
            "subjects": [{ "kind": "ServiceAccount", "name": "backup", "namespace": "shop" }],
        });
        self.post(&format!("{rbac}/rolebindings"), &binding).await?;
        Ok(())
    }

    async fn nodes(&mut self) -> Outcome {
        for number in [1, 2] {
            let name = format!("node-{number}");
            let object = json!({
                "metadata": { "name": name },
                "status": { "addresses": [
                    { "type": "Hostname", "address": name },
                    { "type": "InternalIP", "address": address(number) },
                ] },
            });
            self.post("/api/v1/nodes", &object).await?;
            let node = NodeName::new(&name)?;
            let store = KubeStore::new(self.client.clone(), Role::Agent(node.clone()));
            let sim = Arc::new(Sim::new(disks()));
            let mut bed = Bed::with(config(&name), sim, store.clone(), Fuse::default());
            let controller = KubeStore::new(self.client.clone(), Role::Controller);
            bed.controller = ControllerService::new(controller, SOON);
            bed.agent.prepare_pools().await;
            bed.agent.settle().await?;
            let local = SnapshotMetadataService::new(Arc::clone(&bed.agent));
            let front = Front::new(self.client.clone(), store, node, self.port, local);
            let at = SocketAddr::new(address(number), self.port);
            let serving = backups::serve(self.client.clone(), front, at);
            self.tasks.push(tokio::spawn(serving));
            self.beds.push(bed);
        }
        self.keep();
        Ok(())
    }

    /// What a controller does from its start.
    pub fn keep(&mut self) {
        let address = SocketAddr::new(address(1), self.port).to_string();
        let keeping = backups::keep(self.client.clone(), address);
        self.tasks.push(tokio::spawn(keeping));
    }

    /// A volume on that node, by its id.
    pub async fn volume(&self, node: usize) -> Outcome<String> {
        let name = format!("node-{}", node + 1);
        let mut request = create(&format!("v-{name}"), GIB, &[("pool", "thin")]);
        let segments = HashMap::from([(TOPOLOGY_NODE.to_owned(), name)]);
        request.accessibility_requirements = Some(v1::TopologyRequirement {
            requisite: vec![v1::Topology { segments }],
            ..v1::TopologyRequirement::default()
        });
        Ok(self.beds[node].create(request).await?.volume_id)
    }

    pub fn write(&self, node: usize, volume: &str, from: i64, to: i64) -> Outcome {
        let id = VolumeId::parse(Kind::Volume, volume).ok_or("no id")?;
        let vg = VgName::new("ingot-thin")?;
        let place = |chunk: i64| Bytes((chunk * CHUNK).unsigned_abs());
        let lv = LvName::volume(id.uid);
        let sim = &self.beds[node].sim;
        sim.write_blocks(&vg, &lv, place(from), place(to));
        Ok(())
    }

    /// A snapshot, and what the snapshot controller writes down of it.
    pub async fn snapshot(&self, node: usize, volume: &str, name: &str) -> Outcome {
        let taken = self.beds[node].snapshot(name, volume).await?;
        let uid = self.claim(name, &format!("content-{name}"), true).await?;
        self.content(
            &format!("content-{name}"),
            name,
            &uid,
            AUDIENCE,
            &taken.snapshot_id,
        )
        .await
    }

    pub async fn claim(&self, name: &str, content: &str, ready: bool) -> Outcome<String> {
        let claim = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": { "name": name },
            "status": { "boundVolumeSnapshotContentName": content, "readyToUse": ready },
        });
        let path = format!("{SNAPSHOTS}/namespaces/shop/volumesnapshots");
        let made = self.post(&path, &claim).await?;
        let uid = made["metadata"]["uid"].as_str();
        Ok(uid.ok_or("no uid")?.to_owned())
    }

    pub async fn content(
        &self,
        name: &str,
        of: &str,
        uid: &str,
        driver: &str,
        id: &str,
    ) -> Outcome {
        let content = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
            "metadata": { "name": name },
            "spec": {
                "driver": driver,
                "volumeSnapshotRef": { "namespace": "shop", "name": of, "uid": uid },
            },
            "status": { "snapshotHandle": id, "readyToUse": true },
        });
        let path = format!("{SNAPSHOTS}/volumesnapshotcontents");
        self.post(&path, &content).await.map(drop)
    }

    /// A token of that account of the shop.
    pub async fn token(&self, account: &str, audience: &str) -> Outcome<String> {
        let path = format!("/api/v1/namespaces/shop/serviceaccounts/{account}/token");
        let wanted = json!({ "spec": { "audiences": [audience], "expirationSeconds": 600 } });
        let made = self.post(&path, &wanted).await?;
        let token = made["status"]["token"].as_str();
        Ok(token.ok_or("no token")?.to_owned())
    }

    /// What backup programs are told of the service.
    pub async fn told(&self) -> Outcome<(String, String)> {
        let path = format!("{SERVICES}/{AUDIENCE}");
        let object = self.cluster.ask("GET", &path, &Value::Null).await?;
        let spec = &object["spec"];
        assert_eq!(spec["audience"], AUDIENCE);
        let address = spec["address"].as_str().ok_or("no address")?;
        let trust: ByteString = serde_json::from_value(spec["caCert"].clone())?;
        Ok((address.to_owned(), String::from_utf8(trust.0)?))
    }

    /// A client as a backup program makes one.
    pub async fn client(&self) -> Outcome<SnapshotMetadataClient<Channel>> {
        let (address, trust) = self.told().await?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trust));
        let endpoint = Endpoint::try_from(format!("https://{address}"))?;
        let channel = endpoint.tls_config(tls)?.connect().await?;
        Ok(SnapshotMetadataClient::new(channel))
    }
}

pub async fn until(what: &str, mut ask: impl AsyncFnMut() -> Outcome) -> Outcome {
    let end = Instant::now() + SOON;
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(format!("{what}: {error}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
