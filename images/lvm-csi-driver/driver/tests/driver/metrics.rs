//! What Prometheus is told: all of it, as documented, by an agent over HTTP.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::node_client::NodeClient;
use ingot_lvm::{Backend, Command, Deadlines, Device, Executor, Filesystem, Lane};
use ingot_lvm_csi::agent::Agent;
use ingot_lvm_csi::metrics::{self, Measured, Metrics};
use ingot_lvm_csi::server::{Services, serve};
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

const REFERENCE: &str = include_str!("../../../../../docs/reference/storage.md");

async fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.lines().next().unwrap_or_default();
    (status.to_owned(), body.to_owned())
}

/// The names in a text of metrics, as queries have them.
fn told(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let name = |line: &str| match line.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, _)) => name.to_owned(),
        None => line.to_owned(),
    };
    types.map(name).collect()
}

fn documented() -> BTreeSet<String> {
    let section = REFERENCE.split("## Metrics").nth(1).expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in:\n{text}"));
    let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
    value.expect("a number")
}

/// A request over a socket, and one that is refused.
async fn ask(bed: &Bed, socket: &Path, metrics: &Metrics) {
    let services = Services {
        node: Some(bed.node.clone()),
        metrics: Some(metrics.clone()),
        ..Services::default()
    };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let path = socket.to_owned();
    let server = tokio::spawn(async move {
        let ended = async { drop(ended.await) };
        serve(&path, services, ended).await
    });
    let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).expect("an endpoint");
    let mut channel = endpoint.connect().await;
    while channel.is_err() {
        tokio::task::yield_now().await;
        channel = endpoint.connect().await;
    }
    let mut node = NodeClient::new(channel.expect("connected"));
    node.node_get_info(v1::NodeGetInfoRequest::default())
        .await
        .expect("told");
    node.node_stage_volume(v1::NodeStageVolumeRequest::default())
        .await
        .expect_err("it names no volume");
    drop(node);
    end.send(()).expect("it listens");
    server.await.expect("no panic").expect("served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_metrics_are_told_and_documented() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let metrics = Metrics::default();
    let listener = metrics::listen("127.0.0.1:0".parse().expect("an address"));
    let listener = listener.await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let server = metrics::serve(listener, Arc::clone(&bed.agent), metrics.clone());
    let server = tokio::spawn(server);

    for name in ["a", "b"] {
        bed.create(create(name, GIB, &[("pool", "thin")]))
            .await
            .expect("created");
    }
    bed.agent.settle().await.expect("settles");
    let measured = Measured::new(bed.sim.clone(), metrics.clone());
    let vg = VgName::new("ingot-thin").expect("a name");
    measured.run(&Command::Scan(vg.clone())).expect("read");
    let blank = Device::lv(&vg, &LvName::new("pool").expect("a name"));
    let mount = Command::Mount {
        device: blank,
        target: folder.path().join("target"),
        filesystem: Filesystem::Ext4,
        copied: false,
        read_only: false,
        options: Vec::new(),
    };
    let activate = Command::Activate {
        vg: vg.clone(),
        lv: LvName::new("pool").expect("a name"),
    };
    measured.run(&activate).expect("active");
    measured.run(&mount).expect_err("it holds nothing");
    ask(&bed, &folder.path().join("csi.sock"), &metrics).await;

    let (status, text) = get(&address, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(told(&text), documented(), "told is not what is documented");
    let volumes = "ingot_storage_volumes{kind=\"volume\",state=\"ready\"}";
    assert!(value(&text, volumes) > 1.5, "{text}");
    let promised = "ingot_storage_pool_promised_bytes{pool=\"thin\"}";
    assert!((value(&text, promised) - 2.0 * GIB as f64).abs() < 1.0);
    let size = "ingot_storage_pool_size_bytes{pool=\"thick\"}";
    assert!(value(&text, size) > 41.0 * GIB as f64);
    let requests = "ingot_storage_request_duration_seconds_count";
    for (method, code) in [("NodeGetInfo", "0"), ("NodeStageVolume", "3")] {
        let series = format!("{requests}{{method=\"{method}\",code=\"{code}\"}}");
        assert!(value(&text, &series) > 0.5);
    }
    let failures = "ingot_storage_command_failures_total{command=\"mount\"}";
    assert!(value(&text, failures) > 0.5);
    // Scan and activation; a mount is none of LVM's.
    assert!((value(&text, "ingot_storage_lvm_commands_total") - 2.0).abs() < 0.5);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    let (status, _) = get(&address, "/").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    server.abort();
}

#[tokio::test]
async fn a_command_that_hangs_and_a_pool_in_trouble_are_told() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let dead = Lane::Group(VgName::new("ingot-thin").expect("a name"));
    // Whatever is asked: what the agent looks at first depends on what it has just seen.
    bed.faulty.hang(move |command| command.lane() == dead);
    bed.agent.guard_pools().await;
    let metrics = Metrics::default();
    bed.agent.observe(&metrics).await;
    let text = metrics.text();
    let blocked = |pool: &str| {
        value(
            &text,
            &format!("ingot_storage_pool_blocked{{pool=\"{pool}\"}}"),
        )
    };
    let trouble = |pool: &str| {
        value(
            &text,
            &format!("ingot_storage_pool_trouble{{pool=\"{pool}\"}}"),
        )
    };
    assert!(blocked("thin") > 0.5 && trouble("thin") > 0.5, "{text}");
    assert!(blocked("thick") < 0.5 && trouble("thick") < 0.5, "{text}");
    assert!(value(&text, "ingot_storage_blocked_queues") > 0.5);
}

