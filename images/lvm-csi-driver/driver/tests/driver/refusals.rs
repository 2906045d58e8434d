//! Requests that must be refused: code and message of each as one golden file, and nothing changed.
//!
//! `UPDATE_GOLDEN=1` rewrites the file; read the difference.

mod creations;
mod nodes;

use crate::bed::Bed;
use crate::bed::request::{GIB, create, words};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_lvm::{Backend, Command, Reply};
use ingot_lvm_csi::object::ObjectKind;
use ingot_volume_brain::VgName;
use std::fmt::Write;
use tonic::{Request, Status};

/// The refusals so far.
#[derive(Default)]
struct Table(String);

impl Table {
    fn add<T: std::fmt::Debug>(&mut self, case: &str, outcome: Result<T, Status>) {
        let status = match outcome {
            Ok(value) => panic!("{case}: was not refused: {value:?}"),
            Err(status) => status,
        };
        // What differs from run to run is left out.
        let text = mask(status.message());
        writeln!(self.0, "{case}\n    {:?}: {text}", status.code()).expect("in memory");
    }
}

/// Identifiers and directories of this run as words.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', ';', ',', ':']) {
        let bare = word.trim_end_matches([' ', ';', ',', ':']);
        let rest = &word[bare.len()..];
        if let Some(at) = bare.find("/.tmp") {
            let after = bare[at + 5..]
                .find('/')
                .map_or("", |end| &bare[at + 5 + end..]);
            let _ = write!(out, "<folder>{after}{rest}");
        } else {
            out.push_str(word);
        }
    }
    // Runs of 32 hexadecimal digits are uids and hashes.
    let mut masked = String::new();
    let mut digits = String::new();
    for c in out.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            digits.push(c);
            continue;
        }
        masked.push_str(if digits.len() == 32 { "<id>" } else { &digits });
        digits.clear();
        if c != '\0' {
            masked.push(c);
        }
    }
    masked
}

/// Everything on the disks and in the store, to see that nothing changed.
async fn picture(bed: &Bed) -> String {
    let mut picture = String::new();
    for vg in ["ingot-thin", "ingot-thick"] {
        let scan = Command::Scan(VgName::new(vg).expect("a name"));
        let Ok(Reply::Group(group)) = bed.sim.run(&scan) else {
            panic!("{vg}")
        };
        let _ = writeln!(picture, "{group:?}");
    }
    for kind in [ObjectKind::Volume, ObjectKind::Snapshot, ObjectKind::Group] {
        for (key, stored) in bed.store.list(kind).await.expect("in memory") {
            let _ = writeln!(picture, "{key} {:?}", stored.object);
        }
    }
    picture
}

async fn other_controller_requests(bed: &Bed, table: &mut Table, volume: &str, thick: &str) {
    table.add("snapshot without a name", bed.snapshot("", volume).await);
    table.add("snapshot of nothing", bed.snapshot("s", "v-1").await);
    table.add("snapshot of a thick volume", bed.snapshot("s", thick).await);
    table.add(
        "snapshot of another volume under a taken name",
        bed.snapshot("there", thick).await,
    );
    table.add("growth of nothing", bed.expand("v-1", GIB).await);
    table.add("growth to a negative size", bed.expand(volume, -1).await);
    table.add(
        "growth beyond the pool",
        bed.expand(volume, 1000 * GIB).await,
    );
    table.add(
        "growth beyond the disks",
        bed.expand(thick, 1000 * GIB).await,
    );
    let modify = |id: &str, attributes: &[(&str, &str)]| v1::ControllerModifyVolumeRequest {
        volume_id: id.into(),
        mutable_parameters: words(attributes),
        ..v1::ControllerModifyVolumeRequest::default()
    };
    for (case, request) in [
        (
            "an unknown attribute class",
            modify(volume, &[("gold", "yes")]),
        ),
        (
            "a limit that is no number",
            modify(volume, &[("writeOperationsPerSecond", "fast")]),
        ),
        (
            "attributes of nothing",
            modify("v-1", &[("writeOperationsPerSecond", "1")]),
        ),
    ] {
        table.add(
            case,
            bed.controller
                .controller_modify_volume(Request::new(request))
                .await,
        );
    }
    let list = v1::ListVolumesRequest {
        starting_token: "nonsense".into(),
        ..v1::ListVolumesRequest::default()
    };
    table.add(
        "a page that never was",
        bed.controller.list_volumes(Request::new(list)).await,
    );
}

#[tokio::test]
async fn refusals_name_the_remedy_and_change_nothing() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let mut table = Table::default();
    let thin = bed
        .create(create("there", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let thick = bed
        .create(create("thick", GIB, &[("pool", "thick")]))
        .await
        .expect("created");
    let secret = [("pool", "thin"), ("encrypted", "true")];
    let encrypted = bed
        .create(create("secret", GIB, &secret))
        .await
        .expect("created");
    let snapshot = bed.snapshot("there", &thin.volume_id).await.expect("taken");
    let before = picture(&bed).await;
    creations::are_refused(&bed, &mut table, &thin.volume_id, &snapshot.snapshot_id).await;
    other_controller_requests(&bed, &mut table, &thin.volume_id, &thick.volume_id).await;
    // A refused growth leaves its words, and nothing else, beside the object: that is its report.
    let without_words = |picture: &str| -> String {
        let lines = picture.lines().map(|line| {
            let line = line.split(", message: ").next().unwrap_or_default();
            match line.find(", refused: ") {
                Some(at) => line[..at].to_owned(),
                None => line.to_owned(),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    bed.agent.settle().await.expect("settles");
    assert_eq!(without_words(&picture(&bed).await), without_words(&before));
    nodes::refuse(&bed, &mut table, &thin.volume_id, &encrypted.volume_id).await;
    let cases = table
        .0
        .lines()
        .filter(|line| !line.starts_with(' '))
        .count();
    println!("{cases} refusals");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/driver/golden/refusals.txt"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &table.0).expect("written");
    }
    let golden = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        golden == table.0,
        "differs from {file}; UPDATE_GOLDEN=1 rewrites it:\n{}",
        table.0
    );
}
