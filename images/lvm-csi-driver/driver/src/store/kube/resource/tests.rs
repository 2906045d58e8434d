//! The definitions in `crds` beside the objects: each field of the one is a field of the other.

use super::{GROUP, VERSION, decode, encode, names};
use crate::object::{
    Ailing, Disk, DiskHealth, DiskId, GroupSnapshot, Key, NodePool, Object, ObjectKind, Origin,
    Quarantined, Volume,
};
use ingot_lvm::{Filesystem, Kind, Layout, Limits, Space, ThinGuard, ThinSpace};
use ingot_volume_brain::{
    Bytes, LvName, NameHash, NodeName, Phase, Report, Version, VgName, VolumeUid,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn node() -> NodeName {
    NodeName::new("worker-1").expect("a name")
}

fn volume(kind: Kind, layout: Layout) -> Volume {
    Volume {
        kind,
        uid: VolumeUid(7),
        csi_name: "pvc-1".into(),
        node: node(),
        pool: "data".into(),
        vg: VgName::new("ingot-data").expect("a name"),
        layout,
        size: Bytes::gib(1),
        deleting: true,
        origin: Some(Origin {
            kind: Kind::Snapshot,
            uid: VolumeUid(8),
            id: "s-1".into(),
        }),
        encrypted: true,
        filesystem: Some(Filesystem::Xfs),
        limits: Limits {
            read_bytes: Some(1),
            write_bytes: Some(2),
            read_operations: Some(3),
            write_operations: Some(4),
        },
        group: Some("g-1".into()),
        created: 1,
        report: Report {
            phase: Phase::Ready,
            size: Bytes::gib(1),
            refused: Some(Bytes::gib(2)),
        },
        message: "cannot grow".into(),
        in_use: true,
    }
}

/// Objects with every field, so that none is forgotten.
fn whole() -> Vec<(Key, Object)> {
    let pool = LvName::new("thin").expect("a name");
    let layouts = [
        Layout::Linear,
        Layout::Thin { pool: pool.clone() },
        Layout::raid1(2).expect("two"),
        Layout::raid5(2)
            .expect("two")
            .with_integrity()
            .expect("redundant"),
        Layout::Striped { stripes: 3 },
    ];
    let volumes = layouts.into_iter().flat_map(|layout| {
        [Kind::Volume, Kind::Snapshot].map(|kind| {
            let volume = volume(kind, layout.clone());
            (volume.key(), volume.into())
        })
    });
    let group = GroupSnapshot {
        uid: VolumeUid(9),
        csi_name: "group-1".into(),
        volumes: vec!["v-1".into()],
        snapshots: vec!["s-1".into()],
        created: 1,
    };
    let status = NodePool {
        node: node(),
        topology: BTreeMap::from([("zone".into(), "a".into())]),
        pool: "data".into(),
        vg: VgName::new("ingot-data").expect("a name"),
        thin: Some(pool.clone()),
        guard: ThinGuard::default(),
        space: Space {
            extent: Bytes::mib(4),
            free: vec![Bytes::gib(1)],
            checked: vec![Bytes::mib(900)],
            thin: Some(ThinSpace {
                pool,
                size: Bytes::gib(1),
                promised: Bytes::gib(1),
                data: 0.5,
                metadata: 1.0,
                healthy: true,
            }),
        },
        quarantined: vec![Quarantined {
            lv: LvName::volume(VolumeUid(7)),
            kind: Kind::Volume,
            id: "v-1".into(),
            size: Bytes::gib(1),
            thin: Some(LvName::new("thin").expect("a name")),
            encrypted: true,
        }],
        overwriting: Bytes::gib(1),
        ailing: vec![Ailing {
            id: "v-1".into(),
            readable: true,
            message: "a disk is missing".into(),
        }],
        missing: vec!["/dev/disk/by-id/a".into()],
        trouble: Some("a disk is missing".into()),
    };
    let disk = Disk {
        node: node(),
        id: DiskId::of("wwn-1"),
        path: "/dev/disk/by-id/wwn-1".into(),
        kernel_name: "sdb".into(),
        size: Bytes::gib(1),
        model: Some("Example".into()),
        serial: Some("S1".into()),
        rotational: true,
        pool: Some("data".into()),
        health: DiskHealth::Good,
        content: Some("ext4".into()),
        unused: Some("it is not empty".into()),
    };
    let others = [
        (Key::group(NameHash::of("group-1")), Object::Group(group)),
        (Key::pool(&node(), "data"), Object::Pool(Box::new(status))),
        (Key::disk(&node(), &disk.id), Object::Disk(Box::new(disk))),
    ];
    volumes.chain(others).collect()
}

/// The schema of a kind, as the API server has it.
fn schema(kind: ObjectKind) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../crds/{}.yaml", kind.plural()));
    let text = std::fs::read_to_string(&path).expect("the definition can be read");
    let mut definition =
        Value::deserialize(serde_yaml::Deserializer::from_str(&text)).expect("YAML");
    assert_eq!(definition["spec"]["group"], GROUP);
    assert_eq!(definition["spec"]["names"]["kind"], names(kind).0);
    let mut version = definition["spec"]["versions"][0].take();
    assert_eq!(version["name"], VERSION);
    version["schema"]["openAPIV3Schema"].take()
}

