//! What the agent of a control plane is asked about the cluster.

use super::super::kube::{ClusterStatus, Heartbeat};
use super::super::protocol::{Reply, Request};
use super::{Session, unexpected};
use crate::error::Failure;
use crate::manifests::Objects;
use crate::storage::join::Named;
use crate::storage::objects::{self, Content, VolumeSnapshot};
use std::net::IpAddr;

impl Session {
    /// Applies objects, and deletes those that are not wanted; returns those that changed.
    ///
    /// # Errors
    /// When the API server refuses or does not answer; an object that is wrong by itself is a bug.
    pub async fn kube_apply(&mut self, objects: Objects) -> Result<Vec<String>, Failure> {
        let Objects { wanted, unwanted } = objects;
        match self.ask(&Request::KubeApply { wanted, unwanted }).await? {
            Reply::Objects { changed } => Ok(changed),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether the API server of the host is ready.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn kube_ready(&mut self) -> Result<(), Failure> {
        self.done(&Request::KubeReady).await.map(drop)
    }

    /// Makes sure that etcd expects a learner, through the member on the host; returns what `--initial-cluster`
    /// of the new member has to be.
    ///
    /// # Errors
    /// When etcd refuses, or does not answer.
    pub async fn expect_learner(&mut self, name: &str, peer_url: &str) -> Result<String, Failure> {
        let request = Request::ExpectLearner {
            name: name.into(),
            peer_url: peer_url.into(),
        };
        match self.ask(&request).await? {
            Reply::Expected { initial_cluster } => Ok(initial_cluster),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives a member of etcd a vote, through the member on the host.
    ///
    /// # Errors
    /// While it has not caught up, or when etcd refuses.
    pub async fn promote(&mut self, name: &str) -> Result<(), Failure> {
        let name = name.into();
        self.done(&Request::Promote { name }).await.map(drop)
    }

    /// What a node's kubelet last told the API server of the host.
    ///
    /// # Errors
    /// When the API server of the host does not answer.
    pub async fn heartbeat(&mut self, node: &str) -> Result<Heartbeat, Failure> {
        let node = node.into();
        match self.ask(&Request::Heartbeat { node }).await? {
            Reply::Heartbeat { heartbeat } => Ok(heartbeat),
            other => Err(unexpected(&other)),
        }
    }

    /// The state of the cluster.
    ///
    /// # Errors
    /// When the API server of the host does not answer.
    pub async fn kube_status(
        &mut self,
        dns: Option<(IpAddr, String)>,
    ) -> Result<ClusterStatus, Failure> {
        match self.ask(&Request::KubeStatus { dns }).await? {
            Reply::Status { status } => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Why a pod is not ready, with the end of its log, if there is anything to say; `pod` is its namespace
    /// and name.
    ///
    /// # Errors
    /// When the API server of the host does not answer.
    pub async fn pod_words(&mut self, pod: &str) -> Result<Option<String>, Failure> {
        let (namespace, name) = pod.split_once('/').unwrap_or(("kube-system", pod));
        let (namespace, name) = (namespace.into(), name.into());
        match self.ask(&Request::PodWords { namespace, name }).await? {
            Reply::Trouble { trouble } => Ok(trouble),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes a Node out of the cluster; false, if it had left already.
    ///
    /// # Errors
    /// When the API server of the host refuses or does not answer.
    pub async fn delete_node(&mut self, node: &str) -> Result<bool, Failure> {
        let node = node.into();
        let deleted = self.done(&Request::DeleteNode { node }).await?;
        Ok(deleted > 0)
    }

    /// Everything that storage is made of.
    ///
    /// # Errors
    /// When the API server of the host does not answer.
    pub async fn storage(&mut self) -> Result<objects::Objects, Failure> {
        match self.ask(&Request::Storage).await? {
            Reply::Storage { answer } => Ok(answer.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes an object in a namespace; false, if one of its name is there.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn kube_create(&mut self, object: serde_json::Value) -> Result<bool, Failure> {
        let created = self.done(&Request::KubeCreate { object }).await?;
        Ok(created > 0)
    }

    /// A VolumeSnapshot and the content that belongs to it, as far as they are there.
    ///
    /// # Errors
    /// When the API server does not answer, or with something else.
    pub async fn volume_snapshot(
        &mut self,
        snapshot: &Named,
    ) -> Result<(Option<VolumeSnapshot>, Option<Content>), Failure> {
        let request = Request::VolumeSnapshot {
            namespace: snapshot.namespace.clone(),
            name: snapshot.name.clone(),
        };
        let (found, content) = match self.ask(&request).await? {
            Reply::VolumeSnapshot { snapshot, content } => (snapshot, content),
            other => return Err(unexpected(&other)),
        };
        let wrong = |reason: String| {
            Failure::machine(format!(
                "snapshot {snapshot} cannot be understood: {reason}"
            ))
        };
        let found = found.as_ref().map(objects::one).transpose();
        let content = content.as_ref().map(objects::one).transpose();
        Ok((found.map_err(wrong)?, content.map_err(wrong)?))
    }
}
