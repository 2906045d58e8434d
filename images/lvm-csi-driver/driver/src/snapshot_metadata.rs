//! The SnapshotMetadata service: which blocks of a snapshot are written, and in which two snapshots differ,
//! so that a backup reads only those (CSI 1.13, "Snapshot Metadata Service RPCs").
//!
//! Answered by the agent of the node that has the snapshots, from the metadata of their thin pool: no data
//! is read. The answer is streamed in parts, so its length costs no memory.

use crate::agent::{Agent, Located};
use crate::node::ready;
use crate::object::VolumeId;
use crate::problem::Problem;
use futures::Stream;
use ingot_csi_proto::v1::snapshot_metadata_server::SnapshotMetadata;
use ingot_csi_proto::v1::{
    BlockMetadata, BlockMetadataType, GetMetadataAllocatedRequest, GetMetadataAllocatedResponse,
    GetMetadataDeltaRequest, GetMetadataDeltaResponse,
};
use ingot_lvm::{BlockQuery, BlockRange, Kind, LUKS_HEADER};
use ingot_volume_brain::{Bytes, LvName};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Ranges that are read at once: two MiB of them.
const PAGE: usize = 1 << 17;
/// Ranges of one message, unless fewer are asked for: well below the 4 MiB that gRPC takes.
const MESSAGE: usize = 4096;

/// The service of an agent.
#[derive(Clone)]
pub struct SnapshotMetadataService {
    agent: Arc<Agent>,
}

/// One part of an answer.
struct Part {
    capacity: i64,
    ranges: Vec<BlockMetadata>,
}

/// What is asked for, checked.
struct Question {
    query: BlockQuery,
    /// What lies before the content.
    header: Bytes,
    /// Size of the content.
    size: Bytes,
    /// Ranges of one message.
    most: usize,
}

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl SnapshotMetadataService {
    /// The service in front of that agent.
    pub fn new(agent: Arc<Agent>) -> Self {
        Self { agent }
    }

    async fn snapshot(&self, id: &str, field: &str) -> Result<Located, Problem> {
        if id.is_empty() {
            return Err(Problem::Invalid(format!(
                "the request has no {field}; add it"
            )));
        }
        let unknown = || {
            Problem::NotFound(format!(
                "snapshot {id} is not on this node; it may have been deleted, or belong to another node"
            ))
        };
        let parsed = VolumeId::parse(Kind::Snapshot, id).ok_or_else(unknown)?;
        let found = self.agent.found(parsed.uid).await?.ok_or_else(unknown)?;
        ready(&found, &format!("snapshot {id}"))?;
        Ok(found)
    }

    fn question(
        target: Located,
        base: Option<LvName>,
        from: i64,
        most: i32,
    ) -> Result<Question, Problem> {
        let Located { device, lv, tags } = target;
        let Some(pool) = lv.pool else {
            return Err(Problem::Precondition(format!(
                "{} does not lie in a thin pool, so nothing is known of its blocks; back it up as a whole",
                lv.lv
            )));
        };
        let header = match tags.encrypted {
            true => LUKS_HEADER,
            false => Bytes::ZERO,
        };
        let size = lv.size.saturating_sub(header);
        let from = u64::try_from(from).map(Bytes);
        let from = from.ok().filter(|from| *from <= size).ok_or_else(|| {
            Problem::OutOfRange(format!(
                "the starting offset is not within the snapshot; use 0 to {}",
                size.0
            ))
        })?;
        let most = match usize::try_from(most) {
            Err(_) => {
                return Err(Problem::Invalid(
                    "max_results is negative; write a number above 0, or leave it out".into(),
                ));
            }
            Ok(0) => MESSAGE,
            Ok(most) => most.min(MESSAGE),
        };
        Ok(Question {
            query: BlockQuery {
                vg: device.vg,
                pool,
                lv: lv.lv,
                base,
                from: from.saturating_add(header),
                most: PAGE,
            },
            header,
            size,
            most,
        })
    }

    /// Answers in parts; the first comes even where there is nothing to tell.
    fn answer(&self, question: Question) -> ReceiverStream<Result<Part, Status>> {
        // Few: who reads slowly is waited for.
        let (sender, receiver) = mpsc::channel(4);
        let agent = Arc::clone(&self.agent);
        tokio::spawn(async move {
            let done = tell(&agent, question, &sender).await;
            if let Err(problem) = done {
                // Who asked may be gone.
                let _ = sender.send(Err(problem.into())).await;
            }
        });
        ReceiverStream::new(receiver)
    }

    async fn allocated(
        &self,
        request: GetMetadataAllocatedRequest,
    ) -> Result<ReceiverStream<Result<Part, Status>>, Problem> {
        let target = self.snapshot(&request.snapshot_id, "snapshot_id").await?;
        let (from, most) = (request.starting_offset, request.max_results);
        Ok(self.answer(Self::question(target, None, from, most)?))
    }

    async fn delta(
        &self,
        request: GetMetadataDeltaRequest,
    ) -> Result<ReceiverStream<Result<Part, Status>>, Problem> {
        let (base_id, target_id) = (&request.base_snapshot_id, &request.target_snapshot_id);
        let base = self.snapshot(base_id, "base_snapshot_id").await?;
        let target = self.snapshot(target_id, "target_snapshot_id").await?;
        if base.tags.parent.is_none() || base.tags.parent != target.tags.parent {
            return Err(Problem::Invalid(format!(
                "snapshots {base_id} and {target_id} are not of the same volume; name two of one volume"
            )));
        }
        let (from, most) = (request.starting_offset, request.max_results);
        let question = Self::question(target, Some(base.lv.lv), from, most)?;
        Ok(self.answer(question))
    }
}

