//! The agent's loop: one request after the other, until the input ends.

use super::blobs::BlobStore;
use super::lease::Lease;
use super::protocol::{Reply, Request, receive, send};
use super::reach::Listening;
use super::secret_files::SecretFiles;
use super::{
    authority, belonging, certificates, etcd, gather, health, kube, kubelet, mistake, pod_path,
    reach, reset, states, storage,
};
use crate::facts::Membership;
use crate::paths;
use std::io;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Serves requests from `input` until it ends.
///
/// # Errors
/// When a stream breaks or says something else than the protocol.
pub async fn serve(
    input: &mut (impl AsyncRead + Unpin),
    output: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut held: Option<Lease> = None;
    let mut listening = Listening::default();
    while let Some(request) = receive::<Request>(input).await? {
        let answered = mistake::caught(async {
            Ok::<_, io::Error>(match request {
                Request::PutBlob { digest, size } => done(
                    BlobStore::of_host()
                        .put(&digest, size, input)
                        .await
                        .map(|()| 1)
                        .map_err(|error| error.to_string()),
                ),
                Request::Lease { holder } => {
                    let taken = blocking(move || {
                        Lease::take(Path::new(paths::LEASE), &holder, None)
                            .map_err(|e| e.to_string())
                    });
                    done(taken.await.map(|lease| {
                        held = Some(lease);
                        0
                    }))
                }
                Request::Listen { ports } => {
                    listening = Listening::default();
                    let open = listening.open(ports).await;
                    Reply::Listening { open }
                }
                Request::Apply { states, settings } => apply(states, settings, output).await?,
                other => answer(other).await,
            })
        });
        let reply = match answered.await {
            Ok(reply) => reply?,
            // The driver says that it is ours, and ends with the exit code of that.
            Err(reason) => Reply::Invalid { reason },
        };
        send(output, &reply).await?;
    }
    drop(held);
    Ok(())
}

fn done(result: Result<usize, String>) -> Reply {
    match result {
        Ok(changed) => Reply::Done { changed },
        Err(reason) => Reply::Failed { reason },
    }
}

/// Runs work that blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    mistake::passed_on(tokio::task::spawn_blocking(work).await)
        .map_err(|error| format!("the agent's work was stopped: {error}"))?
}

async fn apply(
    states: Vec<String>,
    settings: serde_json::Value,
    output: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Reply> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let work = tokio::spawn(blocking(move || {
        states::apply_states(&states, &settings, &move |event| {
            // The driver may be gone; what was begun is finished all the same.
            let _ = events.send(event);
        })
    }));
    // When the driver is gone the work goes on to its end, and the lease is held until then: a second
    // agent must not begin beside it.
    let mut gone = None;
    while let Some(event) = inbox.recv().await {
        if gone.is_none() {
            gone = send(output, &Reply::Event { event }).await.err();
        }
    }
    let result = mistake::passed_on(work.await).map_err(io::Error::other)?;
    if let Some(error) = gone {
        return Err(error);
    }
    Ok(match result {
        Ok(applied) => Reply::Applied { applied },
        Err(reason) => Reply::Failed { reason },
    })
}

