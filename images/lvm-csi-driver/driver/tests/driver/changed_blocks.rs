//! Which blocks of a snapshot are written, and in which two snapshots differ.

use crate::bed::Bed;
use crate::bed::request::{GIB, create, key};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::snapshot_metadata_server::SnapshotMetadata;
use ingot_lvm::Kind;
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::snapshot_metadata::SnapshotMetadataService;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::sync::Arc;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

/// A chunk of the simulated pool.
const CHUNK: i64 = 64 << 10;

/// Ranges in chunks, the messages they came in, and the size that was told.
type Told = (Vec<(i64, i64)>, usize, i64);

fn chunks(metadata: &[v1::BlockMetadata]) -> Vec<(i64, i64)> {
    let range = |block: &v1::BlockMetadata| {
        let end = block.byte_offset + block.size_bytes;
        (block.byte_offset / CHUNK, end / CHUNK)
    };
    metadata.iter().map(range).collect()
}

struct Backup {
    bed: Bed,
    service: SnapshotMetadataService,
    volume: String,
}

impl Backup {
    async fn new(parameters: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        bed.agent.prepare_pools().await;
        let mut request = create("v", GIB, parameters);
        request.secrets = key("a long enough key");
        let volume = bed.create(request).await.expect("created").volume_id;
        let service = SnapshotMetadataService::new(Arc::clone(&bed.agent));
        Self {
            bed,
            service,
            volume,
        }
    }

    fn write(&self, from: i64, to: i64) {
        let id = VolumeId::parse(Kind::Volume, &self.volume).expect("an id");
        let vg = VgName::new("ingot-thin").expect("a name");
        let place = |chunk: i64| Bytes(u64::try_from(chunk * CHUNK).expect("a place"));
        let lv = LvName::volume(id.uid);
        self.bed.sim.write_blocks(&vg, &lv, place(from), place(to));
    }

    async fn snapshot(&self, name: &str) -> String {
        let taken = self.bed.snapshot(name, &self.volume).await;
        taken.expect("taken").snapshot_id
    }

    async fn allocated(&self, id: &str, from: i64, most: i32) -> Result<Told, Status> {
        let request = v1::GetMetadataAllocatedRequest {
            snapshot_id: id.into(),
            starting_offset: from,
            max_results: most,
            ..v1::GetMetadataAllocatedRequest::default()
        };
        let asked = self.service.get_metadata_allocated(Request::new(request));
        let mut stream = asked.await?.into_inner();
        let mut told = (Vec::new(), 0, 0);
        while let Some(part) = stream.next().await {
            let part = part?;
            assert_eq!(
                part.block_metadata_type(),
                v1::BlockMetadataType::VariableLength
            );
            assert!(most == 0 || part.block_metadata.len() <= usize::try_from(most).expect("few"));
            told.0.extend(chunks(&part.block_metadata));
            told.1 += 1;
            told.2 = part.volume_capacity_bytes;
        }
        Ok(told)
    }

    async fn delta(&self, base: &str, target: &str, from: i64) -> Result<Told, Status> {
        let request = v1::GetMetadataDeltaRequest {
            base_snapshot_id: base.into(),
            target_snapshot_id: target.into(),
            starting_offset: from,
            ..v1::GetMetadataDeltaRequest::default()
        };
        let asked = self.service.get_metadata_delta(Request::new(request));
        let mut stream = asked.await?.into_inner();
        let mut told = (Vec::new(), 0, 0);
        while let Some(part) = stream.next().await {
            let part = part?;
            told.0.extend(chunks(&part.block_metadata));
            told.1 += 1;
            told.2 = part.volume_capacity_bytes;
        }
        Ok(told)
    }
}