async fn tell(
    agent: &Agent,
    mut question: Question,
    sender: &mpsc::Sender<Result<Part, Status>>,
) -> Result<(), Problem> {
    let capacity = number(question.size);
    let mut told = false;
    loop {
        let page = agent.executor.thin_blocks(question.query.clone()).await?;
        let ranges: Vec<BlockMetadata> = page
            .ranges
            .iter()
            .filter_map(|range| within(*range, question.header, question.size))
            .collect();
        for part in ranges.chunks(question.most) {
            let ranges = part.to_vec();
            let part = Part { capacity, ranges };
            if sender.send(Ok(part)).await.is_err() {
                return Ok(());
            }
            told = true;
        }
        match page.ranges.last() {
            Some(last) if page.more => question.query.from = last.to,
            _ => break,
        }
    }
    if !told {
        let ranges = Vec::new();
        // Who asked may be gone.
        let _ = sender.send(Ok(Part { capacity, ranges })).await;
    }
    Ok(())
}

/// A range as a reader of the content has it; nothing, if it lies outside.
fn within(range: BlockRange, header: Bytes, size: Bytes) -> Option<BlockMetadata> {
    let from = range.from.saturating_sub(header);
    let to = range.to.saturating_sub(header).min(size);
    (from < to).then(|| BlockMetadata {
        byte_offset: number(from),
        size_bytes: number(to.saturating_sub(from)),
    })
}

fn number(bytes: Bytes) -> i64 {
    i64::try_from(bytes.0).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl SnapshotMetadata for SnapshotMetadataService {
    type GetMetadataAllocatedStream = Answer<GetMetadataAllocatedResponse>;
    type GetMetadataDeltaStream = Answer<GetMetadataDeltaResponse>;

    async fn get_metadata_allocated(
        &self,
        request: Request<GetMetadataAllocatedRequest>,
    ) -> Result<Response<Self::GetMetadataAllocatedStream>, Status> {
        let parts = self.allocated(request.into_inner()).await?;
        let told = parts.map(|part| {
            part.map(|part| GetMetadataAllocatedResponse {
                block_metadata_type: BlockMetadataType::VariableLength.into(),
                volume_capacity_bytes: part.capacity,
                block_metadata: part.ranges,
            })
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn get_metadata_delta(
        &self,
        request: Request<GetMetadataDeltaRequest>,
    ) -> Result<Response<Self::GetMetadataDeltaStream>, Status> {
        let parts = self.delta(request.into_inner()).await?;
        let told = parts.map(|part| {
            part.map(|part| GetMetadataDeltaResponse {
                block_metadata_type: BlockMetadataType::VariableLength.into(),
                volume_capacity_bytes: part.capacity,
                block_metadata: part.ranges,
            })
        });
        Ok(Response::new(Box::pin(told)))
    }
}
