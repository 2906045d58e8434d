//! What is said of a cluster's storage: objects of the API as files in, words and JSON as files out.
//! `UPDATE_GOLDEN=1` rewrites what comes out.

use ingot_lifecycle::storage::objects::{Answer, Kind, Objects};
use ingot_lifecycle::storage::snapshot::{self, Progress};
use ingot_lifecycle::storage::{ask, disks, installed, orphans, pools, show, volumes};
use ingot_lifecycle::{Failure, Unanswered};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};

const CASES: [&str; 6] = ["well", "trouble", "empty", "odd", "absent", "gone"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storage")
}

/// A case as it is written down: objects as `kubectl get -o json` prints them.
#[derive(Deserialize)]
struct Case {
    now: Value,
    absent: BTreeSet<Kind>,
    items: Vec<Value>,
}

fn case(name: &str) -> Case {
    let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn objects(name: &str) -> Objects {
    let case = case(name);
    let kind = |item: &Value| serde_json::from_value(item["kind"].clone()).unwrap();
    let items = case.items.into_iter().map(|item| (kind(&item), item));
    Objects::from(Answer {
        now: serde_json::from_value(case.now).unwrap(),
        absent: case.absent,
        items: items.collect(),
    })
}

fn golden(file: &str, text: &str) {
    let path = folder().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        wanted == text,
        "{} differs; it is now:\n{text}",
        path.display()
    );
}

/// Compares what is said with the files `name.txt` and `name.json`.
fn said<V: Serialize + Display>(name: &str, view: &V) {
    golden(&format!("{name}.txt"), &view.to_string());
    let json = serde_json::to_string_pretty(view).unwrap();
    golden(&format!("{name}.json"), &(json + "\n"));
}

/// A refusal as the program prints it.
fn refusal(what: &str, failure: &Failure) -> String {
    let hint = failure
        .hint
        .as_deref()
        .map_or_else(String::new, |h| format!("  next: {h}\n"));
    format!(
        "{what}\nerror: {}\n{hint}exit code {}\n\n",
        failure.message,
        failure.kind.exit_code()
    )
}

#[test]
fn lists() {
    for name in CASES {
        let objects = objects(name);
        said(&format!("{name}/list"), &volumes::list(&objects));
        said(&format!("{name}/pools"), &pools::list(&objects));
        said(&format!("{name}/disks"), &disks::list(&objects));
        said(&format!("{name}/orphans"), &orphans::list(&objects));
    }
}

#[test]
fn each_volume() {
    for name in CASES {
        let objects = objects(name);
        let rows = volumes::list(&objects).volumes;
        let all: Vec<_> = rows
            .iter()
            .map(|row| show::show(&objects, &row.called()).unwrap())
            .collect();
        let text: Vec<String> = all.iter().map(ToString::to_string).collect();
        golden(&format!("{name}/show.txt"), &text.join("\n"));
        let json = serde_json::to_string_pretty(&all).unwrap();
        golden(&format!("{name}/show.json"), &(json + "\n"));
    }
}

#[test]
fn the_same_volume_by_every_name() {
    let objects = objects("well");
    let by_claim = show::show(&objects, "shop/db-0").unwrap();
    let id = by_claim.row.id.clone().unwrap();
    let names = [
        "db-0",
        &id,
        id.rsplit_once('-').unwrap().0,
        by_claim.row.persistent_volume.as_deref().unwrap(),
        by_claim.row.logical_volume.as_deref().unwrap(),
    ];
    for name in names {
        assert_eq!(show::show(&objects, name).unwrap(), by_claim, "{name}");
    }
}

