//! What driver and agent say to each other.
//!
//! A frame is a length (32 bits, big endian) and that many bytes of JSON. The driver sends a
//! [`Request`]; a [`Request::PutBlob`] is followed by the bytes of the blob. The agent answers with any
//! number of [`Reply::Event`]s and then one other [`Reply`]. Both ends are the same program, checked by
//! digest before a session begins, so the format needs no versions.

use super::etcd::leaving::Extent;
use super::health::{Health, Part};
use super::pod_path::{Blocked, PodPath};
use super::reach::Port;
use crate::facts::{Facts, Membership};
use crate::pki::{CertificateRequest, Signed, SigningRequest};
use ingot_bundle::Digest;
use ingot_engine::{Event as EngineEvent, Plan, Report};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame that is accepted, bytes.
const LIMIT: u32 = 64 << 20;

/// What the driver asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "the fields are the operands of the request that the variant documents"
)]
pub enum Request {
    /// The host's facts; `measure_disk` also measures the disk, which takes a second.
    Facts { measure_disk: bool },
    /// Whether these addresses and ports can be reached from this host.
    Reach { peers: Vec<(IpAddr, Port)> },
    /// Opens these ports for the reachability check, until the next such request.
    Listen { ports: Vec<Port> },
    /// Whether packets of pods get through this host.
    PodPath { path: PodPath },
    /// Takes the lease of this host, or says who has it.
    Lease { holder: String },
    /// Which of these blobs the host lacks.
    MissingBlobs { digests: Vec<Digest> },
    /// A blob; its bytes follow.
    PutBlob { digest: Digest, size: u64 },
    /// What the states would change.
    Plan {
        states: Vec<String>,
        settings: serde_json::Value,
    },
    /// Applies the states.
    Apply {
        states: Vec<String>,
        settings: serde_json::Value,
    },
    /// How these parts of the host are, which must have been started `since` that many seconds after its boot.
    Health { parts: Vec<Part>, since: f64 },
    /// Takes back what was changed by an application of these states, from that entry of the journal on.
    PutBack {
        states: Vec<String>,
        settings: serde_json::Value,
        mark: usize,
    },
    /// What a node's kubelet last told the API server of this host.
    Heartbeat { node: String },
    /// The cluster's authorities, where this host has them.
    ReadAuthority,
    /// Keeps the cluster's authorities on this host.
    WriteAuthority { authority: AuthorityFiles },
    /// Compares the certificates of this host with the wanted ones; makes keys where one is due.
    Certificates {
        wanted: Vec<CertificateRequest>,
        trust: Vec<AuthorityFile>,
    },
    /// Puts signed certificates in place.
    InstallCertificates { signed: Vec<Signed> },
    /// Applies objects to the API server of this control plane, and then deletes those that are not wanted.
    KubeApply { wanted: String, unwanted: String },
    /// Whether the API server of this host is ready.
    KubeReady,
    /// The state of the cluster; with the address of its DNS and a name to ask it for.
    KubeStatus { dns: Option<(IpAddr, String)> },
    /// Why a pod is not ready, with the end of its log.
    PodWords { namespace: String, name: String },
    /// Takes a Node out of the cluster, through the API server of this host.
    DeleteNode { node: String },
    /// Everything that storage is made of.
    Storage,
    /// Makes an object in a namespace; nothing is changed if one of its name is there.
    KubeCreate { object: serde_json::Value },
    /// A VolumeSnapshot and its content.
    VolumeSnapshot { namespace: String, name: String },
    /// Starts the kubelet anew, for it to register its node at once.
    RestartKubelet,
    /// Restarts containerd; its pods go on.
    RestartContainerd,
    /// What is wrong with the kubelet.
    KubeletTrouble,
    /// Writes down which cluster the host belongs to.
    Join { membership: Membership },
    /// Whose node this host is.
    Belonging,
    /// The members of etcd, by name, as this host knows them.
    EtcdMembers {
        control_planes: BTreeMap<String, IpAddr>,
    },
    /// Removes everything that was ever installed on this node of this cluster.
    Reset {
        cluster: String,
        node: String,
        extent: Extent,
    },
    /// Makes sure that etcd expects a learner at that place.
    ExpectLearner { name: String, peer_url: String },
    /// Gives a member of etcd a vote, if it has none.
    Promote { name: String },
}

/// What an application of states did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The end of each resource.
    pub report: Report,
    /// How many entries the host's journal had before; from there on its changes can be put back.
    pub mark: usize,
    /// When it began, seconds after the boot of the host.
    pub begun: f64,
}

/// The plan of a host, and what it took to make it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostPlan {
    /// What would change.
    #[serde(flatten)]
    pub plan: Plan,
    /// How long the host took to read the states and compare them with what is, in milliseconds.
    pub milliseconds: f64,
}

