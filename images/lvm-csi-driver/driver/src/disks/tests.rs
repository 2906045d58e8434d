use super::*;
use crate::store::MemoryStore;
use ingot_volume_brain::{Bytes, NodeName, VgName};
use std::collections::BTreeSet;

fn config() -> NodeConfig {
    let pool = |name: &str, devices: &[&str], serials: &[&str]| PoolConfig {
        name: name.into(),
        volume_group: VgName::new(name).expect("a name"),
        devices: devices.iter().map(ToString::to_string).collect(),
        serials: serials.iter().map(ToString::to_string).collect(),
        unstable_names: false,
        thin: None,
        erase: true,
    };
    NodeConfig {
        node: NodeName::new("node-1").expect("a name"),
        pools: vec![
            pool("fast", &[], &["S1", "S9"]),
            pool("bulk", &["/dev/disk/by-id/ata-Example_S2"], &[]),
        ],
        abandoned: BTreeSet::new(),
        wipe: BTreeSet::new(),
        metrics: None,
    }
}

fn disk(kernel: &str, serial: Option<&str>, content: Option<&str>) -> BlockDisk {
    BlockDisk {
        kernel_name: kernel.into(),
        names: serial
            .map(|s| format!("ata-Example_{s}"))
            .into_iter()
            .collect(),
        size: Bytes::gib(1),
        model: None,
        serial: serial.map(str::to_owned),
        rotational: false,
        content: content.map(str::to_owned),
        mounted: None,
        failed: false,
        read_only: false,
    }
}

fn said(config: &NodeConfig, found: &[BlockDisk]) -> Vec<String> {
    let line = |disk: Disk| {
        let pool = disk.pool.unwrap_or_else(|| "-".into());
        let unused = disk.unused.unwrap_or_else(|| "used".into());
        format!("{} {pool} {:?}: {unused}", disk.kernel_name, disk.health)
    };
    reports(config, found, &[], &[])
        .into_iter()
        .map(line)
        .collect()
}

#[test]
fn each_disk_says_whose_it_is_or_why_it_is_not_used() {
    let mut system = disk("sda", None, Some("a gpt partition table"));
    system.mounted = Some("/".into());
    let mut broken = disk("sdf", Some("S6"), None);
    broken.failed = true;
    let found = [
        system,
        disk("sdb", Some("S1"), Some(LVM)),
        disk("sdc", Some("S2"), Some("xfs")),
        disk("sdd", Some("S3"), None),
        disk("sde", None, None),
        broken,
    ];
    let config = config();
    assert_eq!(
        said(&config, &found),
        [
            "sda - Good: it is mounted on /",
            "sdb fast Good: used",
            "sdc bulk Good: pool bulk asks for it, but it holds xfs; if nobody needs that, name its serial number S2 under `wipe`",
            "sdd - Good: no pool asks for it; name its serial number S3 under `serials` of one",
            "sde - Good: no pool asks for it; name /dev/sde under `devices` of one",
            "sdf - Failed: the kernel has given it up; look at `dmesg` and replace it",
            " fast Missing: pool fast asks for it and it is not there; reconnect it, or take it out of the pool",
        ]
    );
    let mut wiping = config;
    wiping.wipe.insert("S2".into());
    assert!(said(&wiping, &found)[2].ends_with("used"));
}