#[test]
fn refusals() {
    let mut text = String::new();
    let mut refuse = |what: &str, result: Result<(), Failure>| {
        text.push_str(&refusal(what, &result.unwrap_err()));
    };
    refuse("storage is not installed", installed(&objects("absent")));
    let (well, trouble) = (objects("well"), objects("trouble"));
    let shown = |objects: &Objects, name: &str| show::show(objects, name).map(drop);
    refuse("show db", shown(&well, "db"));
    refuse("show shop/nothing", shown(&well, "shop/nothing"));
    refuse("show same", shown(&trouble, "same"));
    refuse("show anything, of none", shown(&objects("empty"), "db"));
    let taken = |objects: &Objects, of: &str, name: Option<&str>| {
        snapshot::plan(objects, of, name).map(drop)
    };
    refuse("snapshot nothing", taken(&well, "nothing", None));
    refuse("snapshot same", taken(&trouble, "same", None));
    refuse("snapshot of a mirror", taken(&well, "logs/archive", None));
    refuse("snapshot of what waits", taken(&well, "build/later", None));
    refuse(
        "snapshot of what is being made",
        taken(&well, "build/scratch-tmp", None),
    );
    refuse(
        "snapshot of what is lost",
        taken(&trouble, "shop/db-0", None),
    );
    refuse(
        "snapshot of what is in quarantine",
        taken(&trouble, "logs/index", None),
    );
    let unclaimed = volumes::list(&trouble)
        .volumes
        .into_iter()
        .find(|row| row.claim.is_none());
    refuse(
        "snapshot without claim",
        taken(&trouble, &unclaimed.unwrap().called(), None),
    );
    refuse(
        "snapshot of another claim by a name that is taken",
        taken(&well, "shop/cache", Some("nightly")),
    );
    refuse(
        "snapshot by the name of one that was imported",
        taken(&well, "shop/cache", Some("seed")),
    );
    refuse(
        "snapshot with a bad name",
        taken(&well, "shop/db-0", Some("Before!")),
    );
    refuse(
        "snapshot without their definitions",
        taken(&objects("odd"), "db", None),
    );
    let mut classless = well.clone();
    classless.snapshot_classes.clear();
    refuse(
        "snapshot without a class",
        taken(&classless, "shop/db-0", None),
    );
    let plan = snapshot::plan(&well, "shop/db-0", Some("nightly")).unwrap();
    refuse(
        "snapshot that is late",
        Err(snapshot::late(&plan, "the thin pool is full", 120)),
    );
    refuse("snapshot that was removed", Err(snapshot::gone(&plan)));
    let said = [
        (
            "cp-1",
            Failure::machine(
                "cannot connect to 192.0.2.1:22; is an SSH server running there?: Connection refused (os error 111)",
            ),
        ),
        (
            "cp-2",
            Failure::machine(
                "cannot list /api/v1/nodes: error trying to connect: Connection refused (os error 111)",
            ),
        ),
    ];
    let said = said
        .map(|(name, failure)| (name.to_owned(), failure))
        .into();
    refuse(
        "no control plane",
        Err(ask::no_answer(&Unanswered { said })),
    );
    golden("refusals.txt", &text);
}

#[test]
fn snapshots() {
    let well = objects("well");
    let new = snapshot::plan(&well, "db-0", None).unwrap();
    assert_eq!(new.snapshot.to_string(), "shop/db-0-20261126-063000");
    let mut object = serde_json::to_string_pretty(&new.create).unwrap();
    object.push('\n');
    golden("snapshot.json", &object);
    let mut text = String::new();
    for (name, created) in [
        ("before-upgrade", false),
        ("nightly", false),
        ("full", false),
        ("new", true),
    ] {
        let plan = snapshot::plan(&well, "shop/db-0", Some(name)).unwrap();
        assert_eq!(plan.create.is_some(), created, "{name}");
        let found = well
            .volume_snapshots
            .iter()
            .find(|s| s.metadata.name == name);
        let content = found.and_then(|found| {
            let bound = &found.status.bound_volume_snapshot_content_name;
            well.contents
                .iter()
                .find(|content| content.metadata.name == *bound)
        });
        let said = match snapshot::progress(found, content) {
            Progress::Ready { size } => snapshot::Taken {
                snapshot: plan.snapshot,
                claim: plan.claim,
                made: created,
                size,
            }
            .to_string(),
            Progress::Waiting(reason) => format!("waiting: {reason}\n"),
            Progress::Gone => "gone\n".into(),
        };
        write!(text, "{name}: {said}").unwrap();
    }
    golden("snapshot.txt", &text);
}

#[test]
fn what_cannot_be_understood_is_named_and_hides_nothing() {
    golden(
        "odd/unreadable.txt",
        &(objects("odd").unreadable.join("\n") + "\n"),
    );
    for name in ["well", "trouble", "empty", "absent"] {
        assert_eq!(objects(name).unreadable, [""; 0], "{name}");
    }
}

/// Every path of fields in a value.
fn paths(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        paths(&path, value, found);
        found.insert(path);
    }
    for item in value.as_array().into_iter().flatten() {
        paths(at, item, found);
    }
}

/// Every path of fields that a schema names; below a map it names none.
fn named(at: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        named(&path, schema, found);
        found.insert(path);
    }
    if schema["items"].is_object() {
        named(at, &schema["items"], found);
    }
}

#[test]
fn the_cases_have_no_fields_that_the_definitions_lack() {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/lvm-csi-driver/crds");
    let mut definitions = BTreeMap::new();
    for file in std::fs::read_dir(crds).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let definition = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
        let kind = definition["spec"]["names"]["kind"]
            .as_str()
            .unwrap()
            .to_owned();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut fields = BTreeSet::new();
        named("", schema, &mut fields);
        definitions.insert(kind, fields);
    }
    let mut checked = 0;
    for item in CASES.iter().flat_map(|name| case(name).items) {
        let Some(fields) = definitions.get(item["kind"].as_str().unwrap()) else {
            continue;
        };
        let mut used = BTreeSet::new();
        paths(".spec", &item["spec"], &mut used);
        paths(".status", &item["status"], &mut used);
        let unknown: Vec<_> = used
            .iter()
            .filter(|path| !path.starts_with(".spec.topology."))
            .filter(|path| !fields.contains(*path))
            .collect();
        assert!(
            unknown.is_empty(),
            "{}: {unknown:?}",
            item["metadata"]["name"]
        );
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}
