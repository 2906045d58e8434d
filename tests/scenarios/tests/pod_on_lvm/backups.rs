//! A backup program of the cluster asks what has changed between two snapshots of a claim.

use std::time::Duration;

use ingot_csi_proto::kubernetes::GetMetadataDeltaRequest;
use ingot_csi_proto::kubernetes::snapshot_metadata_client::SnapshotMetadataClient;
use ingot_harness::guest::Guest;
use ingot_scenarios::cluster::Cluster;
use ingot_scenarios::volume::{NAMESPACE, Volumes};
use ingot_scenarios::wait;
use serde_json::{Value, json};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

const DRIVER: &str = "lvm.csi.ingot.dev";
/// What the client is told, as JSON.
const TOLD: &str = "INGOT_BACKUP_CLIENT";
/// What the pod writes between the two, in bytes.
const WRITTEN: i64 = 8 << 20;

/// Two snapshots with a file between them: what differs is about as much as the file. Asked on the worker,
/// by the Service's address, with the token of an account that may read snapshots and nothing else.
pub fn only_what_has_changed_is_read(cluster: &Cluster<'_>, volumes: &Volumes<'_>, worker: &Guest) {
    let kubectl = cluster.kubectl();
    for (snapshot, script) in [
        ("monday", "/usr/bin/sync"),
        (
            "tuesday",
            "/usr/bin/head -c 8388608 /dev/urandom > /data/ore && /usr/bin/sync",
        ),
    ] {
        volumes.shell("smith", script);
        cluster.told(&["volume", "snapshot", "kube-system/data", "--name", snapshot]);
    }
    kubectl.ok(&["-n", NAMESPACE, "create", "serviceaccount", "backup"]);
    let role = [
        "--verb=get",
        "--resource=volumesnapshots.snapshot.storage.k8s.io",
    ];
    kubectl.ok(&[
        "-n", NAMESPACE, "create", "role", "backup", role[0], role[1],
    ]);
    let account = format!("--serviceaccount={NAMESPACE}:backup");
    kubectl.ok(&[
        "-n",
        NAMESPACE,
        "create",
        "rolebinding",
        "backup",
        "--role=backup",
        &account,
    ]);

    let service = wait::until("the service is told of", Duration::from_secs(60), || {
        kubectl.json(&["get", "snapshotmetadataservices.cbt.storage.k8s.io", DRIVER])
    })
    .0;
    let spec = &service["spec"];
    let host = "storage-snapshot-metadata.kube-system.svc";
    assert_eq!(spec["address"], format!("{host}:443"));
    let balanced = kubectl.json(&[
        "-n",
        NAMESPACE,
        "get",
        "service",
        "storage-snapshot-metadata",
    ]);
    let balanced = balanced.expect("the Service");
    let audience = format!(
        "--audience={}",
        spec["audience"].as_str().unwrap_or_default()
    );
    let token = kubectl.ok(&["-n", NAMESPACE, "create", "token", "backup", &audience]);
    let told = json!({
        "address": balanced["spec"]["clusterIP"], "host": host, "trust": spec["caCert"], "token": token.trim(),
    });
    let own = std::env::current_exe().expect("this program");
    let words = [
        "backups::a_client_on_the_worker",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    let status = worker
        .run_program(&own, &words, &[(TOLD, &told.to_string())])
        .expect("the client ran");
    assert!(status.success(), "the client on the worker: {status}");

    for kind in ["rolebinding", "role", "serviceaccount"] {
        kubectl.ok(&["-n", NAMESPACE, "delete", kind, "backup"]);
    }
    for snapshot in ["monday", "tuesday"] {
        volumes.delete("volumesnapshot", snapshot);
    }
}

/// What the service consists of, and the rights that it needs.
const PARTS: [(&str, &str); 8] = [
    ("service", "storage-snapshot-metadata"),
    ("secret", "storage-snapshot-metadata"),
    ("clusterrole", "ingot:storage-snapshot-metadata"),
    ("clusterrolebinding", "ingot:storage-snapshot-metadata"),
    ("clusterrolebinding", "ingot:storage-agent:auth-delegator"),
    ("role", "ingot:storage-agent"),
    ("rolebinding", "ingot:storage-agent"),
    ("snapshotmetadataservices", DRIVER),
];

/// Who takes the line out again finds nothing of the service any more.
pub fn nothing_is_left_of_it_when_it_is_turned_off(cluster: &Cluster<'_>, worker: &Guest) {
    let kubectl = cluster.kubectl();
    let there = |(kind, name): &(&str, &str)| {
        let words = ["-n", NAMESPACE, "get", "--ignore-not-found", kind, name];
        !kubectl.ok(&words).is_empty()
    };
    assert!(PARTS.iter().all(there));
    let yaml = std::fs::read_to_string(cluster.config()).expect("cluster.yaml");
    let without = yaml.replace("  storage:\n    snapshotMetadata: true\n", "");
    assert_ne!(without, yaml);
    std::fs::write(cluster.config(), without).expect("cluster.yaml");
    cluster.ingot(&["apply"]).succeeded();
    let left: Vec<_> = PARTS.iter().filter(|part| there(part)).collect();
    assert!(left.is_empty(), "{left:?}");
    wait::until("nobody listens", Duration::from_secs(120), || {
        let listening = worker.run(&["ss", "-Hltn", "sport", "=", ":9810"]);
        let listening = listening.map_err(|error| error.to_string())?;
        match listening.stdout.is_empty() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&listening.stdout).into_owned()),
        }
    });
}

#[test]
#[ignore = "what the story runs on the worker"]
fn a_client_on_the_worker() {
    let told = std::env::var(TOLD).expect("what the client is told");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let changed = runtime.block_on(ask(&told)).expect("an answer");
    println!("  {changed} bytes have changed");
    // Beside the file, what a filesystem writes of it.
    assert!((WRITTEN..4 * WRITTEN).contains(&changed), "{changed} bytes");
}

async fn ask(told: &Value) -> Result<i64, Box<dyn std::error::Error>> {
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    let trust: k8s_openapi::ByteString = serde_json::from_value(told["trust"].clone())?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(trust.0))
        .domain_name(text("host"));
    let endpoint = Endpoint::try_from(format!("https://{}:443", text("address")))?;
    let channel = endpoint.tls_config(tls)?.connect().await?;
    let mut client = SnapshotMetadataClient::new(channel);
    let mut request = GetMetadataDeltaRequest {
        security_token: text("token"),
        namespace: NAMESPACE.into(),
        base_snapshot_name: "monday".into(),
        target_snapshot_name: "tuesday".into(),
        ..GetMetadataDeltaRequest::default()
    };
    let mut parts = client
        .get_metadata_delta(request.clone())
        .await?
        .into_inner();
    let mut changed = 0;
    while let Some(part) = parts.message().await? {
        changed += part
            .block_metadata
            .iter()
            .map(|block| block.size_bytes)
            .sum::<i64>();
    }
    request.security_token = "nobody's".into();
    let refused = client.get_metadata_delta(request).await;
    match refused {
        Err(status) if status.code() == tonic::Code::Unauthenticated => Ok(changed),
        other => Err(format!("nobody's token: {:?}", other.err()).into()),
    }
}
