//! A backup program in a pod asks which blocks of a VolumeSnapshot to read: agents of two nodes, a real API
//! server that says who asks and what they may, and TLS between all of them.

mod site;

use crate::bed::request::{GIB, create};
use ingot_csi_proto::kubernetes::snapshot_metadata_client::SnapshotMetadataClient;
use ingot_csi_proto::kubernetes::{
    BlockMetadata, GetMetadataAllocatedRequest, GetMetadataDeltaRequest,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use site::{AUDIENCE, CHUNK, Outcome, Site, address, until};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

fn allocated(token: &str, name: &str) -> GetMetadataAllocatedRequest {
    GetMetadataAllocatedRequest {
        security_token: token.into(),
        namespace: "shop".into(),
        snapshot_name: name.into(),
        ..GetMetadataAllocatedRequest::default()
    }
}

fn delta(token: &str, base: &str, target: &str) -> GetMetadataDeltaRequest {
    GetMetadataDeltaRequest {
        security_token: token.into(),
        namespace: "shop".into(),
        base_snapshot_name: base.into(),
        target_snapshot_name: target.into(),
        ..GetMetadataDeltaRequest::default()
    }
}

type Ranges = Vec<(i64, i64)>;

/// A range in chunks.
fn chunks(block: &BlockMetadata) -> (i64, i64) {
    let end = block.byte_offset + block.size_bytes;
    (block.byte_offset / CHUNK, end / CHUNK)
}

async fn all(
    client: &mut SnapshotMetadataClient<Channel>,
    request: impl tonic::IntoRequest<GetMetadataAllocatedRequest>,
) -> Result<Ranges, Status> {
    let mut parts = client.get_metadata_allocated(request).await?.into_inner();
    let mut ranges = Vec::new();
    while let Some(part) = parts.message().await? {
        assert_eq!(part.volume_capacity_bytes, GIB);
        ranges.extend(part.block_metadata.iter().map(chunks));
    }
    Ok(ranges)
}

async fn changed(
    client: &mut SnapshotMetadataClient<Channel>,
    request: GetMetadataDeltaRequest,
) -> Result<Ranges, Status> {
    let mut parts = client.get_metadata_delta(request).await?.into_inner();
    let mut ranges = Vec::new();
    while let Some(part) = parts.message().await? {
        ranges.extend(part.block_metadata.iter().map(chunks));
    }
    Ok(ranges)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_program_reads_only_what_has_changed_wherever_the_snapshot_is() -> Outcome {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    for node in [0, 1] {
        let volume = site.volume(node).await?;
        site.write(node, &volume, 3, 5)?;
        site.snapshot(node, &volume, &format!("monday-{node}"))
            .await?;
        site.write(node, &volume, 8, 9)?;
        site.snapshot(node, &volume, &format!("tuesday-{node}"))
            .await?;
    }
    for node in [1, 2] {
        let at = SocketAddr::new(address(node), site.port);
        let connect = async || TcpStream::connect(at).await;
        until("the service answers", async || {
            Ok(connect().await.map(drop)?)
        })
        .await?;
    }
    let mut client = site.client().await?;
    let token = site.token("backup", AUDIENCE).await?;
    let at = |node: usize, day: &str| format!("{day}-{node}");
    // The first node is asked; of the second's snapshots it asks that one.
    for node in [0, 1] {
        let (monday, tuesday) = (at(node, "monday"), at(node, "tuesday"));
        assert_eq!(
            all(&mut client, allocated(&token, &monday)).await?,
            [(3, 5)]
        );
        let found = all(&mut client, allocated(&token, &tuesday)).await?;
        assert_eq!(found, [(3, 5), (8, 9)]);
        let found = changed(&mut client, delta(&token, &monday, &tuesday)).await?;
        assert_eq!(found, [(8, 9)]);
    }
    refusals(&site, &mut client, &token).await?;
    renewal(&mut site, &token).await
}

/// Each is told what to do; nobody learns what there is who may not see it.
async fn refusals(
    site: &Site,
    client: &mut SnapshotMetadataClient<Channel>,
    token: &str,
) -> Outcome {
    // Somebody else's content, under a name of one's own.
    let uid = site.claim("stolen", "content-monday-0", true).await?;
    site.claim("early", "content-early", false).await?;
    let foreign = site.claim("foreign", "content-foreign", true).await?;
    site.content("content-foreign", "foreign", &foreign, "ceph", "x")
        .await?;
    assert!(!uid.is_empty());
    let volume = site.beds[0]
        .create(create("v-gone", GIB, &[("pool", "thin")]))
        .await?;
    let taken = site.beds[0].snapshot("gone", &volume.volume_id).await?;
    let gone = site.claim("gone", "content-gone", true).await?;
    site.content("content-gone", "gone", &gone, AUDIENCE, &taken.snapshot_id)
        .await?;
    site.beds[0].delete_snapshot(&taken.snapshot_id).await?;
    let wrong = site
        .token("backup", "https://kubernetes.default.svc")
        .await?;
    let stranger = site.token("stranger", AUDIENCE).await?;
    let elsewhere = GetMetadataAllocatedRequest {
        namespace: "other".into(),
        ..allocated(token, "monday-0")
    };
    let nameless = allocated(token, "");
    let cases = [
        (
            allocated("", "monday-0"),
            Code::Unauthenticated,
            "TokenRequest",
        ),
        (
            allocated("nonsense", "monday-0"),
            Code::Unauthenticated,
            "audience",
        ),
        (
            allocated(&wrong, "monday-0"),
            Code::Unauthenticated,
            "audience",
        ),
        (
            allocated(&stranger, "monday-0"),
            Code::PermissionDenied,
            "verb get",
        ),
        (
            allocated(&stranger, "nothing"),
            Code::PermissionDenied,
            "verb get",
        ),
        (elsewhere, Code::PermissionDenied, "other/monday-0"),
        (nameless, Code::InvalidArgument, "snapshot_name"),
        (allocated(token, "nothing"), Code::NotFound, "shop/nothing"),
        (
            allocated(token, "stolen"),
            Code::FailedPrecondition,
            "does not belong",
        ),
        (
            allocated(token, "early"),
            Code::FailedPrecondition,
            "readyToUse",
        ),
        (
            allocated(token, "foreign"),
            Code::FailedPrecondition,
            "driver ceph",
        ),
        (
            allocated(token, "gone"),
            Code::NotFound,
            "not there any more",
        ),
    ];
    for (request, code, words) in cases {
        let name = request.snapshot_name.clone();
        let error = all(client, request).await.expect_err(&name);
        assert!(
            error.code() == code && error.message().contains(words),
            "{name}: {error}"
        );
    }
    let mixed = changed(client, delta(token, "monday-0", "tuesday-1")).await;
    let error = mixed.expect_err("of two volumes");
    assert_eq!(error.code(), Code::NotFound, "{error}");
    // One agent sends on what another was asked for, and no further.
    let mut request = Request::new(allocated(token, "monday-1"));
    request.metadata_mut().insert("ingot-sent-on", "1".parse()?);
    let error = all(client, request).await.expect_err("of another node");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    // Without TLS, and with the certificates of the world instead of the cluster's, nobody is spoken to.
    let (address, _) = site.told().await?;
    let plain = SnapshotMetadataClient::connect(format!("http://{address}")).await;
    if let Ok(mut plain) = plain {
        assert!(all(&mut plain, allocated(token, "monday-0")).await.is_err());
    }
    Ok(())
}

/// A renewed certificate is trusted before it is served, and what is served until then stays trusted.
async fn renewal(site: &mut Site, token: &str) -> Outcome {
    let (_, before) = site.told().await?;
    let due = json!({ "data": { "renew-at": ByteString(b"1".to_vec()) } });
    let secrets: Api<Secret> = Api::default_namespaced(site.client.clone());
    let (as_is, due) = (PatchParams::default(), Patch::Merge(&due));
    secrets
        .patch("storage-snapshot-metadata", &as_is, &due)
        .await?;
    site.keep();
    let site = &*site;
    until("there is a new authority", async || {
        let (_, now) = site.told().await?;
        let both = now.ends_with(&before) && now.len() > before.len();
        both.then_some(()).ok_or_else(|| "not yet".into())
    })
    .await?;
    let mut client = site.client().await?;
    assert_eq!(
        all(&mut client, allocated(token, "monday-0")).await?,
        [(3, 5)]
    );
    Ok(())
}