/// The same, refusing what it does not name: the API server would drop that without a word.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

/// Every path of fields in a value.
fn paths(at: &str, value: &Value, found: &mut BTreeMap<String, ()>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{at}.{name}");
                paths(&path, value, found);
                found.insert(path, ());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(at, item, found)),
        _ => {}
    }
}

/// Every path of fields a schema names.
fn named(at: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        named(&path, schema, found);
        found.push(path);
    }
}

/// A comma in text without quotes begins a field of its own, without a value.
#[test]
fn definitions_have_a_value_for_every_field() {
    fn empty(at: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => found.push(at.to_owned()),
            Value::Object(fields) => {
                for (name, value) in fields {
                    empty(&format!("{at}.{name}"), value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| empty(at, item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for kind in ObjectKind::ALL {
        empty(kind.plural(), &schema(kind), &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

/// What the controller writes when growth was refused is no shrinking to the definition.
#[test]
fn a_refused_growth_may_be_taken_back_down_to_what_there_is() {
    let whole = schema(ObjectKind::Volume);
    let rules = |at: &Value| {
        let rules = at["x-kubernetes-validations"].as_array();
        let rules = rules.map(Vec::as_slice).unwrap_or_default();
        let texts = rules.iter().filter_map(|rule| rule["rule"].as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let sizes = |rules: Vec<String>| rules.iter().filter(|rule| rule.contains("size")).count();
    assert_eq!(sizes(rules(&whole["properties"]["spec"])), 0);
    let root = rules(&whole);
    assert_eq!(
        root,
        [
            "self.spec.size >= oldSelf.spec.size || (has(oldSelf.status) && has(oldSelf.status.size) && oldSelf.status.size > 0 && self.spec.size >= oldSelf.status.size)"
        ]
    );
}

#[test]
fn definitions_and_objects_have_the_same_fields() {
    for kind in ObjectKind::ALL {
        let mut closed_schema = schema(kind);
        closed(&mut closed_schema);
        let validator = jsonschema::validator_for(&closed_schema).expect("a schema");
        let mut used = BTreeMap::new();
        for (key, object) in whole().into_iter().filter(|(key, _)| key.kind == kind) {
            let data = encode(&key, None, &object).expect("encoded").data;
            let wrong: Vec<String> = validator
                .iter_errors(&data)
                .map(|error| format!("{key} {}: {error}", error.instance_path))
                .collect();
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            paths("", &data, &mut used);
        }
        let mut all = Vec::new();
        named("", &schema(kind), &mut all);
        let unused: Vec<&String> = all
            .iter()
            .filter(|path| !used.contains_key(*path))
            .collect();
        assert!(unused.is_empty(), "{kind:?}: no object has {unused:?}");
    }
}

#[test]
fn a_member_of_a_group_with_the_longest_name_has_an_object() {
    let mut snapshot = volume(Kind::Snapshot, Layout::Linear);
    let group = "g".repeat(128);
    snapshot.csi_name = format!("{group}/{}", NameHash::of("v-1"));
    let key = snapshot.key();
    let data = encode(&key, None, &snapshot.into()).expect("encoded").data;
    let validator = jsonschema::validator_for(&schema(ObjectKind::Snapshot)).expect("a schema");
    let wrong: Vec<String> = validator
        .iter_errors(&data)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_was_written_is_read() {
    for (key, object) in whole() {
        let resource = encode(&key, Some(Version(12)), &object).expect("encoded");
        let read = decode(key.kind, resource).expect("decoded");
        assert_eq!((read.version, read.object), (Version(12), object));
    }
}

#[test]
fn a_volume_that_nobody_reported_on_is_pending() {
    let wanted = volume(Kind::Volume, Layout::Linear);
    let key = wanted.key();
    let mut resource = encode(&key, Some(Version(1)), &wanted.clone().into()).expect("encoded");
    // As the API server does when an object is made, and as it is after words without a report.
    for status in [Value::Null, json!({}), json!({ "message": "no room" })] {
        resource.data["status"] = status.clone();
        let read = decode(key.kind, resource.clone()).expect("decoded");
        let volume = read.object.volume().expect("a volume");
        assert_eq!(volume.report, Report::default());
        assert_eq!(
            volume.message,
            status["message"].as_str().unwrap_or_default()
        );
    }
    resource.data = Value::Object(Map::new());
    assert_eq!(decode(key.kind, resource).unwrap_err(), "it has no spec");
}