async fn answer(request: Request) -> Reply {
    let result = match request {
        Request::Facts { measure_disk } => {
            blocking(move || {
                Ok(Reply::Facts {
                    facts: Box::new(gather::facts(measure_disk)),
                })
            })
            .await
        }
        Request::Reach { peers } => Ok(Reply::Unreached {
            peers: reach::unreached(peers).await,
        }),
        Request::PodPath { path } => blocking(move || pod_path::blocked(&path))
            .await
            .map(|blocked| Reply::PodPath { blocked }),
        Request::MissingBlobs { digests } => {
            let store = BlobStore::of_host();
            Ok(Reply::Missing {
                digests: digests
                    .into_iter()
                    .filter(|digest| !store.has(digest))
                    .collect(),
            })
        }
        Request::Health { parts, since } => blocking(move || health::of(&parts, since))
            .await
            .map(|parts| Reply::Health { parts }),
        Request::PutBack {
            states,
            settings,
            mark,
        } => blocking(move || states::put_back(&states, &settings, mark))
            .await
            .map(|(problems, kept)| Reply::Leftovers { problems, kept }),
        Request::Heartbeat { node } => kube::heartbeat(&node)
            .await
            .map(|heartbeat| Reply::Heartbeat { heartbeat }),
        Request::Plan { states, settings } => {
            blocking(move || states::plan_states(&states, &settings))
                .await
                .map(|plan| Reply::Plan { plan })
        }
        Request::ReadAuthority => {
            authority::read(&SecretFiles::of_host()).map(|authority| Reply::Authority { authority })
        }
        Request::WriteAuthority { authority: files } => {
            blocking(move || authority::write(&SecretFiles::of_host(), &files.files))
                .await
                .map(|changed| Reply::Done { changed })
        }
        Request::Certificates { wanted, trust } => blocking(move || {
            let host = SecretFiles::of_host();
            let trusted = authority::write(&host, &trust)?;
            let (requests, closed) = certificates::due(&host, &wanted, &trust)?;
            Ok((requests, trusted + closed))
        })
        .await
        .map(|(requests, changed)| Reply::SigningRequests { requests, changed }),
        Request::InstallCertificates { signed } => {
            blocking(move || certificates::install(&SecretFiles::of_host(), &signed))
                .await
                .map(|changed| Reply::Done { changed })
        }
        Request::KubeApply { wanted, unwanted } => match kube::apply(&wanted, &unwanted).await {
            Ok(changed) => Ok(Reply::Objects { changed }),
            Err(kube::ApplyError::Invalid(reason)) => Ok(Reply::Invalid { reason }),
            Err(kube::ApplyError::Failed(reason)) => Err(reason),
        },
        Request::KubeReady => kube::ready().await.map(|()| Reply::Done { changed: 0 }),
        Request::KubeStatus { dns } => kube::status(dns)
            .await
            .map(|status| Reply::Status { status }),
        Request::PodWords { namespace, name } => kube::pod_words(&namespace, &name)
            .await
            .map(|trouble| Reply::Trouble { trouble }),
        Request::DeleteNode { node } => kube::delete_node(&node).await.map(|deleted| Reply::Done {
            changed: usize::from(deleted),
        }),
        Request::Storage => storage::read()
            .await
            .map(|answer| Reply::Storage { answer }),
        Request::KubeCreate { object } => {
            storage::create(&object).await.map(|created| Reply::Done {
                changed: usize::from(created),
            })
        }
        Request::VolumeSnapshot { namespace, name } => storage::volume_snapshot(&namespace, &name)
            .await
            .map(|(snapshot, content)| Reply::VolumeSnapshot { snapshot, content }),
        Request::RestartContainerd => blocking(|| kubelet::restart("containerd.service"))
            .await
            .map(|()| Reply::Done { changed: 0 }),
        Request::RestartKubelet => blocking(|| kubelet::restart(kubelet::UNIT))
            .await
            .map(|()| Reply::Done { changed: 0 }),
        Request::KubeletTrouble => blocking(kubelet::trouble)
            .await
            .map(|trouble| Reply::Trouble { trouble }),
        Request::Join { membership } => join(&membership).map(|changed| Reply::Done { changed }),
        Request::Belonging => blocking(belonging::of_this_host)
            .await
            .map(|belonging| Reply::Belonging { belonging }),
        Request::EtcdMembers { control_planes } => Ok(Reply::EtcdMembers {
            names: match etcd::leaving::concerns_this_host() {
                true => etcd::leaving::find(&control_planes).await.names(),
                false => Default::default(),
            },
        }),
        Request::ExpectLearner { name, peer_url } => etcd::expect_learner(&name, &peer_url)
            .await
            .map(|initial_cluster| Reply::Expected { initial_cluster }),
        Request::Promote { name } => etcd::promote(&name)
            .await
            .map(|()| Reply::Done { changed: 1 }),
        Request::Reset {
            cluster,
            node,
            extent,
        } => blocking(move || reset::reset(&cluster, &node, &extent))
            .await
            .map(|outcome| Reply::Leftovers {
                problems: outcome.problems,
                kept: outcome.kept,
            }),
        Request::PutBlob { .. }
        | Request::Lease { .. }
        | Request::Listen { .. }
        | Request::Apply { .. } => Err("this request is answered by the loop".into()),
    };
    result.unwrap_or_else(|reason| Reply::Failed { reason })
}

fn join(membership: &Membership) -> Result<usize, String> {
    if gather::membership().as_ref() == Some(membership) {
        return Ok(0);
    }
    let json = serde_json::to_vec_pretty(membership).map_err(|error| error.to_string())?;
    ingot_engine::resource::write_atomically(Path::new(paths::MEMBERSHIP), |_, file| {
        io::Write::write_all(file, &json)
    })
    .map_err(|error| format!("cannot write {}: {error}", paths::MEMBERSHIP))?;
    Ok(1)
}