#[tokio::test]
async fn a_disk_of_a_pool_that_goes_stays_known_and_others_are_forgotten() {
    let folder = tempfile::tempdir().expect("a directory");
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    for (name, number, serial) in [("sdb", "8:16", "S1"), ("sdc", "8:32", "S3")] {
        put(&format!("sys/block/{name}/size"), "4096\n");
        put(&format!("sys/block/{name}/dev"), number);
        put(
            &format!("run/udev/data/b{number}"),
            &format!("E:ID_SERIAL_SHORT={serial}\n"),
        );
    }
    let store = Arc::new(MemoryStore::default());
    let config = NodeConfig {
        pools: config().pools[..1].to_vec(),
        ..config()
    };
    let reporter = DiskReporter::new(config, store.clone(), folder.path().to_owned());
    let shown = async || {
        let all = store.list(ObjectKind::Disk).await.expect("in memory");
        let line = |(key, stored): (Key, crate::store::Stored)| {
            let disk = stored.object.disk().expect("a disk").clone();
            (key.name, disk.health, disk.size)
        };
        all.into_iter().map(line).collect::<Vec<_>>()
    };
    reporter.report().await.expect("reported");
    let two = Bytes::mib(2);
    let missing = ("node-1.s9-".to_owned(), DiskHealth::Missing, Bytes::ZERO);
    let first = shown().await;
    assert_eq!(first.len(), 3);
    assert!(first[0].0.starts_with(&missing.0) && first[0].1 == missing.1);
    assert_eq!(first[1], ("node-1.sdb".into(), DiskHealth::Good, two));
    assert_eq!(first[2], ("node-1.sdc".into(), DiskHealth::Good, two));
    for name in ["sdb", "sdc"] {
        let unplugged = ingot_deletion::delete_tree(&folder.path().join("sys/block").join(name));
        unplugged.complete().expect("unplugged");
    }
    reporter.report().await.expect("reported");
    let then = shown().await;
    assert_eq!(then.len(), 2, "{then:?}");
    assert_eq!(then[1], ("node-1.sdb".into(), DiskHealth::Missing, two));
}

#[test]
fn disks_are_asked_for_by_lasting_names_unless_others_are_agreed_to() {
    let with = |devices: &str, more: &str| {
        let text = format!(
            "node: node-1\npools:\n  - {{ name: a, volumeGroup: vg, devices: [{devices}]{more} }}\n"
        );
        let config: NodeConfig = serde_yaml::from_str(&text).expect("a configuration");
        config.check().map_err(|error| error.to_string())
    };
    let error = with("/dev/sdb", "").expect_err("it may be another tomorrow");
    assert!(error.contains("or say `unstableNames: true`"), "{error}");
    assert_eq!(with("/dev/sdb", ", unstableNames: true"), Ok(()));
    let error = with("", "").expect_err("no disk");
    assert!(error.contains("name them under `serials`"), "{error}");
    assert_eq!(with("", ", serials: [S1]"), Ok(()));
    let error = with("", ", serials: [S1, S1]").expect_err("twice");
    assert!(error.contains("serial number S1 is named twice"), "{error}");
}

#[test]
fn the_shape_of_a_thin_pool_may_be_left_out_and_impossible_chunks_are_refused() {
    let with = |more: &str| {
        let thin = format!("thin: {{ pool: p, size: 10GiB{more} }}");
        let text = format!(
            "node: node-1\npools:\n  - {{ name: a, volumeGroup: vg, serials: [S1], {thin} }}\n"
        );
        serde_yaml::from_str::<NodeConfig>(&text).expect("a configuration")
    };
    let shape = |config: &NodeConfig| {
        let thin = config.pools[0].thin.as_ref().expect("a thin pool");
        (thin.metadata, thin.chunk)
    };
    let open = with("");
    assert_eq!((shape(&open), open.check().is_ok()), ((None, None), true));
    // What was left out stays so when it is written down.
    let written = serde_yaml::to_string(&open).expect("written");
    assert_eq!(
        serde_yaml::from_str::<NodeConfig>(&written).expect("read"),
        open
    );
    let said = with(", metadata: 1GiB, chunk: 128KiB");
    let expected = (Some(Bytes::gib(1)), Some(Bytes(128 << 10)));
    assert_eq!((shape(&said), said.check().is_ok()), (expected, true));
    for chunk in ["32KiB", "100KiB", "2GiB"] {
        let error = with(&format!(", chunk: {chunk}")).check();
        let error = error.expect_err(chunk).to_string();
        assert!(error.contains("write 64KiB to 1GiB"), "{error}");
    }
}