/// What snapshots do to a pool, and what a lost disk does, can be watched.
#[tokio::test]
async fn snapshots_and_what_they_take_and_lost_disks_are_told() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", "thin")])).await;
    let volume = volume.expect("created").volume_id;
    for name in ["a", "b"] {
        bed.snapshot(name, &volume).await.expect("taken");
    }
    let mirrored = [("pool", "thick"), ("layout", "raid1")];
    bed.create(create("m", GIB, &mirrored)).await.expect("made");
    bed.sim
        .unplug(&VgName::new("ingot-thick").expect("a name"), 0, true);
    bed.agent.settle().await.expect("settles");
    let metrics = Metrics::default();
    bed.agent.observe(&metrics).await;
    let text = metrics.text();
    let told = |name: &str, pool: &str| {
        value(
            &text,
            &format!("ingot_storage_pool_{name}{{pool=\"{pool}\"}}"),
        )
    };
    for (name, pool, expected) in [
        ("chunk_bytes", "thin", 65536.0),
        ("metadata_size_bytes", "thin", 134_217_728.0),
        ("snapshots", "thin", 2.0),
        ("snapshots", "thick", 0.0),
        ("missing_disks", "thin", 0.0),
        ("missing_disks", "thick", 1.0),
        ("degraded_volumes", "thin", 0.0),
        ("degraded_volumes", "thick", 1.0),
        ("trouble", "thick", 1.0),
    ] {
        let found = told(name, pool);
        assert!((found - expected).abs() < 0.5, "{name} of {pool}: {found}");
    }
}

#[tokio::test]
async fn an_agent_is_well_once_it_has_looked_at_its_volumes() {
    let bed = Bed::new();
    let idle = Agent::new(
        config("node-1"),
        Arc::new(MemoryStore::default()),
        Executor::new(bed.sim.clone(), Deadlines::default()),
    );
    assert!(idle.unwell().is_some_and(|why| why.contains("not looked")));
    for _ in 0..500 {
        if bed.agent.unwell().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", bed.agent.unwell());
}

#[tokio::test]
async fn the_program_serves_them_where_its_configuration_says() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("storage.yaml");
    let text = "node: node-1\nmetrics: 127.0.0.1:0\npools:\n  - { name: a, volumeGroup: vg, devices: [/dev/disk/by-id/a] }\n";
    std::fs::write(&file, text).expect("written");
    let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_lvm-csi-driver"))
        .args(["agent", "--config"])
        .arg(&file)
        .arg("--socket")
        .arg(folder.path().join("csi.sock"))
        .arg("--store")
        .arg(folder.path().join("objects"))
        .arg("--simulate")
        .arg(folder.path().join("node.json"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let said = BufReader::new(agent.stderr.take().expect("its words"));
    let address = said.lines().map_while(Result::ok).find_map(|line| {
        let rest = line.strip_prefix("metrics at http://")?;
        rest.strip_suffix("/metrics").map(str::to_owned)
    });
    let address = address.expect("it says where");
    let (status, text) = get(&address, "/metrics").await;
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        text.contains("ingot_storage_pool_trouble{pool=\"a\"}"),
        "{text}"
    );
}
