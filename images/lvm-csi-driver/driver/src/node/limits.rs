//! Puts the limits of a volume's attribute class on the pods that have it.

use super::{NodeService, content_device};
use crate::agent::Located;
use crate::object::{Key, ObjectKind, Volume, VolumeId};
use crate::store;
use ingot_lvm::{Command, Limits};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::broadcast::error::RecvError;

/// The pod a target path belongs to: kubelet's paths have its uid after `pods`.
pub fn pod(target: &Path) -> Option<&str> {
    let mut parts = target.iter().filter_map(|part| part.to_str());
    parts.find(|part| *part == "pods")?;
    parts
        .next()
        .filter(|uid| uid.len() == 36 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

impl NodeService {
    /// Limits one pod. A store that cannot be asked, or a pod without a control group, does not
    /// keep the pod from its data: the limit comes with the next change.
    pub(super) async fn limit(&self, id: VolumeId, located: &Located, target: &Path) {
        let Ok(Some((_, volume))) = store::volume(&*self.agent.store, &id.key()).await else {
            return;
        };
        if volume.uid == id.uid && volume.limits != Limits::default() {
            self.apply(&volume, located, target).await;
        }
    }

    async fn apply(&self, volume: &Volume, located: &Located, target: &Path) {
        let Some(pod) = pod(target) else { return };
        let limit = Command::Limit {
            device: content_device(located),
            pod: pod.to_owned(),
            limits: volume.limits,
        };
        if let Err(error) = self.agent.executor.change(limit).await {
            eprintln!(
                "volume {}: its limits are not in force: {error}",
                volume.id()
            );
        }
    }

    /// Follows the store for ever and brings changed limits to the pods that have the volume.
    pub async fn follow_limits(self) {
        let mut changes = self.agent.store.watch();
        let mut known: BTreeMap<Key, Limits> = BTreeMap::new();
        loop {
            let key = match changes.recv().await {
                Ok(key) if key.kind == ObjectKind::Volume => key,
                // What was missed is put in force at the next publishing.
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            match store::volume(&*self.agent.store, &key).await {
                Ok(Some((_, volume))) if volume.node == self.agent.config.node => {
                    let before = known.insert(key, volume.limits).unwrap_or_default();
                    if before != volume.limits {
                        self.limits_changed(&volume).await;
                    }
                }
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => {
                    known.remove(&key);
                }
            }
        }
    }

    async fn limits_changed(&self, volume: &Volume) {
        let Some(located) = self.agent.inventory.locate(volume.uid) else {
            return;
        };
        let Ok(mounts) = self.agent.mounts_of(&located.device).await else {
            return;
        };
        for mount in mounts {
            self.apply(volume, &located, &mount.target).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pod;
    use std::path::Path;

    #[test]
    fn pods_are_found_in_kubelets_paths_only() {
        let uid = "0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a11";
        let path = format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/pvc-1/mount");
        assert_eq!(pod(Path::new(&path)), Some(uid));
        assert_eq!(pod(Path::new("/var/lib/kubelet/pods/../x")), None);
        assert_eq!(pod(Path::new("/mnt/target")), None);
    }
}