#[tokio::test]
async fn a_backup_reads_what_is_written_and_then_only_what_has_changed() {
    let backup = Backup::new(&[("pool", "thin")]).await;
    let empty = backup.snapshot("empty").await;
    let nothing = backup.allocated(&empty, 0, 0).await.expect("told");
    assert_eq!(nothing, (vec![], 1, GIB), "its size is told all the same");
    backup.write(0, 4);
    backup.write(10, 12);
    backup.write(100, 101);
    let first = backup.snapshot("first").await;
    backup.write(2, 3);
    backup.write(101, 102);
    let second = backup.snapshot("second").await;
    // What comes later is in no snapshot.
    backup.write(500, 600);

    let all = backup.allocated(&first, 0, 0).await.expect("told");
    assert_eq!(all, (vec![(0, 4), (10, 12), (100, 101)], 1, GIB));
    let one_each = backup.allocated(&first, 0, 1).await.expect("told");
    assert_eq!((one_each.0, one_each.1), (all.0.clone(), 3));
    let changed = backup.delta(&first, &second, 0).await.expect("told");
    assert_eq!(changed, (vec![(2, 3), (101, 102)], 1, GIB));
    let none = backup.delta(&first, &first, 0).await.expect("told");
    assert_eq!(none.0, []);
    let from_nothing = backup.delta(&empty, &first, 0).await.expect("told");
    assert_eq!(from_nothing.0, all.0);

    // A stream that broke off goes on behind what came.
    let rest = backup.allocated(&first, 4 * CHUNK, 0).await.expect("told");
    assert_eq!(rest.0, [(10, 12), (100, 101)]);
    let rest = backup
        .delta(&first, &second, 3 * CHUNK)
        .await
        .expect("told");
    assert_eq!(rest.0, [(101, 102)]);
    let end = backup.allocated(&first, GIB, 0).await.expect("told");
    assert_eq!(end, (vec![], 1, GIB));
}

#[tokio::test]
async fn of_an_encrypted_volume_the_places_are_those_that_a_pod_sees() {
    let backup = Backup::new(&[("pool", "thin"), ("encrypted", "true")]).await;
    // Its header, which no pod sees, is 256 chunks long.
    backup.write(0, 1);
    backup.write(255, 258);
    let first = backup.snapshot("first").await;
    let told = backup.allocated(&first, 0, 0).await.expect("told");
    assert_eq!(told, (vec![(0, 2)], 1, GIB - 256 * CHUNK));
    backup.write(300, 301);
    let second = backup.snapshot("second").await;
    let told = backup.delta(&first, &second, CHUNK).await.expect("told");
    assert_eq!(told.0, [(44, 45)]);
}

#[tokio::test]
async fn a_great_many_ranges_come_in_small_messages() {
    let backup = Backup::new(&[("pool", "thin")]).await;
    let all: Vec<(i64, i64)> = (0..8000).map(|n| (2 * n, 2 * n + 1)).collect();
    for (from, to) in &all {
        backup.write(*from, *to);
    }
    let first = backup.snapshot("first").await;
    let (told, messages, _) = backup.allocated(&first, 0, 0).await.expect("told");
    assert_eq!(told, all);
    assert_eq!(messages, 2);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_the_code_of_the_specification() {
    let backup = Backup::new(&[("pool", "thin")]).await;
    let first = backup.snapshot("first").await;
    let other = backup
        .bed
        .create(create("o", GIB, &[("pool", "thin")]))
        .await;
    let other = other.expect("created").volume_id;
    let foreign = backup.bed.snapshot("of-other", &other).await;
    let foreign = foreign.expect("taken").snapshot_id;
    let gone = backup.snapshot("gone").await;
    backup.bed.delete_snapshot(&gone).await.expect("deleted");

    let refused = async |id: &str, from, most| {
        let error = backup.allocated(id, from, most).await.expect_err("refused");
        (error.code(), error.message().to_owned())
    };
    for (id, from, most, code, words) in [
        (
            "",
            0,
            0,
            Code::InvalidArgument,
            "has no snapshot_id; add it",
        ),
        ("never-there", 0, 0, Code::NotFound, "is not on this node"),
        (&*gone, 0, 0, Code::NotFound, "is not on this node"),
        (&*first, -1, 0, Code::OutOfRange, "use 0 to 1073741824"),
        (&*first, GIB + 1, 0, Code::OutOfRange, "use 0 to 1073741824"),
        (
            &*first,
            0,
            -1,
            Code::InvalidArgument,
            "max_results is negative",
        ),
    ] {
        let (found, text) = refused(id, from, most).await;
        assert!(
            found == code && text.contains(words),
            "{id} {from} {most}: {found} {text}"
        );
    }
    let volume = refused(&backup.volume, 0, 0).await;
    assert_eq!(volume.0, Code::NotFound, "a volume is no snapshot");
    let error = backup
        .delta(&first, &foreign, 0)
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error.message().contains("are not of the same volume"),
        "{error}"
    );
    let error = backup.delta("", &first, 0).await.expect_err("refused");
    assert!(
        error.message().contains("has no base_snapshot_id"),
        "{error}"
    );
    let error = backup.delta(&first, &gone, 0).await.expect_err("refused");
    assert_eq!(error.code(), Code::NotFound);
}