/// A file of an authority. Its content is secret; its mode follows from its name ([`super::authority`]).
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthorityFile {
    /// The path below [`crate::paths::PKI`].
    pub name: String,
    /// The PEM text.
    pub content: String,
}

impl std::fmt::Debug for AuthorityFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorityFile({})", self.name)
    }
}

/// All files of the cluster's authorities. Two sets are compared by [`AuthorityFiles::same_content`] alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorityFiles {
    /// Sorted by name.
    pub files: Vec<AuthorityFile>,
}

impl AuthorityFiles {
    /// Whether both are of one cluster. Names and content say, and nothing else that a host has of its files.
    pub fn same_content(&self, other: &Self) -> bool {
        let content = |files: &Self| -> Vec<(String, String)> {
            let all = files.files.iter();
            all.map(|file| (file.name.clone(), file.content.clone()))
                .collect()
        };
        content(self) == content(other)
    }
}

/// What the agent answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
// Tagged from outside: an inner tag would read the number keys of maps as text.
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "each variant answers the request it is named after"
)]
pub enum Reply {
    /// Work goes on.
    Event {
        event: EngineEvent,
    },
    /// Done; `changed` things were changed.
    Done {
        changed: usize,
    },
    /// The request failed, for the reason given.
    Failed {
        reason: String,
    },
    /// An object of ours is wrong: asked again, the answer will be the same.
    Invalid {
        reason: String,
    },
    Facts {
        facts: Box<Facts>,
    },
    /// The peers that could not be reached, with the reason.
    Unreached {
        peers: Vec<(IpAddr, Port, String)>,
    },
    /// The ways on which they do not.
    PodPath {
        blocked: Vec<Blocked>,
    },
    /// The ports that answer now.
    Listening {
        open: Vec<Port>,
    },
    Missing {
        digests: Vec<Digest>,
    },
    Plan {
        plan: HostPlan,
    },
    Applied {
        applied: Applied,
    },
    Health {
        parts: Vec<(Part, Health)>,
    },
    Heartbeat {
        heartbeat: super::kube::Heartbeat,
    },
    Authority {
        authority: Option<AuthorityFiles>,
    },
    /// What is due, and how many files were put right.
    SigningRequests {
        requests: Vec<SigningRequest>,
        changed: usize,
    },
    Objects {
        changed: Vec<String>,
    },
    Status {
        status: super::kube::ClusterStatus,
    },
    Storage {
        answer: crate::storage::objects::Answer,
    },
    VolumeSnapshot {
        snapshot: Option<serde_json::Value>,
        content: Option<serde_json::Value>,
    },
    /// In words, if there is any.
    Trouble {
        trouble: Option<String>,
    },
    /// What `--initial-cluster` of the new member has to be.
    Expected {
        initial_cluster: String,
    },
    EtcdMembers {
        names: BTreeSet<String>,
    },
    Belonging {
        belonging: super::belonging::Belonging,
    },
    /// What a reset could not take back, and what it left as the site had changed it.
    Leftovers {
        problems: Vec<String>,
        kept: Vec<String>,
    },
}

/// Writes one frame.
///
/// # Errors
/// When the stream refuses.
pub async fn send<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&json);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Reads one frame; `None` when the stream ended before it.
///
/// # Errors
/// When the stream breaks in the middle of a frame, or the frame is not what was expected.
pub async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = u32::from_be_bytes(length);
    if length > LIMIT {
        return Err(io::Error::other(format!(
            "a frame of {length} bytes is not from an ingot agent"
        )));
    }
    let mut json = vec![0; length as usize];
    stream.read_exact(&mut json).await?;
    Ok(Some(serde_json::from_slice(&json)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_pass_and_foreign_bytes_are_refused() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Facts { measure_disk: true })
            .await
            .unwrap();
        let request: Option<Request> = receive(&mut bytes.as_slice()).await.unwrap();
        assert!(matches!(
            request,
            Some(Request::Facts { measure_disk: true })
        ));
        assert!(receive::<Request>(&mut &b""[..]).await.unwrap().is_none());
        let error = receive::<Request>(&mut &b"Welcome to host1!"[..])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("is not from an ingot agent"),
            "{error}"
        );
    }

    #[test]
    fn authorities_are_the_same_if_their_content_is() {
        let files = |content: &str| AuthorityFiles {
            files: vec![AuthorityFile {
                name: "ca.crt".into(),
                content: content.into(),
            }],
        };
        assert!(files("a").same_content(&files("a")));
        assert!(!files("a").same_content(&files("b")));
    }

    #[test]
    fn authority_files_do_not_show_their_content() {
        let file = AuthorityFile {
            name: "ca.key".into(),
            content: "PRIVATE".into(),
        };
        assert_eq!(format!("{file:?}"), "AuthorityFile(ca.key)");
    }
}
