//! The service itself: lets through who may ask, and finds who can answer.

use super::{caller, elsewhere, named};
use crate::object::VolumeId;
use crate::snapshot_metadata::SnapshotMetadataService;
use crate::store::{self, Store};
use futures::Stream;
use ingot_csi_proto::kubernetes::snapshot_metadata_server::SnapshotMetadata;
use ingot_csi_proto::kubernetes::{
    BlockMetadata, GetMetadataAllocatedRequest, GetMetadataAllocatedResponse,
    GetMetadataDeltaRequest, GetMetadataDeltaResponse,
};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::snapshot_metadata_server::SnapshotMetadata as _;
use ingot_volume_brain::NodeName;
use kube::Client;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};

/// The service of an agent for all snapshots of the cluster.
#[derive(Clone)]
pub struct Front {
    client: Client,
    store: Arc<dyn Store>,
    node: NodeName,
    /// Where the agents serve it.
    port: u16,
    local: SnapshotMetadataService,
}

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Front {
    /// The service on that node, in front of what its agent knows; the others listen on the same port.
    pub fn new(
        client: Client,
        store: Arc<dyn Store>,
        node: NodeName,
        port: u16,
        local: SnapshotMetadataService,
    ) -> Self {
        Self {
            client,
            store,
            node,
            port,
            local,
        }
    }

    /// The snapshots of those names, for one who may read them.
    async fn named<const N: usize>(
        &self,
        token: &str,
        namespace: &str,
        names: [(&str, &str); N],
    ) -> Result<[VolumeId; N], Status> {
        for (field, value) in [("namespace", namespace)].iter().chain(&names) {
            if value.is_empty() {
                return Err(Status::invalid_argument(format!(
                    "the request has no {field}; add it"
                )));
            }
        }
        let names = names.map(|(_, name)| name);
        caller::may_read(&self.client, token, namespace, &names).await?;
        let mut found = Vec::with_capacity(N);
        for name in names {
            found.push(named::snapshot(&self.client, namespace, name).await?);
        }
        found
            .try_into()
            .map_err(|_| Status::internal("as many snapshots as names"))
    }

    /// The other node that has the snapshot; nothing, if it is this one.
    async fn elsewhere(&self, id: VolumeId, sent_on: bool) -> Result<Option<NodeName>, Status> {
        let found = store::volume(&*self.store, &id.key()).await;
        let found = found.map_err(|error| Status::unavailable(error.to_string()))?;
        let found = found.filter(|(_, snapshot)| snapshot.uid == id.uid);
        let (_, snapshot) = found.ok_or_else(|| {
            Status::not_found(format!(
                "snapshot {id} is not there any more; take a new one and back it up as a whole"
            ))
        })?;
        match snapshot.node {
            node if node == self.node => Ok(None),
            node if sent_on => Err(Status::unavailable(format!(
                "snapshot {id} is on node {node}, and node {} was asked for it; ask again",
                self.node
            ))),
            node => Ok(Some(node)),
        }
    }
}

fn blocks(all: Vec<v1::BlockMetadata>) -> Vec<BlockMetadata> {
    let block = |block: v1::BlockMetadata| BlockMetadata {
        byte_offset: block.byte_offset,
        size_bytes: block.size_bytes,
    };
    all.into_iter().map(block).collect()
}

#[tonic::async_trait]
impl SnapshotMetadata for Front {
    type GetMetadataAllocatedStream = Answer<GetMetadataAllocatedResponse>;
    type GetMetadataDeltaStream = Answer<GetMetadataDeltaResponse>;

    async fn get_metadata_allocated(
        &self,
        request: Request<GetMetadataAllocatedRequest>,
    ) -> Result<Response<Self::GetMetadataAllocatedStream>, Status> {
        let sent_on = elsewhere::was_sent_on(&request);
        let asked = request.into_inner();
        let names = [("snapshot_name", asked.snapshot_name.as_str())];
        let found = self.named(&asked.security_token, &asked.namespace, names);
        let [id] = found.await?;
        if let Some(node) = self.elsewhere(id, sent_on).await? {
            let mut agent = elsewhere::agent(&self.client, &node, self.port).await?;
            let answer = agent.get_metadata_allocated(elsewhere::sent_on(asked));
            return Ok(Response::new(Box::pin(answer.await?.into_inner())));
        }
        let local = Request::new(v1::GetMetadataAllocatedRequest {
            snapshot_id: id.to_string(),
            starting_offset: asked.starting_offset,
            max_results: asked.max_results,
            ..v1::GetMetadataAllocatedRequest::default()
        });
        let parts = self.local.get_metadata_allocated(local).await?.into_inner();
        let told = parts.map(|part| {
            part.map(|part| GetMetadataAllocatedResponse {
                block_metadata_type: part.block_metadata_type,
                volume_capacity_bytes: part.volume_capacity_bytes,
                block_metadata: blocks(part.block_metadata),
            })
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn get_metadata_delta(
        &self,
        request: Request<GetMetadataDeltaRequest>,
    ) -> Result<Response<Self::GetMetadataDeltaStream>, Status> {
        let sent_on = elsewhere::was_sent_on(&request);
        let asked = request.into_inner();
        let names = [
            ("base_snapshot_name", asked.base_snapshot_name.as_str()),
            ("target_snapshot_name", asked.target_snapshot_name.as_str()),
        ];
        let found = self.named(&asked.security_token, &asked.namespace, names);
        let [base, target] = found.await?;
        if let Some(node) = self.elsewhere(target, sent_on).await? {
            let mut agent = elsewhere::agent(&self.client, &node, self.port).await?;
            let answer = agent.get_metadata_delta(elsewhere::sent_on(asked));
            return Ok(Response::new(Box::pin(answer.await?.into_inner())));
        }
        let local = Request::new(v1::GetMetadataDeltaRequest {
            base_snapshot_id: base.to_string(),
            target_snapshot_id: target.to_string(),
            starting_offset: asked.starting_offset,
            max_results: asked.max_results,
            ..v1::GetMetadataDeltaRequest::default()
        });
        let parts = self.local.get_metadata_delta(local).await?.into_inner();
        let told = parts.map(|part| {
            part.map(|part| GetMetadataDeltaResponse {
                block_metadata_type: part.block_metadata_type,
                volume_capacity_bytes: part.volume_capacity_bytes,
                block_metadata: blocks(part.block_metadata),
            })
        });
        Ok(Response::new(Box::pin(told)))
    }
}
